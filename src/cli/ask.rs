//! The commands that ask the running daemon: `status`, `bans`, `why`, `ban`, `unban`, `reload`.

use std::io::Write;
use std::path::Path;

use super::args::{AskArgs, BanArgs, UnbanArgs, WhyArgs};
use super::exit::{Exit, Failure, complain};
use super::text::{printable_path, write_json};
use super::{prefixes, print_reply};
use crate::config::{self, Config, FileTrust, MAX_DURATION};
use crate::control::reply::StoreEffect;
use crate::control::{self, Answer, Client, ClientErrorKind, Length, Request, Unban};
use crate::daemon;
use crate::privileges::{OwnPrivileges, Privileges};
use crate::setup::{Refused, Setup, ask_daemon};

/// Sends a request to the daemon that the arguments name.
fn ask(to: &AskArgs, request: &Request) -> Result<Answer, Failure> {
    if let Some(socket) = &to.socket {
        return Ok(Client::connect(socket).and_then(|client| client.ask(request))?);
    }
    let (config, refused) = configured(to.config.config.as_deref())?;
    match (ask_daemon(&config, request), refused) {
        // The daemon does not run: the errors may be the reason.
        (Err(failure), Some(refused)) if failure.kind() == ClientErrorKind::NotRunning => Err(refused.into()),
        (answer, _) => answer.map_err(Failure::from),
    }
}

/// The configuration, for the socket that it names. Errors in it are no obstacle: the running daemon has an earlier one.
fn configured(file: Option<&Path>) -> Result<(Config, Option<Refused>), Failure> {
    let loaded = config::load_settings(file, FileTrust::Advised);
    let config = loaded.config;
    let refused = Refused(loaded.diagnostics);
    match file {
        _ if !refused.0.has_errors() => Ok((config, None)),
        None => Ok((Config::default(), None)),
        Some(file) if !file.is_file() => Err(refused.into()),
        Some(file) => {
            let file = printable_path(file);
            let named = printable_path(&config.control.socket);
            complain(&format!("{file} has errors; asking the daemon at {named}"));
            Ok((config, Some(refused)))
        }
    }
}

impl From<control::ClientError> for Failure {
    fn from(failure: control::ClientError) -> Self {
        let exit = match failure.kind() {
            ClientErrorKind::NotRunning => Exit::Unavailable,
            ClientErrorKind::NoPermission => Exit::NoPermission,
            ClientErrorKind::Busy => Exit::Temporary,
            ClientErrorKind::Protocol => Exit::Protocol,
            ClientErrorKind::Config => Exit::Config,
            ClientErrorKind::Refused => Exit::Nothing,
        };
        Self::new(exit, failure.to_string())
    }
}

fn unexpected() -> Failure {
    control::ClientError::Unexpected.into()
}

pub(super) fn status(arguments: &AskArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Answer::Status(status) = ask(arguments, &Request::Status)? else { return Err(unexpected()) };
    if arguments.json {
        write_json(out, &status)?;
    } else {
        print_reply::status(out, &status)?;
    }
    Ok(if status.not_protecting.is_empty() { Exit::Ok } else { Exit::Nothing })
}

pub(super) fn bans(arguments: &AskArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Answer::Bans(bans) = ask(arguments, &Request::Bans)? else { return Err(unexpected()) };
    if arguments.json {
        write_json(out, &bans)?;
    } else if bans.is_empty() {
        writeln!(out, "Nobody is banned.")?;
    } else {
        print_reply::bans(out, &bans)?;
    }
    Ok(Exit::Ok)
}

pub(super) fn why(arguments: &WhyArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let address = prefixes::one(&arguments.address)?;
    let Answer::Why(why) = ask(&arguments.ask, &Request::Why { address })? else { return Err(unexpected()) };
    if arguments.ask.json {
        write_json(out, &why)?;
    } else {
        print_reply::why(out, &why)?;
    }
    let known = why.ban.is_some() || !why.history.is_empty() || !why.windows.is_empty();
    Ok(if known { Exit::Ok } else { Exit::Nothing })
}

pub(super) fn ban(arguments: &BanArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    control::check_reason(&arguments.reason)
        .map_err(|why| Failure::new(Exit::Usage, format!("`--reason`: {why}")))?;
    let request = Request::Ban {
        prefixes: prefixes::all(&arguments.prefixes)?,
        length: length(arguments.length.as_deref())?,
        reason: arguments.reason.clone(),
        force: arguments.force,
    };
    let Answer::Banned(banned) = ask(&arguments.ask, &request)? else { return Err(unexpected()) };
    if arguments.ask.json {
        write_json(out, &banned)?;
    } else {
        print_reply::banned(out, &banned)?;
    }
    Ok(if banned.refused.is_empty() { exit_for(&banned.kept) } else { Exit::Nothing })
}

/// Tells scripts to try again if the change would not survive a crash.
fn exit_for(effect: &StoreEffect) -> Exit {
    if effect.stored { Exit::Ok } else { Exit::Temporary }
}

fn length(span: Option<&str>) -> Result<Length, Failure> {
    match span {
        None => Ok(Length::Default),
        Some("forever") => Ok(Length::Forever),
        Some(span) => {
            let wrong = |why: &str| {
                Failure::new(Exit::Usage, format!("`--for {span}`: {why}; write 1h, 4w or forever"))
            };
            let length = humantime::parse_duration(span).map_err(|error| wrong(&error.to_string()))?;
            if length > MAX_DURATION {
                return Err(wrong("that is longer than a hundred years"));
            }
            let ms = u64::try_from(length.as_millis()).expect("a hundred years are far fewer milliseconds");
            if ms == 0 { Err(wrong("a ban of no length bans nobody")) } else { Ok(Length::For { ms }) }
        }
    }
}

/// `brain` is there in the process that has the database, which root's command has started.
pub(super) fn unban(
    arguments: &UnbanArgs,
    brain: Option<&dyn Privileges>,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let whom = if arguments.all { Unban::All } else { Unban::Prefixes(prefixes::all(&arguments.prefixes)?) };
    let asked = whom.prefixes();
    let unbanned = if arguments.offline {
        let file = arguments.ask.config.config.as_deref();
        match brain {
            Some(brain) => daemon::unban_offline(brain, &brain.load(&[])?, &whom)?,
            // What it prints it has printed.
            None if daemon::run_beside_arm(file)? => return Ok(Exit::Ok),
            None => daemon::unban_offline(&OwnPrivileges::of_root(file), &Setup::load(file)?, &whom)?,
        }
    } else {
        match ask(&arguments.ask, &Request::Unban(whom))? {
            Answer::Unbanned(unbanned) => unbanned,
            _ => return Err(unexpected()),
        }
    };
    if arguments.ask.json {
        write_json(out, &unbanned)?;
    } else {
        print_reply::unbanned(out, &unbanned, &asked, arguments.offline)?;
    }
    Ok(if unbanned.unbanned.is_empty() { Exit::Nothing } else { exit_for(&unbanned.kept) })
}

pub(super) fn reload(arguments: &AskArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Answer::Reloaded(reloaded) = ask(arguments, &Request::Reload)? else { return Err(unexpected()) };
    if arguments.json {
        write_json(out, &reloaded)?;
    } else {
        print_reply::reloaded(out, &reloaded)?;
    }
    Ok(Exit::Ok)
}
