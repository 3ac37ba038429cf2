//! What is read, worked on and kept, step by step. Nothing here waits for a time: each step is waited for.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use holdfast_link::identity::{Identity, Role};
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::calls::{Calls, Kind};

/// Admits what it is told to, says what it was asked, and says when it is gone.
struct Slow {
    asked: mpsc::UnboundedSender<u32>,
    may: Arc<Semaphore>,
    untaken: Untaken,
    _alive: mpsc::Sender<()>,
}

impl Desk for Slow {
    type Question = u32;
    type Answer = u32;

    async fn admit(&mut self, question: u32) -> Result<Work<u32>> {
        self.asked.send(question).unwrap();
        self.may.acquire().await.unwrap().forget();
        if question == 99 {
            return Err(Error::UnknownAttempt);
        }
        let room = self.untaken.room(UNIT).await?;
        let untaken = self.untaken.clone();
        Ok(Box::pin(async move { Ok(untaken.keep(question, UNIT, room)) }))
    }
}

struct Lab {
    asked: mpsc::UnboundedReceiver<u32>,
    may: Arc<Semaphore>,
    untaken: Untaken,
    /// Questions that were read.
    read: Arc<AtomicUsize>,
    /// Ends when the desk is gone.
    gone: mpsc::Receiver<()>,
    calls: Calls,
    answers: Answers<u32>,
}

fn host() -> Identity {
    Identity::new("lab", Role::Client, "web1").unwrap()
}

fn ask(questions: impl Stream<Item = u32> + Send + Unpin + 'static) -> Lab {
    let ((asked, heard), (alive, gone)) = (mpsc::unbounded_channel(), mpsc::channel(1));
    let (may, untaken) = (Arc::new(Semaphore::new(0)), Untaken::new(2 * UNIT));
    let (read, calls) = (Arc::new(AtomicUsize::new(0)), Calls::default());
    let counted = Arc::clone(&read);
    let questions = questions.map(move |question| {
        counted.fetch_add(1, SeqCst);
        Ok(question)
    });
    let desk = Slow { asked, may: Arc::clone(&may), untaken: untaken.clone(), _alive: alive };
    let place = calls.begin(&host(), Kind::Put).unwrap();
    Lab { asked: heard, may, untaken, read, gone, calls, answers: in_order(questions, desk, place) }
}

impl Lab {
    /// The next question at the desk.
    async fn asked(&mut self) -> u32 {
        self.asked.recv().await.unwrap()
    }
}

#[tokio::test]
async fn the_next_question_is_not_read_before_this_one_is_admitted() {
    let mut lab = ask(tokio_stream::iter(0..3));
    for question in 0..3 {
        assert_eq!(lab.asked().await, question);
        assert_eq!(lab.read.load(SeqCst), question as usize + 1);
        lab.may.add_permits(1);
        assert_eq!(lab.answers.next().await.unwrap().unwrap(), question);
    }
    assert!(lab.answers.next().await.is_none());
}

#[tokio::test]
async fn what_may_not_be_asked_ends_the_call_after_the_answers_before_it() {
    let mut lab = ask(tokio_stream::iter([1, 99, 3, 4]));
    lab.may.add_permits(9);
    assert_eq!(lab.answers.next().await.unwrap().unwrap(), 1);
    assert!(lab.answers.next().await.unwrap().unwrap_err().message().starts_with("unknown-attempt"));
    assert!(lab.answers.next().await.is_none());
    assert!(lab.gone.recv().await.is_none());
    assert_eq!(lab.read.load(SeqCst), 2);
}

#[tokio::test]
async fn answers_that_are_not_taken_hold_their_room_and_stop_the_questions() {
    let mut lab = ask(tokio_stream::iter(0..100));
    lab.may.add_permits(100);
    // Two have room; the third was asked and waits for it.
    for question in 0..3 {
        assert_eq!(lab.asked().await, question);
    }
    assert_eq!((lab.read.load(SeqCst), lab.untaken.room.available_permits()), (3, 0));
    for question in 0..97 {
        assert_eq!(lab.answers.next().await.unwrap().unwrap(), question);
        // One that was taken makes room for one more.
        assert_eq!((lab.asked().await, lab.read.load(SeqCst)), (question + 3, question as usize + 4));
    }
}

#[tokio::test]
async fn a_call_that_nobody_listens_to_ends_though_more_could_be_asked() {
    let (_questions, asked) = mpsc::channel(1);
    let Lab { answers, calls, mut gone, .. } = ask(tokio_stream::wrappers::ReceiverStream::new(asked));
    assert!(!calls.is_empty());
    drop(answers);
    assert!(gone.recv().await.is_none());
    // Its tasks have nothing left to wait for.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(calls.is_empty());
}

#[tokio::test]
async fn steps_wait_until_what_was_made_is_taken() {
    let (untaken, made) = (Untaken::new(2 * UNIT), Arc::new(AtomicUsize::new(0)));
    let stepped = Arc::new(Notify::new());
    let (counted, notify) = (Arc::clone(&made), Arc::clone(&stepped));
    let place = Calls::default().begin(&host(), Kind::Look).unwrap();
    let mut answers = in_steps(0, place, (untaken.clone(), |_| UNIT), move |step: usize| {
        counted.fetch_add(1, SeqCst);
        notify.notify_one();
        std::future::ready(Ok((step + 1, vec![step; usize::from(step < 10)])))
    });
    for step in 0..10 {
        while made.load(SeqCst) < step + 3 {
            stepped.notified().await;
        }
        assert_eq!(made.load(SeqCst), step + 3, "two are made and one waits for room");
        assert_eq!(answers.next().await.unwrap().unwrap(), step);
        if step == 8 {
            break;
        }
    }
}
