//! Windows against naive models, and at their bounds.

use proptest::prelude::*;

use super::*;

const SET: (usize, Evidence) = (0, Evidence::Handshake);
const WITHIN: Duration = Duration::from_secs(60);
const MINUTE: Thresholds = Thresholds::one(Threshold { offences: 5, within: WITHIN });

/// What the only window of an offender holds.
fn held(windows: &Windows, offender: &Prefix, now: Time) -> u32 {
    windows.fills(SET, offender, now, &MINUTE).first().map_or(0, |fill| fill.tenths)
}

fn offender(n: u32) -> Prefix {
    Prefix::from(std::net::IpAddr::V4(n.into()))
}

#[test]
fn a_late_line_counts_in_its_own_time_and_takes_nothing_from_newer_ones() {
    let mut windows = Windows::new(10);
    let mut add = |second: i64, is_late: bool| {
        let add = if is_late { Windows::add_late } else { Windows::add };
        add(&mut windows, SET, offender(1), Time::from_secs(second), 10, &MINUTE).tenths
    };
    assert_eq!((add(10_000, false), add(10_010, false), add(10_020, false)), (10, 20, 30));
    assert_eq!((add(0, true), add(30, true)), (10, 20), "hours before, and two of them together");
    assert_eq!(add(9_970, true), 40, "in one window with all three");
    assert_eq!(add(10_025, false), 50, "all of the last minute, the late one too");
    assert_eq!(add(10_100, false), 10);
}

proptest! {
    /// The naive model keeps everything and adds up what is inside the window at each question.
    #[test]
    fn agrees_with_a_naive_model(steps in prop::collection::vec((0u32..3, -15i64..40, 1u32..20), 1..200)) {
        let mut windows = Windows::new(10);
        let mut model: Vec<(u32, Time, u32)> = Vec::new();
        let mut now = 1_000_000;
        for (who, pause, tenths) in steps {
            now += pause * 1000;
            let time = Time::from_millis(now);
            // An age of less than the window, or a little ahead of now.
            let inside = |at: Time| time.since(at).map_or_else(|| at <= time.plus(DISORDER), |age| age < WITHIN);
            model.retain(|(other, at, _)| *other != who || inside(*at));
            model.push((who, time, tenths));
            let expected: u32 = model.iter().filter(|(other, ..)| *other == who).map(|(.., n)| n).sum();
            prop_assert_eq!(windows.add(SET, offender(who), time, tenths, &MINUTE).tenths, expected);
        }
    }
}

proptest! {
    /// Several windows over one memory are as full as each would be alone, and the nearest to its threshold is told.
    #[test]
    fn of_several_windows_the_fullest_is_told(
        steps in prop::collection::vec((0i64..400, 1u32..20), 1..60),
        sizes in prop::collection::vec((1u32..30, 1u64..2000), 1..4),
    ) {
        let window = |(offences, seconds)| Threshold { offences, within: Duration::from_secs(seconds) };
        let thresholds = Thresholds::new(sizes.into_iter().map(window).collect()).unwrap();
        let alone: Vec<Thresholds> = thresholds.iter().map(Thresholds::one).collect();
        let (mut together, mut apart) = (Windows::new(1), alone.iter().map(|_| Windows::new(1)).collect::<Vec<_>>());
        let mut now = 1_000_000;
        for (pause, tenths) in steps {
            now += pause * 1000;
            let time = Time::from_millis(now);
            let told = together.add(SET, offender(1), time, tenths, &thresholds);
            let fills = apart.iter_mut().zip(&alone).enumerate().map(|(nth, (one, alone))| {
                if nth == 0 || tenths >= WHOLE {
                    return one.add(SET, offender(1), time, tenths, alone);
                }
                let nothing = Fill { tenths: 0, threshold: alone.shortest() };
                one.fills(SET, &offender(1), time, alone).first().copied().unwrap_or(nothing)
            });
            let part = |fill: &Fill| f64::from(fill.tenths) / f64::from(fill.threshold.offences);
            let fills: Vec<Fill> = fills.collect();
            let most = fills.iter().map(part).fold(0.0, f64::max);
            prop_assert!(fills.contains(&told) && (part(&told) - most).abs() < 1e-9, "{told:?} of {fills:?}");
        }
    }
}

/// Ten probes an hour, as of a monitor, for a day: no window of a day ever sees them, and no memory is kept of them.
#[test]
fn what_weighs_less_than_an_offence_counts_in_the_shortest_window_alone() {
    let day = Threshold { offences: 12, within: Duration::from_secs(86_400) };
    let both = Thresholds::new(vec![MINUTE.shortest(), day]).unwrap();
    let mut windows = Windows::new(10);
    for n in 0..240 {
        let fill = windows.add(SET, offender(1), Time::from_secs(n * 360), 2, &both);
        assert_eq!((fill.tenths, fill.threshold), (2, both.shortest()));
    }
    assert_eq!(windows.seen.get(SET.1, &(0, offender(1))).unwrap().len(), 1);
    let mut last = None;
    for n in 0..12 {
        last = Some(windows.add(SET, offender(2), Time::from_secs(90_000 + n * 3600), WHOLE, &both));
    }
    assert_eq!(last, Some(Fill { tenths: 12 * WHOLE, threshold: day }), "whole offences are all seen");
}

#[test]
fn an_offence_leaves_exactly_when_the_window_has_passed() {
    let mut windows = Windows::new(10);
    let start = Time::from_secs(1000);
    assert_eq!(windows.add(SET, offender(1), start, 10, &MINUTE).tenths, 10);
    assert_eq!(held(&windows, &offender(1), start.plus(WITHIN).minus(Duration::from_millis(1))), 10);
    assert_eq!(windows.add(SET, offender(1), start.plus(WITHIN), 10, &MINUTE).tenths, 10);
}

#[test]
fn the_oldest_offences_are_forgotten_first() {
    let mut windows = Windows::new(1);
    for second in 0..3 {
        windows.add(SET, offender(1), Time::from_secs(second), 10, &MINUTE);
    }
    windows.reduce(SET, offender(1), 15);
    let seen = windows.seen.get(SET.1, &(0, offender(1))).unwrap();
    assert_eq!(seen[..], [(Time::from_secs(1), 5), (Time::from_secs(2), 10)]);
    windows.reduce(SET, offender(1), 20);
    assert_eq!(total(windows.seen.get(SET.1, &(0, offender(1))).unwrap().iter()), 15);
}

#[test]
fn a_clock_set_back_forgets_instead_of_banning() {
    let mut windows = Windows::new(10);
    let late = Time::from_secs(7200);
    windows.add(SET, offender(1), late, 40, &MINUTE);
    assert_eq!(windows.add(SET, offender(1), late.minus(Duration::from_secs(3600)), 10, &MINUTE).tenths, 10);
}

#[test]
fn memory_is_bounded_and_the_longest_unseen_leaves_first() {
    let mut windows = Windows::new(3);
    for n in [1, 2, 3, 1, 4] {
        windows.add(SET, offender(n), Time::from_secs(i64::from(n)), 10, &MINUTE);
    }
    assert_eq!((windows.len(), windows.evicted()), (3, 1));
    assert_eq!(held(&windows, &offender(2), Time::from_secs(4)), 0, "2 was the longest unseen");
    assert_eq!(held(&windows, &offender(1), Time::from_secs(4)), 20);
}

#[test]
fn one_offender_cannot_grow_without_bound() {
    let mut windows = Windows::new(1);
    for n in 0..5000 {
        windows.add(SET, offender(1), Time::from_millis(n), 1, &MINUTE);
    }
    assert_eq!(windows.seen.get(SET.1, &(0, offender(1))).unwrap().len(), MAX_ENTRIES);
    assert_eq!(held(&windows, &offender(1), Time::from_millis(5000)), 5000, "none is lost inside");
}
