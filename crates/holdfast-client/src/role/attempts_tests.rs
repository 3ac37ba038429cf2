//! What becomes of orders, and what is said: with a primary server that is a list.

use super::super::key::tests::key;
use super::*;

struct Lab {
    _place: tempfile::TempDir,
    state: std::path::PathBuf,
    attempts: Attempts,
    heard: Arc<Mutex<Vec<String>>>,
    /// How much more can be said.
    room: Arc<Mutex<usize>>,
}

fn lab() -> Lab {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("attempts");
    let (attempts, _) = open(&state);
    let lab =
        Lab { _place: place, state, attempts, heard: Arc::default(), room: Arc::new(Mutex::new(1_000)) };
    lab.attend();
    lab
}

fn open(state: &std::path::Path) -> (Attempts, Vec<String>) {
    Attempts::open(EndedFiles::open(state).unwrap(), "test".into()).unwrap()
}

impl Lab {
    fn attend(&self) -> Vec<String> {
        let (heard, room) = (Arc::clone(&self.heard), Arc::clone(&self.room));
        let say = move |report: Report| {
            let mut room = room.lock();
            let is_room = *room > 0;
            if is_room {
                *room -= 1;
                heard.lock().push(words(&report));
            }
            is_room
        };
        self.attempts.present(Box::new(say)).iter().map(words).collect()
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock())
    }

    #[track_caller]
    fn begin(&self, key: Key) -> (Stop, Vec<CancellationToken>) {
        match self.attempts.begin(key) {
            Begin::Work(stop, earlier) => (stop, earlier),
            _ => panic!("{key} is not begun"),
        }
    }

    fn end(&self, key: Key) {
        let ended = Ended { attempt: Some(key.attempt()), ..Ended::default() };
        self.attempts.end(key, ended).unwrap();
    }
}

fn words(report: &Report) -> String {
    let of = |attempt: Option<&holdfast_proto::services::Attempt>| {
        Key::of(attempt).map_or("?".into(), |key| format!("{}.{}", key.job.as_bytes()[15], key.counter()))
    };
    match report.report.as_ref().unwrap() {
        What::Present(present) => {
            let running: Vec<String> = present.running.iter().map(|attempt| of(Some(attempt))).collect();
            format!("present {}", running.join(" "))
        }
        What::Accepted(accepted) => format!("accepted {}", of(accepted.attempt.as_ref())),
        What::Ended(ended) => format!("ended {}", of(ended.attempt.as_ref())),
        What::Progress(progress) => format!("progress {}", of(progress.attempt.as_ref())),
        // A media server's.
        other => format!("{other:?}"),
    }
}

#[test]
fn an_attempt_is_begun_once_whether_it_runs_or_has_ended() {
    let lab = lab();
    let one = key(1, 1, 1);
    lab.begin(one);
    assert!(matches!(lab.attempts.begin(one), Begin::Known));
    assert_eq!(lab.heard(), ["accepted 1.1", "accepted 1.1"]);
    lab.end(one);
    assert!(matches!(lab.attempts.begin(one), Begin::Known));
    assert_eq!(lab.heard(), ["ended 1.1", "ended 1.1"]);
    lab.attempts.settled(&one).unwrap();
    assert_eq!(lab.attend(), ["present "]);
}

#[test]
fn who_attends_says_what_runs_and_what_is_not_settled_also_in_the_next_process() {
    let lab = lab();
    let (one, two) = (key(1, 1, 1), key(2, 1, 5));
    lab.begin(one);
    lab.begin(two);
    lab.end(two);
    assert_eq!(lab.attend(), ["present 1.1 2.5", "ended 2.5"]);
    let next = Lab { attempts: open(&lab.state).0, ..lab };
    assert_eq!(next.attend(), ["present 2.5", "ended 2.5"]);
    next.attempts.settled(&two).unwrap();
    assert_eq!(open(&next.state).0.present(Box::new(|_| true)).len(), 1);
}

#[test]
fn a_cancel_is_for_the_attempt_and_all_before_it() {
    let lab = lab();
    let (stop, _) = lab.begin(key(1, 1, 3));
    let (other, _) = lab.begin(key(2, 1, 1));
    lab.attempts.cancel(&key(1, 1, 2));
    assert_eq!(stop.why(), None, "an earlier one is meant");
    lab.attempts.cancel(&key(1, 2, 1));
    assert_eq!((stop.why(), other.why()), (Some(Why::Ordered), None));
    assert!(stop.flag().is_cancelled());
}

#[test]
fn a_later_attempt_waits_for_the_earlier_one_and_an_earlier_one_is_not_begun() {
    let lab = lab();
    let (early, none) = lab.begin(key(1, 1, 1));
    let (late, earlier) = lab.begin(key(1, 1, 2));
    assert_eq!((early.why(), late.why()), (Some(Why::Superseded), None));
    assert!(none.is_empty() && !earlier[0].is_cancelled());
    lab.end(key(1, 1, 1));
    assert!(earlier[0].is_cancelled());
    lab.end(key(1, 1, 2));
    lab.attempts.settled(&key(1, 1, 1)).unwrap();
    lab.heard();
    assert!(matches!(lab.attempts.begin(key(1, 1, 1)), Begin::Known));
    assert!(lab.heard().is_empty());
}

#[test]
fn what_ends_by_a_panic_has_ended() {
    let lab = lab();
    lab.begin(key(1, 1, 1));
    let (_, earlier) = lab.begin(key(1, 1, 2));
    lab.heard();
    let entry = lab.attempts.entry(key(1, 1, 1));
    let work = std::panic::AssertUnwindSafe(move || {
        let _entry = entry;
        panic!("a defect");
    });
    std::panic::catch_unwind(work).unwrap_err();
    assert!(earlier[0].is_cancelled(), "the next need not wait");
    assert_eq!(lab.heard(), ["ended 1.1"]);
    assert_eq!(lab.attend(), ["present 1.1 1.2", "ended 1.1"]);
    // One that is only dropped has not ended, but nothing works on it.
    drop(lab.attempts.entry(key(1, 1, 2)));
    assert_eq!(lab.attend(), ["present 1.1", "ended 1.1"]);
}

#[test]
fn beyond_the_limit_orders_are_not_taken_up() {
    let lab = lab();
    let limit = u8::try_from(RUNNING_MAX).unwrap();
    (0..limit).for_each(|job| drop(lab.begin(key(job, 1, 1))));
    lab.heard();
    assert!(matches!(lab.attempts.begin(key(limit, 1, 1)), Begin::Full));
    assert!(lab.heard().is_empty(), "not accepted");
    lab.end(key(0, 1, 1));
    lab.begin(key(limit, 1, 1));
}

#[test]
fn an_end_for_which_there_is_no_room_is_said_later() {
    let lab = lab();
    lab.begin(key(1, 1, 1));
    *lab.room.lock() = 0;
    lab.heard();
    lab.end(key(1, 1, 1));
    lab.attempts.pay();
    assert!(lab.heard().is_empty());
    *lab.room.lock() = 5;
    lab.attempts.pay();
    lab.attempts.pay();
    assert_eq!(lab.heard(), ["ended 1.1"]);
}

#[test]
fn what_leaves_off_because_the_process_stops_has_not_ended() {
    let lab = lab();
    let (stop, _) = lab.begin(key(1, 1, 1));
    lab.attempts.stop();
    assert_eq!(stop.why(), Some(Why::Stopping));
    assert!(matches!(lab.attempts.begin(key(2, 1, 1)), Begin::Full));
    lab.attempts.leave(&key(1, 1, 1));
    assert_eq!(open(&lab.state).0.present(Box::new(|_| true)).len(), 1);
}

#[test]
fn an_end_that_cannot_be_written_is_said_for_as_long_as_the_process_lives() {
    let lab = lab();
    lab.begin(key(1, 1, 1));
    std::fs::remove_dir_all(&lab.state).unwrap();
    let ended = Ended { attempt: Some(key(1, 1, 1).attempt()), ..Ended::default() };
    assert!(lab.attempts.end(key(1, 1, 1), ended).is_err());
    assert_eq!(lab.attend(), ["present 1.1", "ended 1.1"]);
}
