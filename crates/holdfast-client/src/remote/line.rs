//! The way to a media server: how a thread waits for a call, what ends all waiting, and how much was sent.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use holdfast_proto::services::{MESSAGE_MAX, media_client::MediaClient};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::status;
use crate::cancel::CancelFlag;
use crate::depot::Error;

/// Bytes that went to the media server, without what HTTP/2 and TLS add.
#[derive(Debug, Default)]
pub struct Sent {
    /// Data of groups, compressed.
    pub groups: AtomicU64,
    /// Names in questions and with groups.
    pub names: AtomicU64,
}

impl Sent {
    pub(super) fn add(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// A media server, as far as one operation is concerned. Clones are the same line.
#[derive(Clone)]
pub struct Line(Arc<Inner>);

struct Inner {
    client: MediaClient<Channel>,
    runtime: Handle,
    /// Ends with the operation: by cancelling, by a failure, or when it is done.
    ended: CancellationToken,
    /// The first failure: the others follow from it.
    failure: Mutex<Option<Error>>,
    sent: Sent,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("failure", &self.0.failure.lock()).finish_non_exhaustive()
    }
}

impl Line {
    /// A line over this client. Its calls run on this runtime, whose threads must not wait for it.
    pub fn new(client: MediaClient<Channel>, runtime: Handle, cancel: &CancelFlag) -> Self {
        let client = client.max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(MESSAGE_MAX);
        Self(Arc::new(Inner {
            client,
            runtime,
            ended: cancel.child(),
            failure: Mutex::default(),
            sent: Sent::default(),
        }))
    }

    /// What was sent so far.
    pub fn sent(&self) -> &Sent {
        &self.0.sent
    }

    pub(super) fn client(&self) -> MediaClient<Channel> {
        self.0.client.clone()
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(super) fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }

    /// Ends all waiting. The first reason counts.
    pub(super) fn fail(&self, error: Error) {
        self.0.failure.lock().get_or_insert(error);
        self.0.ended.cancel();
    }

    /// Ends what runs on the runtime for this line.
    pub fn close(&self) {
        self.0.ended.cancel();
    }

    /// Why it has ended.
    pub(super) fn failure(&self) -> Error {
        self.0.failure.lock().clone().unwrap_or(Error::Cancelled)
    }

    /// Waits until this is done, or until the line ends.
    pub(super) fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Error> {
        self.0.runtime.block_on(async {
            tokio::select! {
                biased;
                done = what => Ok(done),
                () = self.0.ended.cancelled() => Err(self.failure()),
            }
        })
    }

    /// Waits for a call that must succeed if anything is to go on.
    pub(super) fn call<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Error> {
        self.wait(call)?.map(tonic::Response::into_inner).map_err(|error| status::meaning(what, &error))
    }

    /// As [`call`](Self::call), also after the line has ended, for at most so long: a last word.
    pub(super) fn last_call<T>(
        &self,
        within: std::time::Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Option<T> {
        let called = self.0.runtime.block_on(async { tokio::time::timeout(within, call).await });
        called.ok()?.ok().map(tonic::Response::into_inner)
    }
}
