//! What follows from a log does not depend on how it is handed to the pipeline, nor on which thread looks at which part.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use portcullis::address::display;
use portcullis::engine::Verdict;
use portcullis::pipeline::{Hits, LineSplitter, Outcome, OutcomeSink, Pipeline, When};
use portcullis::setup::Setup;
use proptest::prelude::*;
use serde_json::Value;

use crate::util::Dir;

/// The shipped rule sets, whatever is installed on this machine.
fn pipeline(dir: &Dir) -> Pipeline {
    let rules = dir.path().join("rules.d");
    let config = dir.write("portcullis.yaml", format!("version: 1\nrules_dir: '{}'\n", rules.display()));
    std::fs::create_dir_all(rules).unwrap();
    let mut setup = Setup::load(Some(&config)).unwrap_or_else(|refused| panic!("{refused}"));
    let terms = setup.terms_of_file(Path::new("auth.log"));
    setup.pipeline(&[terms])
}

/// What becomes of each line, as far as it is to be the same.
#[derive(Default)]
struct Told(Vec<String>);

impl OutcomeSink for Told {
    fn take(&mut self, outcome: &Outcome<'_>) {
        let Outcome { line, record, matched, count, time, judgement, .. } = outcome;
        self.0.push(format!("{line:?} {record:?} {} {count} {time:?} {judgement:?}", matched.name()));
    }
}

/// Where each of the lines begins whose places are drawn, and the end.
fn cuts(text: &str, drawn: &[usize]) -> Vec<usize> {
    let begins: Vec<usize> = LineSplitter::new(text.as_bytes(), None).map(|line| line.end).collect();
    let mut cuts: Vec<usize> = drawn.iter().filter_map(|place| begins.get(*place).copied()).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts
}

fn line() -> impl Strategy<Value = String> {
    let known = (0..3u8, 1..4u32).prop_map(|(peer, pid)| {
        format!("gw sshd[{pid}]: Failed password for root from 192.0.2.{peer} port 4 ssh2")
    });
    let message = prop_oneof![
        4 => known,
        2 => (1..9u32).prop_map(|count| format!("gw syslogd: last message repeated {count} times")),
        1 => (1..9u32).prop_map(|count| format!("gw sshd[7]: message repeated {count} times: [ Failed password for root from 192.0.2.9 port 4 ssh2]")),
        1 => Just("gw cron[5]: nobody's".to_owned()),
        1 => Just("gw sshd[3]: no rule knows this".to_owned()),
        1 => Just("gw newsyslog[9]: logfile turned over".to_owned()),
    ];
    let before = prop_oneof![9 => Just(""), 1 => Just("\0\0")];
    (before, 0..60u32, message)
        .prop_map(|(before, second, message)| format!("{before}Nov 22 14:38:{second:02} {message}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_pushed_at_once_in_pieces_or_by_halves_come_to_the_same(
        lines in prop::collection::vec(line(), 0..40),
        drawn in prop::collection::vec(0..40usize, 0..6),
    ) {
        let dir = Dir::new();
        let text = lines.concat();
        let mut at_once = Told::default();
        let mut in_pieces = Told::default();
        let mut by_halves = Told::default();
        pipeline(&dir).push(0, text.as_bytes(), When::Replayed, &mut at_once);
        let cuts = cuts(&text, &drawn);
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
        let mut other = pipeline(&dir);
        for piece in &pieces {
            other.push(0, piece, When::Replayed, &mut in_pieces);
        }
        prop_assert_eq!(&in_pieces.0, &at_once.0);
        // All is found, the last piece first, before anything is judged.
        let mut other = pipeline(&dir);
        let finder = other.finder(0);
        let mut found: Vec<(&[u8], Hits)> = Vec::new();
        for piece in pieces.into_iter().rev() {
            let mut hits = Hits::default();
            finder.find(piece, &mut hits);
            found.push((piece, hits));
        }
        for (piece, hits) in found.iter().rev() {
            other.judge(0, piece, hits.all(), When::Replayed, &mut by_halves);
        }
        prop_assert_eq!(by_halves.0, at_once.0);
    }
}

/// Offences, in tenths, and bans by offender.
#[derive(Default)]
struct Sums(BTreeMap<String, (u64, u64)>);

impl OutcomeSink for Sums {
    fn take(&mut self, outcome: &Outcome<'_>) {
        let Some(offender) = outcome.judgement.offender else { return };
        let (tenths, bans) = self.0.entry(display(&offender)).or_default();
        *tenths += u64::from(outcome.judgement.tenths);
        *bans += u64::from(matches!(outcome.judgement.verdict, Verdict::Banned { .. }));
    }
}

/// Larger than a scan reads before other threads help.
fn large_log() -> String {
    let mut text = String::new();
    for n in 0..70_000u32 {
        let stamp = format!("Nov 22 {:02}:{:02}:{:02} gw", n / 3600, n / 60 % 60, n % 60);
        let message = match n % 7 {
            0..=2 => format!("sshd[{}]: Failed password for root from 192.0.2.{} port 4 ssh2", n / 3, n % 50),
            3 => "syslogd: last message repeated 2 times".to_owned(),
            4 => "cron[9]: nobody's".to_owned(),
            _ => format!("sshd[{}]: Invalid user x from 198.51.100.{} port 4", n / 5, n % 251),
        };
        writeln!(text, "{stamp} {message}").unwrap();
    }
    text
}

#[test]
fn a_scan_on_all_cores_finds_what_one_thread_finds() {
    let dir = Dir::new();
    let mut pipeline = pipeline(&dir);
    let text = large_log();
    let mut sums = Sums::default();
    let judged = pipeline.push(0, text.as_bytes(), When::Replayed, &mut sums);
    dir.write("auth.log", &text);
    let ran = dir.portcullis(["scan", "--json", "-c", "portcullis.yaml", "auth.log"]).run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((report["lines"].as_u64(), report["matched"].as_u64()), (Some(70_000), Some(judged.known)));
    assert!(judged.known > 50_000 && sums.0.len() > 250, "{judged:?}");
    for found in report["offenders"].as_array().unwrap() {
        let (tenths, bans) = sums.0.remove(found["offender"].as_str().unwrap()).expect("an offender");
        assert_eq!(found["offences"].as_f64(), Some(tenths as f64 / 10.0), "{found}");
        assert_eq!(found["bans"].as_array().map(|bans| bans.len() as u64), Some(bans), "{found}");
    }
    assert!(sums.0.is_empty(), "{:?}", sums.0);
}
