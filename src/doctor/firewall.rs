//! Asks the firewall's tools, reading only, and has the answers judged.

use super::finding::Finding;
use super::{Surroundings, ipfw, pf};
use crate::firewall::pf::PfTable;
use crate::firewall::runner::{Finished, Tool};
use crate::settings::{BackendKind, FirewallSettings};

const ABOUT: &str = "firewall";

/// Judges the configured firewall.
pub(super) fn findings(settings: &FirewallSettings, at: &Surroundings) -> Vec<Finding> {
    match settings.backend {
        BackendKind::Pf => with_pf(settings),
        BackendKind::Ipfw => with_ipfw(settings, at),
        BackendKind::Nftables => with_nftables(settings),
        BackendKind::Command => with_commands(settings),
        BackendKind::DryRun => vec![Finding::note(
            ABOUT,
            "no firewall is configured: who would be banned is told, and nobody is blocked",
            "`firewall: {backend: pf}` (or ipfw, nftables, command) in the configuration",
        )],
    }
}

fn with_pf(settings: &FirewallSettings) -> Vec<Finding> {
    let tool = Tool::new(&settings.tools.pfctl, settings.timeout);
    let info = match ask(&tool, &["-s", "info"]) {
        Ok(info) => info,
        Err(why) => return vec![silent(&why, "run it as root; `kldload pf` if pf is not there")],
    };
    let pf_table = PfTable::of(settings);
    let inside = |args: &[&str]| ask(&tool, &pf_table.arguments(args)).unwrap_or_default();
    let said = pf::PfctlOutput {
        info,
        tables: inside(&["-vsT"]),
        rules: ask(&tool, &["-sr"]).unwrap_or_default(),
        anchor_rules: pf_table.anchor.as_ref().map(|_| inside(&["-sr"])),
    };
    pf::findings(&said, &pf_table)
}

fn with_ipfw(settings: &FirewallSettings, at: &Surroundings) -> Vec<Finding> {
    let tool = Tool::new(&settings.tools.ipfw, settings.timeout);
    let list = match ask(&tool, &["list"]) {
        Ok(list) => list,
        Err(why) => {
            return vec![silent(&why, "run it as root; ipfw must be loaded at boot (`firewall_enable=YES`)")];
        }
    };
    let sysctl = Tool::new(&at.sysctl, settings.timeout);
    // A kernel without IPv6 has no second value; sysctl prints the first all the same, and fails.
    let enabled = sysctl.run(&["-n", "net.inet.ip.fw.enable", "net.inet6.ip6.fw.enable"], b"");
    let info = ask(&tool, &["table", &settings.table, "info"]);
    vec![
        ipfw::enabled(&enabled.map(|run| text(&run)).unwrap_or_default()),
        ipfw::exists(info.as_deref().ok(), &settings.table),
        ipfw::order(&list, &settings.table),
    ]
}

/// The backend makes table and rules itself, at a priority before all others: if they are there, they block.
fn with_nftables(settings: &FirewallSettings) -> Vec<Finding> {
    let found = settings.tools.nft.iter().find(|path| path.exists());
    let Some(path) = found else {
        return vec![silent("nft is not installed", "install the package nftables")];
    };
    let tool = Tool::new(path, settings.timeout);
    if let Err(why) = ask(&tool, &["list", "tables"]) {
        return vec![silent(&why, "run it as root")];
    }
    let table = &settings.table;
    vec![match ask(&tool, &["list", "chains", "inet"]) {
        Ok(chains)
            if chains.contains(&format!("table inet {table} {{")) && chains.contains("hook prerouting") =>
        {
            Finding::ok(
                ABOUT,
                format!("nftables has the table inet {table}, which drops before any other rule"),
            )
        }
        _ => Finding::problem(
            ABOUT,
            format!("nftables has no table inet {table}"),
            "start the daemon, which makes it",
        ),
    }]
}

fn with_commands(settings: &FirewallSettings) -> Vec<Finding> {
    let commands = &settings.command;
    let all = [&commands.add, &commands.remove, &commands.list, &commands.replace];
    let programs = all.into_iter().filter_map(|words| words.first());
    let missing = programs
        .filter(|program| nix::unistd::access(program.as_str(), nix::unistd::AccessFlags::X_OK).is_err());
    let missing: Vec<Finding> = missing
        .map(|program| {
            Finding::problem(
                ABOUT,
                format!("{program} cannot be run"),
                "put it there, executable, or correct `firewall: {command: …}`",
            )
        })
        .collect();
    if missing.is_empty() {
        vec![Finding::ok(ABOUT, "the configured programs are there; whether they block is theirs to say")]
    } else {
        missing
    }
}

fn silent(why: &str, advice: &str) -> Finding {
    Finding::problem(ABOUT, format!("the firewall does not answer: {why}"), advice)
}

/// Standard output of a tool that succeeded, or why there is none.
pub(super) fn ask(tool: &Tool, args: &[&str]) -> Result<String, String> {
    let run = tool.run(args, b"").map_err(|failure| failure.to_string())?;
    let name = format!("{} {}", tool.path().display(), args.join(" "));
    if run.ok() { Ok(text(&run)) } else { Err(run.complaint(&name)) }
}

fn text(run: &Finished) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}
