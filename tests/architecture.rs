//! The direction of dependencies and what the pure core may not do, read from the sources.
//!
//! `main → cli → {daemon, doctor} → setup → {follow, firewall, store, control, config} → pipeline → engine → rules → {record, address, time}`;
//! the shell has `files` and `settings` in common.
#![allow(clippy::string_slice, reason = "offsets come from searching the same text")]

pub(crate) mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::source::{Source, doc_comments, named, places, sources, types};

const PURE: &[&str] = &[
    "address",
    "fnv",
    "names",
    "printable",
    "time",
    "protection",
    "record",
    "report",
    "rules",
    "engine",
    "pipeline",
];
const SHELL: &[&str] = &["follow", "blocklist", "firewall", "store", "control", "config"];

/// A module's rank: it may name itself and what has a lower one. Two exceptions make it exact, see [`may_use`].
const RANKS: &[(&str, u8)] = &[
    ("address", 0),
    ("fnv", 0),
    ("names", 0),
    ("printable", 0),
    ("time", 0),
    ("protection", 1),
    ("record", 1),
    ("report", 1),
    ("rules", 2),
    ("engine", 3),
    ("pipeline", 4),
    // What parts of the shell have in common: they may name it, and nothing pure can, since it is not below any of that.
    ("files", 4),
    ("interfaces", 4),
    ("settings", 4),
    ("follow", 5),
    ("blocklist", 5),
    ("firewall", 5),
    ("store", 5),
    ("control", 5),
    ("config", 5),
    ("setup", 6),
    ("privileges", 7),
    ("daemon", 8),
    ("doctor", 8),
    ("cli", 9),
    ("main", 10),
];

/// Rooms, and drawers of rooms, whose files depend on each other in one direction, too: none is used by what it uses.
const ACYCLIC: &[&str] = &[
    "address",
    "blocklist",
    "cli",
    "config",
    "config/meaning",
    "config/reading",
    "config/text",
    "control",
    "daemon",
    "doctor",
    "engine",
    "files",
    "firewall",
    "follow",
    "pipeline",
    "privileges",
    "privileges/arm",
    "privileges/brain",
    "record",
    "rules",
    "rules/proof",
    "setup",
    "store",
];

/// What would make the core depend on a clock, a file, a thread, a process, the environment or a log.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::os",
    "ToSocketAddrs",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "to_socket_addrs",
    "File::open",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "ZonedDateTime::now",
    "TimeZone::system",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "log::",
    "nix::",
    "notify::",
    "rusqlite::",
    "signal_hook::",
];

/// The longest file, tests included, in lines.
const LONGEST: usize = 450;

/// Files that are longer, each with the reason; a row whose file became shorter has to go.
const LONGER: &[(&str, &str)] = &[];

/// Names of types that stand for several ideas, each with the reason; a row whose name is unique again has to go.
const SHARED_NAMES: &[(&str, &str)] = &[];

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

/// `None` when it may, or the reason why not.
fn may_use(from: &str, to: &str) -> Option<String> {
    let (Some(mine), Some(other)) = (rank(from), rank(to)) else {
        return Some(format!("`{to}` has no row in RANKS of tests/architecture.rs: decide where it belongs"));
    };
    let allowed = from == to || (other < mine && (from != "main" || to == "cli"));
    let siblings = SHELL.contains(&from) && SHELL.contains(&to);
    match (allowed, siblings) {
        (true, _) => None,
        (false, true) => Some(format!(
            "`{from}` and `{to}` are siblings and do not know each other: put what both need below them, or connect them in setup or daemon"
        )),
        (false, false) => {
            Some(format!("`{from}` may not depend on `{to}`, which stands above or beside it: turn it round"))
        }
    }
}

/// Every place where a file names a module that it may not.
fn wrong_ways(source: &Source) -> Vec<String> {
    let root = if source.module == "main" { "portcullis::" } else { "crate::" };
    let mut wrong: Vec<String> = named(&source.code, root)
        .into_iter()
        .filter_map(|(at, name)| Some(format!("{}: {}", source.at(at), may_use(&source.module, &name)?)))
        .collect();
    let climb = "super::".repeat(source.depth());
    wrong.extend(places(&source.code, &climb).map(|at| {
        format!(
            "{}: `{climb}` climbs to the crate's root: write `crate::`, so that this test sees it",
            source.at(at)
        )
    }));
    wrong
}

/// The file or folder right below a room that a source belongs to; `None` outside it and for the room's own `mod.rs`.
fn part<'a>(room: &str, source: &'a Source) -> Option<&'a str> {
    let inside = source.path.strip_prefix("src/")?.strip_prefix(room)?.strip_prefix('/')?;
    let part = inside.split('/').next()?.trim_end_matches(".rs");
    (part != "mod").then_some(part)
}

/// Which parts of a room name which others.
fn uses(room: &str, of: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let absolute = format!("crate::{}::", room.replace('/', "::"));
    for source in of {
        let Some(part) = part(room, source) else { continue };
        let climb = "super::".repeat(source.depth() - room.split('/').count());
        let mut names = named(&source.code, &climb);
        names.extend(named(&source.code, &absolute));
        uses.entry(part.to_owned()).or_default().extend(names.into_iter().map(|(_, name)| name));
    }
    uses
}

/// The parts that are left when those that use none of the others are taken away again and again: a circle, and what
/// depends on it.
fn in_circles(mut uses: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let parts: BTreeSet<String> = uses.keys().cloned().collect();
        for (part, used) in &mut uses {
            used.retain(|name| parts.contains(name) && name != part);
        }
        let before = uses.len();
        uses.retain(|_, used| !used.is_empty());
        if uses.len() == before {
            return uses;
        }
    }
}

/// Every place where a pure module does what only the shell may.
fn impurities(source: &Source) -> Vec<String> {
    let plain =
        IMPURE.iter().flat_map(|word| places(&source.code, word).map(move |at| (at, (*word).to_owned())));
    let grouped = named(&source.code, "std::").into_iter().filter_map(|(at, name)| {
        let whole = format!("std::{name}");
        let already = source.code[at..].starts_with(&whole);
        (!already && IMPURE.contains(&whole.as_str())).then_some((at, whole))
    });
    let sentence = |(at, word): (usize, String)| {
        format!("{}: `{word}` in the pure module `{}`: pass it in instead", source.at(at), source.module)
    };
    plain.chain(grouped).map(sentence).collect()
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    let text = wrong.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    });
    assert!(wrong.is_empty(), "\n{text}");
}

#[test]
fn dependencies_point_one_way() {
    let of = sources();
    let wrong: Vec<_> = of.iter().filter(|source| source.module != "lib").flat_map(wrong_ways).collect();
    assert_none(&wrong);
}

#[test]
fn the_files_of_a_room_depend_on_each_other_in_one_direction() {
    let of = sources();
    let mut wrong = Vec::new();
    for room in ACYCLIC {
        for (part, used) in in_circles(uses(room, &of)) {
            wrong.push(format!("src/{room}: `{part}` uses {used:?}: one of these uses it, or a circle"));
        }
    }
    assert_none(&wrong);
}

/// Whoever follows the daemon from `run` on stays in one file; the work is done by types that it has.
#[test]
fn the_daemon_is_one_impl() {
    let of = sources();
    let files: Vec<_> =
        of.iter().filter(|source| source.code.contains("impl Daemon ")).map(|source| &source.path).collect();
    assert_eq!(files, ["src/daemon/core.rs"]);
}

#[test]
fn every_module_has_a_place_in_the_order() {
    let of = sources();
    let strangers = of.iter().filter(|source| source.module != "lib" && rank(&source.module).is_none());
    let strangers: Vec<_> = strangers
        .map(|source| {
            format!("{}: `{}` has no row in RANKS of tests/architecture.rs", source.path, source.module)
        })
        .collect();
    assert_none(&strangers);
    assert!(of.len() >= RANKS.len(), "only {} files were looked at", of.len());
}

#[test]
fn the_core_knows_no_clock_file_thread_or_environment() {
    let of = sources();
    let wrong: Vec<_> =
        of.iter().filter(|source| PURE.contains(&source.module.as_str())).flat_map(impurities).collect();
    assert_none(&wrong);
}

#[test]
fn one_file_names_the_yaml_parser() {
    let of = sources();
    let users: Vec<_> = of
        .iter()
        .filter(|source| places(&source.text, "serde_yaml").next().is_some())
        .map(|s| &s.path)
        .collect();
    assert!(users.len() <= 1, "serde_yaml is archived and is named in one file only, but here in {users:?}");
}

#[test]
fn files_are_short_or_say_why_not() {
    let of = sources();
    let mut wrong = Vec::new();
    for source in &of {
        let listed = LONGER.iter().any(|(path, _)| *path == source.path);
        let path = &source.path;
        let lines = source.lines;
        match (lines > LONGEST, listed) {
            (true, false) => wrong.push(format!(
                "{path}: {lines} lines, more than {LONGEST}: split it by meaning, or say why not in LONGER"
            )),
            (false, true) => {
                wrong.push(format!("{path}: only {lines} lines now: remove its row from LONGER"));
            }
            _ => {}
        }
    }
    for (path, reason) in LONGER {
        assert!(of.iter().any(|source| source.path == *path), "{path} of LONGER does not exist");
        assert!(reason.len() > 20, "{path}: say why it is long");
    }
    assert_none(&wrong);
}

#[test]
fn one_type_has_one_name_in_the_whole_crate() {
    let of = sources();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in &of {
        for (at, name) in types(&source.code) {
            places.entry(name).or_default().push(source.at(at));
        }
    }
    places.retain(|_, places| places.len() > 1);
    let mut wrong = Vec::new();
    for (name, places) in &places {
        if !SHARED_NAMES.iter().any(|(shared, _)| shared == name) {
            wrong.push(format!(
                "`{name}` is a type in {}: share one type, or give different ideas different names",
                places.join(" and ")
            ));
        }
    }
    for (name, reason) in SHARED_NAMES {
        if !places.contains_key(*name) {
            wrong.push(format!("`{name}` is one type: remove its row from SHARED_NAMES"));
        }
        assert!(reason.len() > 20, "{name}: say why several types have this name");
    }
    assert_none(&wrong);
}

/// Words that begin an answer and not a description.
const ASKING: &[&str] = &["What", "Whose", "Which", "Who", "Where", "When", "How", "So"];

fn is_fragment(comment: &str) -> bool {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let asks = words.first().is_some_and(|word| ASKING.contains(&word.trim_end_matches('.')));
    words.len() <= 4 && asks
}

#[test]
fn doc_comments_say_what_a_thing_is() {
    let mut wrong = Vec::new();
    for source in &sources() {
        let comments = doc_comments(&source.whole);
        let fragments = comments.into_iter().filter(|(_, comment)| is_fragment(comment));
        wrong.extend(fragments.map(|(line, comment)| {
            format!("{}:{line}: `{comment}` answers a question: say what the thing is", source.path)
        }));
    }
    assert_none(&wrong);
    for fragment in ["Which.", "When.", "How many.", "Whose path it is."] {
        assert!(is_fragment(fragment), "{fragment}");
    }
    assert!(!is_fragment("The file."));
    assert!(!is_fragment("Whether a rule of the set says where a session ends."));
}

#[test]
fn nothing_is_left_to_be_done_and_nothing_gives_up() {
    let mut wrong = Vec::new();
    for source in &sources() {
        for word in ["todo!", "unimplemented!", "dbg!", "#[ignore"] {
            wrong.extend(places(&source.text, word).map(|at| format!("{}: `{word}`", source.at(at))));
        }
        wrong.extend(source.code.match_indices(".unwrap()").map(|(at, _)| {
            format!(
                "{}: `.unwrap()` outside tests: handle it, or say why it cannot be with expect",
                source.at(at)
            )
        }));
    }
    assert_none(&wrong);
}

// The reader itself, on small texts, since a test that sees nothing finds nothing.

fn wrong_in(path: &str, text: &str) -> Vec<String> {
    let source = Source::new(path, text);
    [wrong_ways(&source), impurities(&source)].concat()
}

#[test]
fn a_wrong_way_is_seen_in_every_spelling() {
    for (path, text) in [
        ("src/engine/mod.rs", "use crate::store::Store;"),
        ("src/engine/mod.rs", "fn a() {}\nfn f() -> crate::cli::Exit {}"),
        ("src/engine/mod.rs", "use crate::{address::Prefix, store};"),
        ("src/engine/mod.rs", "use crate::{\n    rules::{Match, Rule},\n    config::Config,\n};"),
        ("src/engine/mod.rs", "use super::store::Store;"),
        ("src/follow/tail.rs", "use super::super::firewall::Change;"),
        ("src/follow/tail.rs", "use crate::firewall::Change;"),
        ("src/rules/mod.rs", "use crate::engine::Verdict;"),
        ("src/engine/mod.rs", "use crate::pipeline::Pipeline;"),
        ("src/pipeline/mod.rs", "use crate::files::resolved;"),
        ("src/address/mod.rs", "use crate::time::Time;"),
        ("src/time.rs", "use super::address::Prefix;"),
        ("src/cli/mod.rs", "use crate::nowhere::X;"),
        ("src/main.rs", "use portcullis::daemon;"),
        ("src/doctor/mod.rs", "use crate::daemon::run;"),
        ("src/setup/mod.rs", "use crate::doctor::examine;"),
    ] {
        assert_eq!(wrong_in(path, text).len(), 1, "{path}: {text}");
    }
    let sentence = &wrong_in("src/engine/mod.rs", "\n\nuse crate::store::Store;")[0];
    assert!(sentence.starts_with("src/engine/mod.rs:3: `engine` may not depend on `store`"), "{sentence}");
}

#[test]
fn the_right_ways_are_left_alone() {
    for (path, text) in [
        ("src/engine/window.rs", "use crate::rules::Match;\nuse crate::time::Time;\nuse super::Verdict;"),
        (
            "src/engine/mod.rs",
            "//! [`crate::store`] keeps it.\nmod a;\n#[cfg(test)]\nmod tests {\n    use crate::config;\n}",
        ),
        ("src/engine/mod.rs", "use std::net::IpAddr; // std::net::TcpStream is the shell's"),
        ("src/daemon/mod.rs", "use crate::{config, follow, firewall, store, control, engine};"),
        ("src/main.rs", "fn main() -> std::process::ExitCode { portcullis::cli::main() }"),
        ("src/rules/mod.rs", "fn catalog() {} use super_regex::x;"),
    ] {
        let wrong = wrong_ways(&Source::new(path, text));
        assert_eq!(wrong, [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_circle_is_seen_in_every_spelling() {
    let circles = |room: &str, texts: &[(&str, &str)]| -> Vec<String> {
        let of: Vec<Source> = texts.iter().map(|(path, text)| Source::new(path, text)).collect();
        in_circles(uses(room, &of)).into_keys().collect()
    };
    let room = |texts: &[(&str, &str)]| circles("daemon", texts);
    let mut texts = vec![
        ("src/daemon/mod.rs", "mod a;\nmod b;\nuse self::a::run;"),
        ("src/daemon/a.rs", "use super::{b, c::C};"),
        (
            "src/daemon/b.rs",
            "use super::deep::inner;\n#[cfg(test)]\nmod tests {\n    use super::super::a;\n}",
        ),
        ("src/daemon/c.rs", "use super::now;"),
        ("src/daemon/deep/mod.rs", "mod inner;\nuse super::c;"),
        ("src/daemon/deep/inner.rs", "use super::other;\nfn f() -> crate::daemon::c::C {}"),
    ];
    assert_eq!(room(&texts), [""; 0]);
    for text in ["use super::super::a::A;", "use crate::daemon::{a, c};", "fn f() { super::super::b::f() }"] {
        texts[5].1 = text;
        let circle = room(&texts);
        assert!(
            circle.contains(&"deep".to_owned()) && !circle.contains(&"c".to_owned()),
            "{text}: {circle:?}"
        );
    }
    let drawer = [
        ("src/config/text/a.rs", "use super::b;\nuse crate::config::settings;"),
        ("src/config/text/b.rs", "use crate::config::text::a::A;"),
        ("src/config/settings.rs", "use super::text::b;"),
    ];
    assert_eq!(circles("config/text", &drawer), ["a", "b"]);
    assert_eq!(circles("config", &drawer), ["settings", "text"]);
}

#[test]
fn a_type_is_seen_wherever_it_is_defined() {
    let text = "pub struct A<'a>(&'a str);\npub(super) enum B {\n    C,\n}\nmod m {\n    pub(in crate::m) trait D {\n        \
                type E;\n    }\n    struct F;\n}\ntype G = A<'static>;\n// struct H;\n";
    let source = Source::new("src/engine/mod.rs", text);
    let names: Vec<String> = types(&source.code).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["A", "B", "D", "F", "G"]);
}

#[test]
fn an_impurity_is_seen_in_every_spelling() {
    for text in [
        "let now = std::time::SystemTime::now();",
        "use std::{fmt, fs};",
        "use std::{\n    net::IpAddr,\n    thread,\n};",
        "use std::fs::File;",
        "log::warn!(\"x\");",
        "println!(\"x\");",
        "let t = Timestamp::now();",
    ] {
        assert_eq!(wrong_in("src/engine/mod.rs", text).len(), 1, "{text}");
    }
}
