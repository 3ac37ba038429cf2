//! Many questions in one call, answered in their order. Some are worked on at a time; nobody's thread waits for the peer, and
//! what waits for it is bounded for each call: one question, and so many bytes of answers that it has not taken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::calls::Place;
use crate::error::{Error, Result};

/// Questions of one call that are worked on, or whose answers wait for the peer.
const AHEAD: usize = 4;
/// What room is counted in.
const UNIT: usize = 1 << 10;

/// Bytes of answers of one call that its peer has not taken. Of its own, so that a peer that takes nothing, perhaps because it
/// is out of reach for a day, keeps nobody else waiting.
#[derive(Clone, Debug)]
pub(crate) struct Untaken {
    room: Arc<Semaphore>,
    max: usize,
}

impl Untaken {
    pub(crate) fn new(max: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(max / UNIT)), max: max / UNIT }
    }

    fn units(&self, bytes: usize) -> usize {
        bytes.div_ceil(UNIT).clamp(1, self.max)
    }

    /// Waits until an answer of so many bytes may be made. One that is larger than all the room takes all of it.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(self.units(bytes)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| Error::Stopping)
    }

    /// An answer that was made, with its room; what it has too much of is given back.
    pub(crate) fn keep<A>(&self, answer: A, bytes: usize, mut room: OwnedSemaphorePermit) -> Kept<A> {
        let units = self.units(bytes).min(room.num_permits());
        Kept { answer, _room: room.split(units) }
    }
}

/// An answer, and the room that it takes until the transport has it.
#[derive(Debug)]
pub(crate) struct Kept<A> {
    answer: A,
    _room: Option<OwnedSemaphorePermit>,
}

impl<A> From<A> for Kept<A> {
    /// A small answer, of which there are no more than questions.
    fn from(answer: A) -> Self {
        Self { answer, _room: None }
    }
}

/// The answers of a call.
#[derive(Debug)]
pub struct Answers<A> {
    made: mpsc::Receiver<std::result::Result<Kept<A>, Status>>,
    _place: Arc<Place>,
}

impl<A> Stream for Answers<A> {
    type Item = std::result::Result<A, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.made.poll_recv(context).map(|next| next.map(|kept| kept.map(|kept| kept.answer)))
    }
}

/// The work that gives an answer.
pub(crate) type Work<A> = Pin<Box<dyn Future<Output = Result<Kept<A>>> + Send>>;

/// Who takes the questions of one call.
pub(crate) trait Desk: Send + 'static {
    /// What is asked.
    type Question: Send + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// Looks whether the question may be asked, and waits for the room that the work on it takes. The next question is not
    /// read before that.
    fn admit(&mut self, question: Self::Question) -> impl Future<Output = Result<Work<Self::Answer>>> + Send;
}

type Working<A> = mpsc::Sender<JoinHandle<Result<Kept<A>>>>;

/// Answers each question. The first that cannot be answered ends the call.
pub(crate) fn in_order<D: Desk>(
    questions: impl Stream<Item = std::result::Result<D::Question, Status>> + Send + Unpin + 'static,
    desk: D,
    place: Place,
) -> Answers<D::Answer> {
    let (working, mut worked) = mpsc::channel(AHEAD);
    let (answers, made) = mpsc::channel(1);
    let place = Arc::new(place);
    let (reading, answering) = (Arc::clone(&place), Arc::clone(&place));
    tokio::spawn(async move {
        tokio::select! {
            () = read(questions, desk, &working) => {}
            // Nobody wants answers any more.
            () = working.closed() => {}
        }
        drop(reading);
    });
    tokio::spawn(async move {
        tokio::select! {
            () = answer(&mut worked, &answers) => {}
            () = answers.closed() => {}
        }
        drop(answering);
    });
    Answers { made, _place: place }
}

/// Reads questions until there are no more, or one may not be asked.
async fn read<D: Desk>(
    mut questions: impl Stream<Item = std::result::Result<D::Question, Status>> + Unpin,
    mut desk: D,
    working: &Working<D::Answer>,
) {
    // A call that breaks off tells nobody: its session has ended, or its caller has lost interest.
    while let Some(Ok(question)) = questions.next().await {
        let admitted = desk.admit(question).await;
        let is_last = admitted.is_err();
        let work = tokio::spawn(async move { admitted?.await });
        if working.send(work).await.is_err() || is_last {
            break;
        }
    }
}

/// Hands the answers over in the order of the questions.
async fn answer<A>(
    worked: &mut mpsc::Receiver<JoinHandle<Result<Kept<A>>>>,
    answers: &mpsc::Sender<std::result::Result<Kept<A>, Status>>,
) {
    while let Some(work) = worked.recv().await {
        let answer = work.await.unwrap_or(Err(Error::Defect)).map_err(Status::from);
        let is_last = answer.is_err();
        if answers.send(answer).await.is_err() || is_last {
            break;
        }
    }
}

/// Answers that come in steps, until one is empty. `size` gives the bytes of each.
pub(crate) fn in_steps<S, A, F>(
    mut state: S,
    place: Place,
    (untaken, size): (Untaken, fn(&A) -> usize),
    mut step: impl FnMut(S) -> F + Send + 'static,
) -> Answers<A>
where
    S: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<(S, Vec<A>)>> + Send + 'static,
{
    let (answers, made) = mpsc::channel(AHEAD);
    let place = Arc::new(place);
    let held = Arc::clone(&place);
    tokio::spawn(async move {
        let failed = loop {
            match step(state).await {
                Ok((_, items)) if items.is_empty() => break None,
                Ok((next, items)) => {
                    state = next;
                    if !hand_over(items, size, &untaken, &answers).await {
                        break None;
                    }
                }
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = failed {
            // Who has gone need not hear.
            let _ = answers.send(Err(error.into())).await;
        }
        drop(held);
    });
    Answers { made, _place: place }
}

/// Hands answers to the transport; false if it has gone.
async fn hand_over<A>(
    items: Vec<A>,
    size: fn(&A) -> usize,
    untaken: &Untaken,
    answers: &mpsc::Sender<std::result::Result<Kept<A>, Status>>,
) -> bool {
    for item in items {
        let bytes = size(&item);
        let Ok(room) = untaken.room(bytes).await else { return false };
        if answers.send(Ok(untaken.keep(item, bytes, room))).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
