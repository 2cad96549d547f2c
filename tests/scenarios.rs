//! Stories of days told in milliseconds: `scenarios/*.yaml`, each a few lines of log with their times and the bans that
//! must follow. The simulator is the daemon's core, a configuration read as the daemon reads it, and no clock.
//!
//! ```yaml
//! shows: one sentence
//! zone: Europe/Berlin          # of stamps and of the transcript; UTC where absent
//! times: stamp                 # what counts: the stamp of a line (as in `scan`), or its `arrival` (as in the daemon)
//! now: 2026-11-23T00:00:00Z    # when it is read, for stamps without a year; the story's end where absent
//! config: {…}                  # portcullis.yaml
//! rules: {NAME.yaml: TEXT}     # rules.d
//! sources: [auth, messages]    # the files; `auth` where absent
//! steps:                       # in the order of their times, or `order: written`
//!   - {at: 2026-11-22T14:00:00Z, line: 'sshd[7]: Failed …'}
//!   - {at: …, late: 5d, line: '…'}   # stamped five days before it arrives
//!   - {at: …, every: 20m, times: 72, in: messages, line: '{iso} gw sshd[{n}]: …'}
//!   - {at: …, do: restart}     # what is remembered goes through the journal's rows into a new engine
//!   - {at: …, do: turn over}   # the file ends, another begins
//! until: 2026-11-24T00:00:00Z  # how long the end of bans is waited for; the last step where absent
//! expect: |
//!   2026-11-22 15:20:00 ban 192.0.2.7 until 2026-11-22 16:20:00, the 1st, by sshd
//! ```
//!
//! In lines, `{n}` is a number from 1, `{bsd}`, `{iso}`, `{5424}`, `{supervised}`, `{web}`, `{german}` and `{short}` are the stamp; a line
//! without a stamp begins with `{bsd} gw `.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use portcullis::address::display;
use portcullis::engine::{Engine, Row, Verdict, Why};
use portcullis::pipeline::{Outcome, OutcomeSink, Pipeline, Terms, When};
use portcullis::setup::Setup;
use portcullis::time::Time;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    shows: String,
    #[serde(default = "utc")]
    zone: String,
    #[serde(default)]
    times: Times,
    now: Option<Timestamp>,
    #[serde(default)]
    config: serde_yaml::Mapping,
    #[serde(default)]
    rules: BTreeMap<String, String>,
    #[serde(default = "auth")]
    sources: Vec<String>,
    #[serde(default)]
    order: Order,
    steps: Vec<Step>,
    until: Option<Timestamp>,
    expect: String,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Times {
    #[default]
    Stamp,
    Arrival,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Time,
    Written,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: Timestamp,
    every: Option<String>,
    times: Option<u32>,
    late: Option<String>,
    #[serde(rename = "in")]
    source: Option<String>,
    line: Option<String>,
    #[serde(rename = "do")]
    act: Option<Act>,
}

#[derive(Clone, Copy, Deserialize)]
enum Act {
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "turn over")]
    TurnOver,
}

fn utc() -> String {
    "UTC".into()
}

fn auth() -> Vec<String> {
    vec!["auth".into()]
}

/// One line or act, at its time.
struct Event<'s> {
    at: Time,
    stamped: Time,
    source: usize,
    what: What<'s>,
}

enum What<'s> {
    Line(&'s str, u32),
    Act(Act),
}

impl Story {
    fn events(&self) -> Vec<Event<'_>> {
        let mut events: Vec<Event<'_>> =
            self.steps.iter().flat_map(|step| step.events(&self.sources)).collect();
        if self.order == Order::Time {
            events.sort_by_key(|event| event.at);
        }
        events
    }
}

impl Step {
    fn events<'s>(&'s self, sources: &[String]) -> Vec<Event<'s>> {
        let span = |text: &Option<String>| {
            text.as_ref().map_or(Duration::ZERO, |text| humantime::parse_duration(text).unwrap())
        };
        let every = span(&self.every);
        let late = span(&self.late);
        let named = |name: &String| sources.iter().position(|source| source == name).expect("a source");
        let source = self.source.as_ref().map_or(0, named);
        let event = |n: u32| {
            let what = match (&self.line, self.act) {
                (Some(line), None) => What::Line(line, n),
                (None, Some(act)) => What::Act(act),
                _ => panic!("a step is either a line or an act"),
            };
            let at = Time::from(self.at).plus(every * (n - 1));
            Event { at, stamped: at.minus(late), source, what }
        };
        (1..=self.times.unwrap_or(1)).map(event).collect()
    }
}

/// Takes down what follows from lines.
struct Transcript<'s> {
    zone: &'s TimeZone,
    sentences: &'s mut Vec<String>,
}

impl OutcomeSink for Transcript<'_> {
    fn take(&mut self, outcome: &Outcome<'_>) {
        self.sentences.extend(sentence(outcome, self.zone));
    }
}

/// The story as it is being told.
struct Simulator<'s> {
    story: &'s Story,
    zone: TimeZone,
    setup: Setup,
    pipeline: Pipeline,
    rows: HashMap<String, Row>,
    transcript: Vec<String>,
}

impl<'s> Simulator<'s> {
    fn new(story: &'s Story) -> Self {
        let mut setup = setup(story);
        let end = story.steps.last().map(|step| step.at).unwrap();
        setup.zone = TimeZone::get(&story.zone).unwrap();
        setup.now = story.now.or(story.until).unwrap_or(end).into();
        let pipeline = setup.pipeline(&terms(&setup, story));
        Self {
            story,
            zone: setup.zone.clone(),
            setup,
            pipeline,
            rows: HashMap::new(),
            transcript: Vec::new(),
        }
    }

    fn tell(mut self) -> Vec<String> {
        for event in self.story.events() {
            self.expire(event.at);
            match event.what {
                What::Line(template, n) => self.line(&event, template, n),
                What::Act(Act::TurnOver) => self.pipeline.forget_last_line(event.source),
                What::Act(Act::Restart) => self.restart(),
            }
        }
        if let Some(until) = self.story.until {
            self.expire(until.into());
        }
        self.transcript
    }

    fn line(&mut self, event: &Event<'_>, template: &str, n: u32) {
        let line = self.written(event.stamped, template, n) + "\n";
        let when = match self.story.times {
            Times::Stamp => When::Stamped,
            Times::Arrival => When::Arrived(event.at),
        };
        self.pipeline.set_now(event.source, self.setup.now.max(event.at));
        let mut told = Transcript { zone: &self.zone, sentences: &mut self.transcript };
        self.pipeline.push(event.source, line.as_bytes(), when, &mut told);
    }

    fn written(&self, at: Time, template: &str, n: u32) -> String {
        let local = at.timestamp().to_zoned_datetime(self.zone.clone());
        let stamps = [
            ("{bsd}", "%b %e %H:%M:%S"),
            ("{iso}", "%Y-%m-%dT%H:%M:%S.%6f%:z"),
            ("{web}", "%d/%b/%Y:%H:%M:%S %z"),
            ("{supervised}", "%Y-%m-%d %H:%M:%S.%9f"),
            ("{german}", "%d.%m.%Y %H:%M:%S"),
            ("{short}", "%d.%m.%y um %H:%M"),
            ("{5424}", "<38>1 %Y-%m-%dT%H:%M:%S.%6f%:z"),
        ];
        let stamped = stamps.iter().any(|(mark, _)| template.contains(mark));
        let template = if stamped { template.to_owned() } else { format!("{{bsd}} gw {template}") };
        let line = stamps.iter().fold(template, |line, (mark, format)| {
            if line.contains(mark) { line.replace(mark, &local.strftime(format).to_string()) } else { line }
        });
        line.replace("{n}", &n.to_string())
    }

    /// Lets bans end at their times, up to now.
    fn expire(&mut self, now: Time) {
        while let Some(end) = self.pipeline.engine.next_expiry().filter(|end| *end <= now) {
            for offender in self.pipeline.engine.expire(end) {
                self.transcript.push(format!("{} free {}", end.human(&self.zone), display(&offender)));
            }
        }
    }

    /// A new engine that knows what the journal of the old one said.
    fn restart(&mut self) {
        for row in self.pipeline.engine.changes() {
            match &row {
                Row::BanEnded { offender, .. } => drop(self.rows.remove(&format!("ban {offender}"))),
                _ => drop(self.rows.insert(key(&row), row)),
            }
        }
        let engine = Engine::new(self.pipeline.engine.settings().clone(), self.setup.policies());
        let streams = self.setup.streams(&terms(&self.setup, self.story));
        self.pipeline = Pipeline::new(std::mem::take(&mut self.pipeline.matcher), engine, streams);
        self.rows.values().for_each(|row| self.pipeline.engine.restore(row.clone()));
    }
}

fn key(row: &Row) -> String {
    match row {
        Row::Ban(ban) => format!("ban {}", ban.offender),
        Row::BanEnded { offender, .. } => format!("ban {offender}"),
        Row::History { offender, .. } => format!("history {offender}"),
        Row::Window { set, offender, .. } => format!("window {set} {offender}"),
        Row::Trust { offender, .. } => format!("trust {offender}"),
        Row::Session { key, .. } => format!("session {key:?}"),
        Row::Unban { prefix, .. } => format!("unban {prefix}"),
    }
}

/// What the configuration says of the files: of those that it names, and in no other way of the others.
fn terms(setup: &Setup, story: &Story) -> Vec<Terms> {
    let terms = |name: &String| {
        let path = setup.config.sources.iter().find(|source| source.name == *name).map(|s| s.path.as_str());
        setup.terms_of_source(name, Path::new(path.unwrap_or("/var/log/auth.log")))
    };
    story.sources.iter().map(terms).collect()
}

/// The configuration on a disk, and read from there.
fn setup(story: &Story) -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.d");
    fs::create_dir(&rules).unwrap();
    for (name, text) in &story.rules {
        fs::write(rules.join(name), text).unwrap();
    }
    let mut config = story.config.clone();
    config.insert("version".into(), 1.into());
    config.insert("rules_dir".into(), rules.to_str().unwrap().into());
    let file = directory.path().join("portcullis.yaml");
    fs::write(&file, serde_yaml::to_string(&config).unwrap()).unwrap();
    Setup::load(Some(&file)).unwrap_or_else(|refused| panic!("{}: {refused}", story.shows))
}

/// What the operator would want to know of a verdict, if anything.
fn sentence(outcome: &Outcome<'_>, zone: &TimeZone) -> Option<String> {
    let offender = outcome.judgement.offender.map(|offender| display(&offender)).unwrap_or_default();
    let what = match &outcome.judgement.verdict {
        Verdict::Banned { banned, until, nth, .. } => {
            let until =
                until.map_or_else(|| "for ever".into(), |until| format!("until {}", until.human(zone)));
            format!("ban {} {until}, no. {nth}, by {}", display(banned), outcome.matched.set.name)
        }
        Verdict::Trusted { peer, .. } => format!("login {peer}"),
        Verdict::Ignored(Why::Flood(flood)) if flood.first => format!("flood, not banned: {offender}"),
        Verdict::Ignored(Why::Allowed) => format!("allowed, line of {}", outcome.matched.set.name),
        _ => return None,
    };
    Some(format!("{} {what}", outcome.time?.human(zone)))
}

#[test]
fn every_story_ends_as_it_is_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 15, "only {} stories", paths.len());
    let wrong: Vec<String> = paths.iter().filter_map(|path| differs(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is wrong with the story of a file, if anything.
fn differs(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let story: Story =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let told = Simulator::new(&story).tell().join("\n");
    let expected = story.expect.trim();
    (told != expected)
        .then(|| format!("{}\n{}\n--- expected\n{expected}\n--- told\n{told}", path.display(), story.shows))
}
