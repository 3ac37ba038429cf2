//! Many questions in one call, answered in their order. Some are worked on at a time; nobody's thread waits for the peer.

use std::future::Future;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::error::{Error, Result};

/// Questions of one call that are worked on, or whose answers wait for the peer.
const AHEAD: usize = 4;

/// The answers of a call.
pub(crate) type Answers<A> = ReceiverStream<std::result::Result<A, Status>>;

/// Answers each question. The first that cannot be answered ends the call.
pub(crate) fn in_order<Q, A, F>(
    mut questions: Streaming<Q>,
    mut answer: impl FnMut(Q) -> F + Send + 'static,
) -> Answers<A>
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<A>> + Send + 'static,
{
    let (working, mut worked) = mpsc::channel::<JoinHandle<Result<A>>>(AHEAD);
    let (answers, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        // A call that breaks off tells nobody: its session has ended, or its caller has lost interest.
        while let Ok(Some(question)) = questions.message().await {
            if working.send(tokio::spawn(answer(question))).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(work) = worked.recv().await {
            let answer = work.await.unwrap_or(Err(Error::Defect)).map_err(Status::from);
            let is_last = answer.is_err();
            if answers.send(answer).await.is_err() || is_last {
                break;
            }
        }
    });
    ReceiverStream::new(stream)
}

/// Answers that come in steps, until one is empty.
pub(crate) fn in_steps<S, A, F>(mut state: S, mut step: impl FnMut(S) -> F + Send + 'static) -> Answers<A>
where
    S: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<(S, Vec<A>)>> + Send + 'static,
{
    let (answers, stream) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        loop {
            let items = match step(state).await {
                Ok((next, items)) => {
                    state = next;
                    items
                }
                Err(error) => {
                    // Who has gone need not hear.
                    let _ = answers.send(Err(error.into())).await;
                    return;
                }
            };
            if items.is_empty() {
                return;
            }
            for item in items {
                if answers.send(Ok(item)).await.is_err() {
                    return;
                }
            }
        }
    });
    ReceiverStream::new(stream)
}
