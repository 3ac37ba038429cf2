//! From connections that were held to findings; and the search, against paths that forget after any time.

use std::net::SocketAddr;

use holdfast_doctor::idle::examine;
use holdfast_doctor::idle::facts::Facts;
use holdfast_doctor::idle::search::{AT_ONCE, LONGEST_S, Search};
use holdfast_doctor::idle::verdict::{Loss, Verdict};
use holdfast_doctor::report::Report;
use holdfast_link::probe::idle::{End, Hold};
use holdfast_link::probe::watch::{Event, Watched, What};
use proptest::prelude::*;

/// From the first probe until silence is certain.
const PROBING_S: f64 = 10.0;

fn hold(idle_s: f64, end: End) -> Hold {
    let probing = if end == End::Silent { PROBING_S } else { 0.0 };
    Hold { wanted_s: idle_s, from: None, quiet_s: 1.0, idle_s, ended_s: 1.0 + idle_s + probing, end }
}

fn facts(holds: Vec<Hold>, events: Vec<Event>) -> Facts {
    let facts = Facts {
        host: "db1".into(),
        to: SocketAddr::from(([10, 0, 0, 7], 1556)),
        others: Vec::new(),
        agreed: None,
        longest_s: LONGEST_S,
        searched: true,
        probing_s: PROBING_S,
        holds,
        unfinished_s: Vec::new(),
        watched: Watched { events },
        verdict: Verdict::default(),
    };
    facts.judged()
}

fn report(holds: Vec<Hold>, events: Vec<Event>) -> Report<Facts> {
    examine(facts(holds, events))
}

/// Without the breaks of lines.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn codes(report: &Report<Facts>) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn event(from_s: f64, to_s: f64, what: What) -> Event {
    Event { from_s, to_s, what }
}

#[test]
fn what_the_path_forgets_is_told_with_the_time_and_how() {
    for (end, code, how) in [
        (End::Silent, "idle-forgotten", Loss::Silent),
        (End::ResetByProbe, "idle-forgotten-reset", Loss::ResetLater),
        (End::Reset, "idle-forgotten-reset", Loss::ResetAtOnce),
    ] {
        let report =
            report(vec![hold(356.0, end.clone()), hold(345.0, End::Kept), hold(30.0, End::Kept)], vec![]);
        assert_eq!(codes(&report), [code]);
        let verdict = &report.facts.verdict;
        assert_eq!((verdict.kept_s, verdict.lost_s, verdict.how), (Some(345.0), Some(356.0), Some(how)));
        let text = report.text();
        // What lies between is a limit that is known; half of what was kept is safe.
        for part in ["5 min 45 s", "5 min 56 s", "AWS", "at most 2 min 52 s", "10.0.0.7, tcp port 1556"] {
            assert!(words(&text).contains(part), "{part}: {text}");
        }
        assert!(text.contains("--idle-timeout 345s"), "{text}");
        assert!(!text.contains("Azure"), "{text}");
    }
}

#[test]
fn settings_that_survive_are_told_apart_from_those_that_do_not() {
    let lost = |kept: f64| report(vec![hold(kept, End::Kept), hold(kept + 1.0, End::Silent)], vec![]);
    let told = |report: &Report<Facts>| format!("{:?}", report.findings[0].evidence);
    let (short, long, longest) = (told(&lost(59.0)), told(&lost(61.0)), told(&lost(14_500.0)));
    assert!(short.contains("heartbeat (every 30 s): does not survive it safely"), "{short}");
    assert!(long.contains("heartbeat (every 30 s): survives it"), "{long}");
    assert!(long.contains("after 2 h): does not survive it safely"), "{long}");
    assert!(longest.contains("after 2 h): survives it"), "{longest}");
    // Where nothing was lost, what was not examined is not called bad.
    let kept = told(&report(vec![hold(59.0, End::Kept)], vec![]));
    assert!(kept.contains("heartbeat (every 30 s): would need longer times to be examined"), "{kept}");
}

#[test]
fn a_loss_while_the_path_was_away_is_no_verdict() {
    // Probes went at 61 s, and until 71 s none was answered.
    for (what, from, to, counts) in [
        (What::Silence, 58.0, 80.0, false),
        (What::Silence, 65.0, 69.0, false),
        (What::Silence, 20.0, 40.0, true),
        (What::Silence, 72.0, 80.0, true),
        (What::Reset, 30.0, 30.0, false),
        (What::Refused, 30.0, 30.0, false),
        (What::Reset, 0.5, 0.5, true),
        // Services close what says nothing: that is no sign of the path.
        (What::Closed, 65.0, 65.0, true),
    ] {
        let report = report(vec![hold(60.0, End::Silent)], vec![event(from, to, what)]);
        assert_eq!(report.facts.verdict.lost_s.is_some(), counts, "{what:?} {from} {to}");
        assert_eq!(codes(&report).contains(&"idle-forgotten"), counts, "{what:?} {from} {to}");
        assert_eq!(codes(&report).contains(&"idle-path-away"), what != What::Closed, "{what:?} {from} {to}");
    }
    // An answer is an answer, whatever else happened.
    let kept = report(vec![hold(60.0, End::Kept)], vec![event(30.0, 30.0, What::Reset)]);
    assert_eq!(codes(&kept), ["idle-path-away", "idle-kept"]);
}

#[test]
fn a_far_end_that_closes_ends_the_verdict_and_is_named() {
    let closed: Vec<Hold> = (0..4)
        .map(|at| {
            let mut hold = hold(60.0, End::Closed);
            (hold.wanted_s, hold.quiet_s) = (100.0 + f64::from(at), f64::from(at));
            hold.ended_s = hold.quiet_s + 60.0;
            hold
        })
        .collect();
    let report = report(closed.clone(), vec![]);
    assert_eq!(codes(&report), ["idle-closed", "idle-kept"]);
    assert_eq!((report.facts.verdict.kept_s, report.facts.verdict.closed_s), (Some(60.0), Some(60.0)));
    assert!(!report.facts.verdict.closed_together);
    // At one moment, whatever they had been idle for: something else than a timer of each.
    let together = closed.into_iter().map(|mut hold| {
        hold.idle_s = 90.0 - hold.quiet_s;
        hold.ended_s = 90.0;
        hold
    });
    let report = self::report(together.collect(), vec![]);
    assert!(report.facts.verdict.closed_together);
    assert!(report.text().contains("at one moment"), "{}", report.text());
}

#[test]
fn what_was_not_idle_and_what_contradicts_is_said() {
    let report = report(vec![hold(60.0, End::NotIdle)], vec![]);
    assert_eq!(codes(&report), ["idle-not-idle"]);
    let report = self::report(vec![hold(60.0, End::Silent), hold(120.0, End::Kept)], vec![]);
    assert_eq!(codes(&report), ["idle-contradiction"]);
    let none = self::report(vec![hold(60.0, End::NotConnected { why: "refused".into() })], vec![]);
    assert!(none.findings.is_empty());
    assert!(none.unknown.iter().any(|sentence| sentence.contains("could not be made")), "{:?}", none.unknown);
}

#[test]
fn a_given_list_is_all_that_is_held() {
    let search = Search::Given(vec![30.0, 300.0, 30.0, 120.0]);
    assert_eq!(search.begin(), [300.0, 120.0, 30.0]);
    let lost = [hold(30.0, End::Silent)];
    let next = search.next(40.0, &lost, &Watched::default(), &[300.0, 120.0]);
    assert_eq!((next.start, next.stop_above), (vec![], None));
}

#[test]
fn what_was_lost_while_the_path_was_away_is_held_once_more() {
    let search = Search::UpTo(60.0);
    let watched = Watched { events: vec![event(58.0, 80.0, What::Silence)] };
    let mut holds = vec![hold(60.0, End::Silent)];
    assert_eq!(search.next(71.0, &holds, &watched, &[]).start, [60.0]);
    holds.push(hold(60.0, End::Silent));
    assert!(search.next(142.0, &holds, &watched, &[]).start.is_empty());
}

/// A path that forgets after so long, or never; how a search ends on it, and when.
fn searched(longest: f64, forgets: f64) -> (Verdict, f64) {
    let search = Search::UpTo(longest);
    let watched = Watched::default();
    let (mut holds, mut now) = (Vec::new(), 0.0);
    let ends = |begun: f64, wanted: f64| begun + wanted + if wanted >= forgets { PROBING_S } else { 0.0 };
    let mut held: Vec<(f64, f64)> =
        search.begin().into_iter().map(|wanted| (ends(0.0, wanted), wanted)).collect();
    while !held.is_empty() {
        assert!(held.len() <= AT_ONCE, "{} at once", held.len());
        held.sort_by(|one, other| other.0.total_cmp(&one.0));
        let Some((at, wanted)) = held.pop() else { break };
        now = at;
        holds.push(hold(wanted, if wanted >= forgets { End::Silent } else { End::Kept }));
        let times: Vec<f64> = held.iter().map(|(_, wanted)| *wanted).collect();
        let next = search.next(now, &holds, &watched, &times);
        if let Some(above) = next.stop_above {
            held.retain(|(_, wanted)| *wanted <= above);
        }
        held.extend(next.start.into_iter().map(|wanted| (ends(now, wanted), wanted)));
        assert!(holds.len() < 100, "it does not end");
    }
    (Verdict::of(&holds, &watched), now)
}

#[test]
fn sixty_minutes_are_searched_in_sixty_minutes() {
    let (verdict, took) = searched(LONGEST_S, f64::INFINITY);
    assert_eq!((verdict.kept_s, verdict.lost_s), (Some(LONGEST_S), None));
    assert!(took <= LONGEST_S + PROBING_S, "{took}");
}

#[test]
fn usual_limits_are_found_closely() {
    for limit in [60.0, 120.0, 240.0, 300.0, 350.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0] {
        let (verdict, took) = searched(LONGEST_S, limit);
        let (kept, lost) = (verdict.kept_s.unwrap(), verdict.lost_s.unwrap());
        assert!(kept < limit && lost >= limit && lost - kept <= limit * 0.05, "{limit}: {kept} to {lost}");
        assert!(took <= (limit * 2.5 + 90.0).min(LONGEST_S + 60.0), "{limit}: {took}");
    }
}

proptest! {
    #[test]
    fn any_limit_is_found_and_in_time(longest in 4.0..10_000.0f64, share in 0.05..1.2f64) {
        let limit = longest * share;
        let (verdict, took) = searched(longest, limit);
        prop_assert!(!verdict.contradicts());
        prop_assert!(verdict.kept_s.is_none_or(|kept| kept < limit));
        prop_assert!(verdict.lost_s.is_none_or(|lost| lost >= limit));
        prop_assert_eq!(verdict.lost_s.is_some(), limit <= longest);
        prop_assert!(took <= longest + 60.0, "{}", took);
        if let Some((kept, lost)) = verdict.kept_s.zip(verdict.lost_s) {
            // The first round alone is as close as this; what time is left makes it closer.
            prop_assert!(lost / kept <= 1.6 || lost - kept <= 1.0, "{} to {}", kept, lost);
        }
    }
}
