//! `portcullis setup`: a configuration for this machine, printed or put in place.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::SetupArgs;
use super::exit::{Exit, Failure, complain, exit_for};
use super::text::{printable_path, write_json};
use crate::config::defaults;
use crate::files::{directory_of, suffixed};
use crate::setup::Proposal;

/// Prints the configuration, or writes it; what is left to do is said in either case.
pub(super) fn run(arguments: &SetupArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let file = arguments.config.config.clone().unwrap_or_else(defaults::config_file);
    let session = ["SSH_CONNECTION", "SSH_CLIENT"].into_iter().find_map(|name| std::env::var(name).ok());
    let proposal = Proposal::for_this_machine(session.as_deref(), &file);
    let kept = if arguments.write { write(&file, &proposal.text, arguments.overwrite)? } else { None };
    if arguments.json {
        let report = json!({
            "path": file.display().to_string(),
            "written": arguments.write,
            "kept": kept.map(|kept| kept.display().to_string()),
            "text": proposal.text,
            "steps": proposal.steps,
        });
        write_json(out, report)?;
        return Ok(Exit::Ok);
    }
    if !arguments.write {
        write!(out, "{}", proposal.text)?;
        out.flush()?;
        complain(&format!("nothing was written: --write puts this into {}", printable_path(&file)));
        return Ok(Exit::Ok);
    }
    writeln!(out, "Written: {}", printable_path(&file))?;
    if let Some(kept) = kept {
        writeln!(out, "The one before is {}", printable_path(&kept))?;
    }
    writeln!(out, "Read it, and name the networks you log in from under `allow`. What is left to do:\n")?;
    for (step, number) in proposal.steps.iter().zip(1..) {
        writeln!(out, "{number}. {}", step.replace('\n', "\n   "))?;
    }
    Ok(Exit::Ok)
}

/// Puts the text in place. An operator's file is moved aside, and only if that was asked for; a sample that nobody changed is
/// no operator's. Returns where the file before is now.
fn write(file: &Path, text: &str, overwrite: bool) -> Result<Option<PathBuf>, Failure> {
    let failed =
        |error: &io::Error| Failure::new(exit_for(error), format!("{}: {error}", printable_path(file)));
    let mut kept = None;
    if fs::symlink_metadata(file).is_ok() {
        if !overwrite && !is_sample(file) {
            let text = format!(
                "{} is there, and was not touched: --overwrite moves it aside first; without --write the new one is printed",
                printable_path(file)
            );
            return Err(Failure::new(Exit::Nothing, text));
        }
        let old = suffixed(file, ".old");
        fs::rename(file, &old).map_err(|error| failed(&error))?;
        kept = Some(old);
    }
    fs::create_dir_all(directory_of(file)).map_err(|error| failed(&error))?;
    let new = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file);
    new.and_then(|mut new| new.write_all(text.as_bytes()).and_then(|()| new.sync_all()))
        .map_err(|error| failed(&error))?;
    Ok(kept)
}

/// Whether a file is as install.sh or a package has put it there, with its sample beside it.
fn is_sample(file: &Path) -> bool {
    let sample = fs::read(suffixed(file, ".sample"));
    sample.is_ok_and(|sample| fs::read(file).is_ok_and(|text| text == sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_file_is_never_lost_and_a_sample_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("etc/portcullis.yaml");
        assert_eq!(write(&file, "1", false).unwrap(), None, "its directory is made");
        let refused = write(&file, "2", false).unwrap_err();
        assert!(refused.text.contains("was not touched"), "{}", refused.text);
        let old = directory.path().join("etc/portcullis.yaml.old");
        assert_eq!(write(&file, "2", true).unwrap(), Some(old.clone()));
        assert_eq!(
            (fs::read_to_string(&file).unwrap(), fs::read_to_string(&old).unwrap()),
            ("2".into(), "1".into())
        );
        fs::write(directory.path().join("etc/portcullis.yaml.sample"), "2").unwrap();
        assert!(write(&file, "3", false).is_ok(), "nobody changed the sample");
        assert_eq!(fs::read_to_string(&file).unwrap(), "3");
    }
}
