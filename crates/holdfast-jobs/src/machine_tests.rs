//! The job machine: each rule of docs/jobs.md by name, random histories, and every short history there is.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::attempt::Kind;
use crate::resumes::RESUMES_MAX;

const IMAGE: ImageId = ImageId([7; 16]);

fn at(millis: u64) -> Now {
    Now { run_millis: millis, day_millis: 1_000_000_000 + millis }
}

fn epoch(counter: u64) -> Epoch {
    Epoch { incarnation: 1, counter }
}

fn ended(kind: Kind) -> Outcome {
    let image = matches!(kind, Kind::Done | Kind::Partly).then_some(IMAGE);
    Outcome { kind, cause: String::new(), image }
}

/// A job with an attempt that its client works on.
fn running() -> Job {
    let mut job = Job::new(Rules::default(), at(0));
    assert!(job.on(Event::Begin { incarnation: 1 }, at(0)).contains(&Action::Start(epoch(1))));
    job.on(Event::Accepted(epoch(1)), at(10));
    job
}

fn status(job: &Job) -> Option<Status> {
    match job.state() {
        State::Done { status } => Some(*status),
        _ => None,
    }
}

#[test]
fn a_job_that_goes_well_is_done_once_and_settled() {
    let mut job = running();
    let actions = job.on(Event::Ended(epoch(1), ended(Kind::Partly)), at(20));
    assert!(actions.contains(&Action::Settle(epoch(1))));
    assert_eq!((status(&job), job.image()), (Some(Status::Partly), Some(IMAGE)));
    // Said again, since the settlement was lost.
    assert_eq!(job.on(Event::Ended(epoch(1), ended(Kind::Partly)), at(30)), [Action::Settle(epoch(1))]);
    assert_eq!(status(&job), Some(Status::Partly));
}

#[test]
fn a_lost_connection_changes_nothing_but_what_is_shown() {
    let mut job = running();
    job.on(Event::Silent(Host::Client), at(1_000));
    assert_eq!(job.next_wake(), Some(1_000 + WAITING_MILLIS));
    assert_eq!(job.on(Event::Tick, at(16_000)), [Action::Note(Note::Waiting(Host::Client))]);
    assert_eq!(job.on(Event::Tick, at(20 * 3_600_000)), []);
    let back = job.on(Event::Attends { host: Host::Client, runs: true }, at(20 * 3_600_000));
    assert_eq!(back, [Action::Note(Note::Back(Host::Client))]);
    assert_eq!(job.epoch(), Some(epoch(1)));
}

#[test]
fn a_host_that_stays_away_longer_than_the_limit_ends_the_attempt_and_its_image_is_still_welcome() {
    let mut job = running();
    job.on(Event::Silent(Host::Client), at(0));
    let actions = job.on(Event::Tick, at(24 * 3_600_000));
    assert!(actions.contains(&Action::Cancel(epoch(1))));
    assert!(matches!(job.state(), State::Incomplete { .. }));
    let actions = job.on(Event::Ended(epoch(1), ended(Kind::Done)), at(25 * 3_600_000));
    assert!(actions.contains(&Action::Note(Note::Late(epoch(1)))), "{actions:?}");
    assert_eq!(status(&job), Some(Status::Done));
}

#[test]
fn a_lost_process_begins_anew_at_once_and_costs_a_try_only_without_a_checkpoint() {
    let mut job = running();
    // Each attempt lasts for a while.
    let time = |counter: u64| at(counter * 3_600_000);
    for counter in 1..20 {
        job.on(Event::Progress { epoch: epoch(counter), checkpoint: true }, time(counter));
        let actions = job.on(Event::Attends { host: Host::Client, runs: false }, time(counter));
        assert!(actions.contains(&Action::Start(epoch(counter + 1))), "{actions:?}");
    }
    for counter in 20..24 {
        assert_eq!(job.epoch(), Some(epoch(counter)), "still tried");
        job.on(Event::Accepted(epoch(counter)), time(counter));
        job.on(Event::Attends { host: Host::Client, runs: false }, time(counter));
    }
    assert_eq!(status(&job), Some(Status::ConnectionBroken), "four in a row without a checkpoint");
}

/// A host that says at every turn that it has made a checkpoint, and that all is lost; and a driver that does what is said.
/// How many attempts that takes until the job is done, and how long.
fn loses_for_ever(lost: impl Fn(Epoch) -> Event) -> (Job, u32, u64) {
    let (mut job, mut now, mut attempts) = (running(), 10, 1);
    while !job.is_done() {
        let last = job.epoch().unwrap();
        job.on(Event::Progress { epoch: last, checkpoint: true }, at(now));
        job.on(lost(last), at(now));
        if let State::Incomplete { next } = *job.state() {
            assert_eq!(job.next_wake(), Some(next));
            now = next;
            job.on(Event::Tick, at(now));
            job.on(Event::Begin { incarnation: 1 }, at(now));
        }
        attempts += u32::from(job.epoch() > Some(last));
    }
    (job, attempts, now)
}

#[test]
fn who_is_lost_at_every_turn_is_waited_for_longer_and_not_for_ever() {
    let ended = |epoch| Event::Ended(epoch, ended(Kind::MediaLost));
    let lost: [&dyn Fn(Epoch) -> Event; 2] =
        [&ended, &|_| Event::Attends { host: Host::Client, runs: false }];
    for lost in lost {
        let (job, attempts, took) = loses_for_ever(lost);
        assert_eq!(status(&job), Some(Status::ConnectionBroken));
        // One more for each try that is left.
        assert_eq!(attempts, RESUMES_MAX + Tries::default().count);
        assert!(took > u64::from(RESUMES_MAX - 10) * 60_000, "{took} ms");
    }
}

#[test]
fn a_job_that_a_person_wants_tried_again_is_resumed_at_once() {
    let (mut job, ..) = loses_for_ever(|epoch| Event::Ended(epoch, ended(Kind::MediaLost)));
    let last = job.epoch().unwrap();
    let now = at(1_000_000_000);
    job.on(Event::Retry, now);
    job.on(Event::Begin { incarnation: 1 }, now);
    let next = Epoch::after(Some(last), 1);
    job.on(Event::Progress { epoch: next, checkpoint: true }, now);
    let actions = job.on(Event::Ended(next, ended(Kind::MediaLost)), now);
    assert!(actions.contains(&Action::Start(Epoch::after(Some(next), 1))), "{actions:?}");
}

#[test]
fn an_order_that_was_not_taken_up_is_given_again_as_the_same_attempt() {
    let mut job = Job::new(Rules::default(), at(0));
    job.on(Event::Begin { incarnation: 1 }, at(0));
    let attends = Event::Attends { host: Host::Client, runs: false };
    assert_eq!(job.on(attends, at(5)), [Action::Start(epoch(1))]);
    assert_eq!(job.on(Event::Tick, at(ORDER_MILLIS)), []);
    assert_eq!(job.on(Event::Tick, at(5 + ORDER_MILLIS)), [Action::Start(epoch(1))]);
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let mut job = running();
    for counter in 1..4 {
        job.on(Event::Ended(epoch(counter), ended(Kind::VaultFull)), at(counter * 100_000));
        let next = counter * 100_000 + 60_000;
        assert_eq!(*job.state(), State::Incomplete { next });
        assert_eq!(job.next_wake(), Some(next));
        job.on(Event::Tick, at(next));
        assert_eq!(*job.state(), State::Queued);
        job.on(Event::Begin { incarnation: 1 }, at(next));
    }
    job.on(Event::Ended(epoch(4), ended(Kind::VaultFull)), at(500_000));
    assert_eq!(status(&job), Some(Status::VaultFull));

    let rules = Rules { tries: Tries { count: 2, ..Tries::default() }, ..Rules::default() };
    let mut job = Job::new(rules, at(0));
    job.on(Event::Begin { incarnation: 1 }, at(0));
    job.on(Event::Progress { epoch: epoch(1), checkpoint: true }, at(10));
    job.on(Event::Ended(epoch(1), ended(Kind::Busy)), at(20));
    assert_eq!(*job.state(), State::Incomplete { next: 60_020 }, "not at once, though there is a checkpoint");
    job.on(Event::Tick, at(60_020));
    job.on(Event::Begin { incarnation: 1 }, at(60_020));
    job.on(Event::Ended(epoch(2), ended(Kind::Busy)), at(60_030));
    assert_eq!(status(&job), Some(Status::MediaBusy));

    let mut job = running();
    job.on(Event::Ended(epoch(1), ended(Kind::NoFiles)), at(20));
    assert_eq!(status(&job), Some(Status::NoFiles));
    assert_eq!(job.on(Event::Retry, at(30)), [Action::Note(Note::Retried)]);
    assert_eq!(*job.state(), State::Queued);
}

#[test]
fn a_lost_answer_to_commit_is_no_failure() {
    for kind in [Kind::MediaLost, Kind::VaultFailed, Kind::NotConnected, Kind::Defect, Kind::Busy] {
        let mut job = running();
        assert_eq!(
            job.on(Event::Committed { epoch: epoch(1), image: IMAGE, partly: false }, at(20)),
            [Action::Settle(epoch(1))]
        );
        job.on(Event::Ended(epoch(1), ended(kind)), at(30));
        assert_eq!(status(&job), Some(Status::Done), "{kind:?}");
    }
}

#[test]
fn a_client_that_is_lost_or_hangs_after_the_commit_takes_nothing_back() {
    let stall = Rules { stall_millis: Some(60_000), ..Rules::default() };
    for count in [1, 4] {
        let rules = Rules { tries: Tries { count, ..Tries::default() }, ..stall };
        for event in [Event::Attends { host: Host::Client, runs: false }, Event::Tick] {
            let mut job = Job::new(rules, at(0));
            job.on(Event::Begin { incarnation: 1 }, at(0));
            job.on(Event::Accepted(epoch(1)), at(10));
            job.on(Event::Committed { epoch: epoch(1), image: IMAGE, partly: false }, at(20));
            let actions = job.on(event, at(100_000));
            assert_eq!((status(&job), job.image()), (Some(Status::Done), Some(IMAGE)));
            assert!(!actions.iter().any(|action| matches!(action, Action::Start(_))), "{actions:?}");
        }
    }
}

#[test]
fn after_a_catalog_was_restored_no_epoch_of_before_is_given_again() {
    for lost in
        [Event::Attends { host: Host::Client, runs: false }, Event::Ended(epoch(1), ended(Kind::MediaLost))]
    {
        let mut before = running();
        // From a copy that was made before the second attempt began.
        let mut restored = before.clone();
        before.on(lost.clone(), at(20));
        restored.resume(2, at(100));
        restored.on(lost, at(110));
        assert_eq!(before.epoch(), Some(epoch(2)));
        assert_eq!(restored.epoch(), Some(Epoch { incarnation: 2, counter: 1 }));
    }
}

#[test]
fn cancel_is_final_at_once_with_a_dead_peer_too() {
    let mut job = running();
    job.on(Event::Silent(Host::Client), at(20));
    assert!(job.on(Event::Cancel, at(30)).contains(&Action::Cancel(epoch(1))));
    assert_eq!(status(&job), Some(Status::Cancelled));
    job.on(Event::Ended(epoch(1), ended(Kind::Done)), at(40));
    assert_eq!((status(&job), job.image()), (Some(Status::Cancelled), Some(IMAGE)), "kept and shown");
}

#[test]
fn a_job_without_progress_is_shown_and_ended_only_if_the_policy_says_so() {
    let mut job = running();
    assert_eq!(job.on(Event::Tick, at(10 + STALLED_MILLIS)), [Action::Note(Note::Stalled)]);
    assert_eq!(job.on(Event::Tick, at(100 * STALLED_MILLIS)), []);
    let moved = Event::Progress { epoch: epoch(1), checkpoint: false };
    assert_eq!(job.on(moved, at(100 * STALLED_MILLIS)), [Action::Note(Note::Moving)]);

    let rules = Rules { stall_millis: Some(5_000), ..Rules::default() };
    let mut job = Job::new(rules, at(0));
    job.on(Event::Begin { incarnation: 1 }, at(0));
    job.on(Event::Accepted(epoch(1)), at(0));
    assert!(job.on(Event::Tick, at(5_000)).contains(&Action::Cancel(epoch(1))));
}

#[test]
fn an_attempt_that_is_given_up_is_not_ordered_once_more() {
    let rules = Rules { stall_millis: Some(ORDER_MILLIS / 2), ..Rules::default() };
    let mut job = Job::new(rules, at(0));
    job.on(Event::Begin { incarnation: 1 }, at(0));
    // Nobody has looked at it for long: the limit is over, and so is the time after which an order is repeated.
    let actions = job.on(Event::Tick, at(2 * ORDER_MILLIS));
    assert_eq!(actions, [Action::Cancel(epoch(1))]);
}

#[test]
fn a_window_that_ends_is_for_jobs_that_never_began() {
    let mut job = Job::new(Rules::default(), at(0));
    job.on(Event::WindowOver, at(1));
    assert_eq!(status(&job), Some(Status::WindowOver));
    let mut job = running();
    assert_eq!(job.on(Event::WindowOver, at(20)), []);
}

#[test]
fn a_new_process_of_the_primary_server_goes_on_with_the_same_attempt() {
    let mut job = running();
    let stored = serde_json::to_string(&job).unwrap();
    job = serde_json::from_str(&stored).unwrap();
    job.resume(1, Now { run_millis: 3, day_millis: at(99).day_millis });
    assert!(job.next_wake().is_some_and(|wake| wake > 3), "hosts have time to come back");
    assert_eq!(job.on(Event::Attends { host: Host::Client, runs: true }, at(10)), []);
    assert_eq!(job.epoch(), Some(epoch(1)));
    job.on(Event::Ended(epoch(1), ended(Kind::Done)), at(20));
    assert_eq!(status(&job), Some(Status::Done));
}

// ---- histories ----

/// What must hold after every event.
struct Checker {
    given: HashSet<Epoch>,
    highest: Option<Epoch>,
    before: Option<Status>,
    image: Option<ImageId>,
}

impl Checker {
    fn new() -> Self {
        Self { given: HashSet::new(), highest: None, before: None, image: None }
    }

    fn check(&mut self, job: &Job, event: &Event, actions: &[Action]) {
        for action in actions {
            if let Action::Note(Note::Begun(epoch)) = action {
                assert!(self.given.insert(*epoch), "{epoch} was given out twice");
                assert!(self.highest < Some(*epoch), "epochs only grow");
                self.highest = Some(*epoch);
            }
            if let Action::Start(epoch) = action {
                assert_eq!(Some(*epoch), job.epoch(), "only the last attempt is ordered");
            }
        }
        if let Event::Ended(epoch, _) | Event::Committed { epoch, .. } = event {
            assert!(actions.contains(&Action::Settle(*epoch)), "whoever reports is told to stop");
        }
        assert!(self.image.is_none() || job.image().is_some(), "an image is never forgotten");
        let now = status(job);
        if job.image().is_some() {
            let begins = actions.iter().any(|action| matches!(action, Action::Note(Note::Begun(_))));
            assert!(!begins, "work that is finished is not begun again");
            let is_true = now.is_none_or(|now| now.is_success() || now == Status::Cancelled);
            assert!(is_true, "finished work is reported as {now:?}");
        }
        match (self.before, now) {
            (Some(was), _) if was.is_success() => assert_eq!(now, Some(was), "success stays"),
            (Some(Status::Cancelled), None) => assert_eq!(*event, Event::Retry),
            (Some(Status::Cancelled), now) => assert_eq!(now, Some(Status::Cancelled)),
            (Some(was), None) => assert_eq!(*event, Event::Retry, "{was}"),
            (Some(was), Some(now)) if was != now => assert!(now.is_success(), "{was} became {now}"),
            _ => {}
        }
        if *event == Event::Cancel {
            assert!(job.is_done(), "cancel ends");
        }
        match job.state() {
            // Its hosts live, it is shown as stalled, and the policy sets no limit: that is what it may wait for.
            State::Active(active) if active.is_stalled && active.accepted => {}
            State::Active(_) | State::Incomplete { .. } => {
                assert!(job.next_wake().is_some(), "nothing waits without a bound");
            }
            State::Queued | State::Done { .. } => {}
        }
        (self.before, self.image) = (now, job.image());
    }
}

fn events() -> impl Strategy<Value = Event> {
    let epochs = (1..5u64).prop_map(epoch);
    let hosts = prop_oneof![Just(Host::Client), Just(Host::Media)];
    let kinds = prop_oneof![
        Just(Kind::Done),
        Just(Kind::Partly),
        Just(Kind::Cancelled),
        Just(Kind::MediaLost),
        Just(Kind::Fenced),
        Just(Kind::VaultFull),
        Just(Kind::Busy),
        Just(Kind::NoFiles),
    ];
    prop_oneof![
        4 => Just(Event::Begin { incarnation: 1 }),
        3 => epochs.clone().prop_map(Event::Accepted),
        3 => (epochs.clone(), any::<bool>())
            .prop_map(|(epoch, checkpoint)| Event::Progress { epoch, checkpoint }),
        3 => (hosts.clone(), any::<bool>()).prop_map(|(host, runs)| Event::Attends { host, runs }),
        2 => hosts.prop_map(Event::Silent),
        3 => (epochs.clone(), kinds).prop_map(|(epoch, kind)| Event::Ended(epoch, ended(kind))),
        1 => epochs.prop_map(|epoch| Event::Committed { epoch, image: IMAGE, partly: false }),
        1 => Just(Event::Cancel),
        1 => Just(Event::Retry),
        1 => Just(Event::WindowOver),
        4 => Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold(
        history in prop::collection::vec((events(), 0..100_000_000u64), 0..60),
    ) {
        let (mut job, mut checker, mut time) = (Job::new(Rules::default(), at(0)), Checker::new(), 0);
        for (event, passes) in history {
            time += passes;
            let actions = job.on(event.clone(), at(time));
            checker.check(&job, &event, &actions);
            // Stored and read back it is the same job.
            let stored = serde_json::to_string(&job).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Job>(&stored).unwrap(), &job);
        }
    }
}

proptest! {
    #[test]
    fn whatever_hosts_say_at_one_moment_attempts_are_few(
        history in prop::collection::vec(events().prop_filter("hosts", |event| *event != Event::Retry), 0..200),
    ) {
        let mut job = Job::new(Rules::default(), at(0));
        let mut begun = 0;
        for event in history {
            // What is meant for the attempt that runs is said of that.
            let last = job.epoch().unwrap_or(epoch(1));
            let event = match event {
                Event::Accepted(_) => Event::Accepted(last),
                Event::Progress { checkpoint, .. } => Event::Progress { epoch: last, checkpoint },
                Event::Ended(_, outcome) => Event::Ended(last, outcome),
                other => other,
            };
            let actions = job.on(event, at(1_000));
            begun += actions.iter().filter(|action| matches!(action, Action::Note(Note::Begun(_)))).count();
        }
        // The first, one that cost nothing, and one for each try but the last.
        prop_assert!(begun <= 1 + 1 + 3, "{} attempts", begun);
    }
}

/// Every history of a small alphabet up to this length, states that are the same looked at once.
#[test]
fn every_short_history_keeps_the_rules() {
    const LENGTH: usize = 8;
    let alphabet = || {
        let mut events = vec![
            Event::Begin { incarnation: 1 },
            Event::Attends { host: Host::Client, runs: true },
            Event::Attends { host: Host::Client, runs: false },
            Event::Silent(Host::Client),
            Event::Cancel,
            Event::Retry,
            Event::Tick,
        ];
        for counter in [1, 2] {
            events.push(Event::Accepted(epoch(counter)));
            events.push(Event::Progress { epoch: epoch(counter), checkpoint: true });
            events.push(Event::Committed { epoch: epoch(counter), image: IMAGE, partly: false });
            events.push(Event::Ended(epoch(counter), ended(Kind::Done)));
            events.push(Event::Ended(epoch(counter), ended(Kind::MediaLost)));
        }
        events
    };
    let rules =
        Rules { tries: Tries { count: 2, per_millis: 1_000_000, delay_millis: 5 }, ..Rules::default() };
    // Each step takes a second, so that the depth is the time.
    let mut states: Vec<(Job, Option<Status>)> = vec![(Job::new(rules, at(0)), None)];
    let mut looked = 0usize;
    for depth in 1..=LENGTH {
        let mut seen = HashSet::new();
        let mut next = Vec::new();
        for (job, before) in &states {
            for event in alphabet() {
                let mut job = job.clone();
                let mut checker = Checker {
                    given: HashSet::new(),
                    highest: job.epoch(),
                    before: *before,
                    image: job.image(),
                };
                let actions = job.on(event.clone(), at(depth as u64 * 1_000));
                checker.check(&job, &event, &actions);
                looked += 1;
                if seen.insert(serde_json::to_string(&job).unwrap()) {
                    let after = status(&job);
                    next.push((job, after));
                }
            }
        }
        states = next;
    }
    assert!(looked > 10_000, "{looked} steps");
}

#[test]
fn an_image_with_entries_in_trouble_is_not_called_whole() {
    let mut job = running();
    job.on(Event::Committed { epoch: epoch(1), image: IMAGE, partly: true }, at(20));
    // Its client is lost with its words: the media server's are what there is.
    job.on(Event::Attends { host: Host::Client, runs: false }, at(30));
    assert_eq!(status(&job), Some(Status::Partly));

    let mut job = running();
    job.on(Event::Ended(epoch(1), ended(Kind::NoFiles)), at(20));
    job.on(Event::Committed { epoch: epoch(1), image: IMAGE, partly: true }, at(30));
    assert_eq!(status(&job), Some(Status::Partly), "late");
}

#[test]
fn who_is_asked_to_try_again_does_not_wait() {
    let mut job = running();
    job.on(Event::Ended(epoch(1), ended(Kind::VaultFull)), at(20));
    assert!(matches!(job.state(), State::Incomplete { .. }));
    assert_eq!(job.on(Event::Retry, at(30)), [Action::Note(Note::Retried)]);
    assert_eq!(job.state(), &State::Queued);
}
