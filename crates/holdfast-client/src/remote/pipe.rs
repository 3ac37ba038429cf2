//! One stream of questions and their answers, in order: any number of threads ask, without waiting for each other's answers.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Response, Status, Streaming};

use super::line::Line;
use super::status;
use crate::depot::{Error, Pending};

/// Questions that wait to be sent. Those that were sent are bounded by who asks.
const WAITING: usize = 4;

/// A stream of questions.
pub(super) struct Pipe<Q, A> {
    line: Line,
    questions: mpsc::Sender<(Q, oneshot::Sender<A>)>,
}

/// Who waits for answers, in the order of the questions.
type Waiting<A> = Arc<Mutex<VecDeque<oneshot::Sender<A>>>>;

/// The questions on their way, as tonic wants them.
pub(super) struct Questions<Q, A> {
    asked: mpsc::Receiver<(Q, oneshot::Sender<A>)>,
    waiting: Waiting<A>,
}

impl<Q: Unpin, A> Stream for Questions<Q, A> {
    type Item = Q;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Q>> {
        self.asked.poll_recv(context).map(|next| {
            let (question, answer) = next?;
            // Noted before it is sent, so that an answer always finds who waits for it.
            self.waiting.lock().push_back(answer);
            Some(question)
        })
    }
}

impl<Q: Send + 'static, A: Send + 'static> Pipe<Q, A> {
    /// Begins the call. `what` it does is for errors.
    pub(super) fn open<F>(line: &Line, what: &'static str, call: impl FnOnce(Questions<Q, A>) -> F) -> Self
    where
        F: Future<Output = Result<Response<Streaming<A>>, Status>> + Send + 'static,
    {
        let (questions, asked) = mpsc::channel::<(Q, oneshot::Sender<A>)>(WAITING);
        let waiting = Waiting::default();
        let call = call(Questions { asked, waiting: Arc::clone(&waiting) });
        line.runtime().spawn(answers(line.clone(), what, call, waiting));
        Self { line: line.clone(), questions }
    }

    /// Asks. Waits only while too many questions wait to be sent.
    pub(super) fn ask(&self, question: Q) -> Result<oneshot::Receiver<A>, Error> {
        let (answer, here) = oneshot::channel();
        let sent = self.line.wait(self.questions.send((question, answer)))?;
        // The stream ends with the line; it may have been seen first here.
        sent.map_err(|_| self.line.failure_or_end())?;
        Ok(here)
    }

    /// Waits for an answer.
    pub(super) fn answer(line: &Line, here: oneshot::Receiver<A>) -> Result<A, Error> {
        line.wait(here)?.map_err(|_| line.failure_or_end())
    }

    /// An answer to be waited for later, made into what is wanted.
    pub(super) fn later<T>(
        &self,
        here: oneshot::Receiver<A>,
        make: impl FnOnce(A) -> Result<T, Error> + Send + 'static,
    ) -> Pending<T> {
        let line = self.line.clone();
        Pending::later(move || make(Self::answer(&line, here)?).inspect_err(|error| line.fail(error.clone())))
    }
}

/// Hands answers to those who wait. However the stream ends before the line does, the line ends with it.
async fn answers<A>(
    line: Line,
    what: &'static str,
    call: impl Future<Output = Result<Response<Streaming<A>>, Status>>,
    waiting: Waiting<A>,
) {
    let all = async {
        let mut answers = call.await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let Some(asked) = waiting.lock().pop_front() else {
                return Ok::<_, Status>(Some(Error::Protocol { what: "an answer without a question" }));
            };
            // Who asked may have ended.
            let _ = asked.send(answer);
        }
        let open = !waiting.lock().is_empty();
        Ok(open.then_some(Error::Unreachable { what, reason: "the stream ended".to_owned() }))
    };
    let ended = tokio::select! {
        biased;
        () = line.ended().cancelled() => None,
        ended = all => ended.unwrap_or_else(|error| Some(status::meaning(what, &error))),
    };
    if let Some(error) = ended {
        line.fail(error);
    }
    // Dropping those who wait ends their waiting; the line has its reason by now.
    waiting.lock().clear();
}

impl Line {
    /// Why a stream is gone: the line's failure, or that it ended without one.
    pub(super) fn failure_or_end(&self) -> Error {
        match self.failure() {
            Error::Cancelled if !self.ended().is_cancelled() => {
                Error::Unreachable { what: "go on", reason: "the stream ended".to_owned() }
            }
            failure => failure,
        }
    }
}
