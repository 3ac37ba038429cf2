//! The desks of the calls that have many questions: whether each may be asked, and how much room it takes. What is done then,
//! attempts, readers and groups know.

use holdfast_format::group::DATA_MAX;
use holdfast_link::identity::Identity;
use holdfast_proto::services as wire;

use crate::attempt::Attempt;
use crate::error::{Error, Result};
use crate::groups;
use crate::places::{Call, Hold};
use crate::readers::Reader;
use crate::service::{Inner, MediaService};
use crate::streams::{Desk, Untaken, Work};
use crate::words::{self, AttemptId};

/// Bytes of fetched groups of one call that its peer has not taken: as many as a client has on their way in a put.
const FETCHED_MAX: usize = 16 << 20;

/// The attempt that a call is about: found with the first question, and in use until the call ends.
struct OneAttempt {
    service: MediaService,
    caller: Identity,
    held: Option<(AttemptId, Hold<Attempt>)>,
}

impl OneAttempt {
    fn new(service: MediaService, caller: Identity) -> Self {
        Self { service, caller, held: None }
    }

    async fn find(&mut self, attempt: Option<&wire::Attempt>) -> Result<Call<Attempt>> {
        let id = words::attempt(attempt)?;
        if let Some((_, hold)) = self.held.as_ref().filter(|(held, _)| *held == id)
            && let Some(call) = hold.call()
        {
            call.with.alive()?;
            return Ok(call);
        }
        let caller = self.caller.clone();
        let call = self.service.run(move |inner| inner.attempts.find(id, &caller)).await?;
        self.held = Some((id, call.hold()));
        Ok(call)
    }
}

/// Which chunks must be sent?
pub(crate) struct Claims(OneAttempt);

impl Claims {
    pub(crate) fn new(service: MediaService, caller: Identity) -> Self {
        Self(OneAttempt::new(service, caller))
    }
}

impl Desk for Claims {
    type Question = wire::ClaimRequest;
    type Answer = wire::ClaimAnswer;

    async fn admit(&mut self, question: wire::ClaimRequest) -> Result<Work<wire::ClaimAnswer>> {
        let names = words::names(&question.names)?;
        let call = self.0.find(question.attempt.as_ref()).await?;
        let service = self.0.service.clone();
        let claim = move |_: &_| {
            let lacking = call.with.claim(&names, question.only_ask)?;
            Ok(wire::ClaimAnswer { lacking: words::bits(&lacking) }.into())
        };
        Ok(Box::pin(async move { service.run(claim).await }))
    }
}

/// Takes groups.
pub(crate) struct Puts(OneAttempt);

impl Puts {
    pub(crate) fn new(service: MediaService, caller: Identity) -> Self {
        Self(OneAttempt::new(service, caller))
    }
}

impl Desk for Puts {
    type Question = wire::PutRequest;
    type Answer = wire::PutAnswer;

    async fn admit(&mut self, question: wire::PutRequest) -> Result<Work<wire::PutAnswer>> {
        let call = self.0.find(question.attempt.as_ref()).await?;
        let group = question.group.ok_or(Error::Invalid("a group"))?;
        groups::bounds(&group)?;
        let room = self.0.service.room(groups::memory(&group)).await?;
        let service = self.0.service.clone();
        let put = move |_: &_| {
            let bytes_added = call.with.put(group)?;
            drop(room);
            Ok(wire::PutAnswer { bytes_added }.into())
        };
        Ok(Box::pin(async move { service.run(put).await }))
    }
}

/// Gives groups.
pub(crate) struct Fetches {
    service: MediaService,
    caller: Identity,
    held: Option<(wire::SignedTicket, Hold<Reader>)>,
    untaken: Untaken,
}

impl Fetches {
    pub(crate) fn new(service: MediaService, caller: Identity) -> Self {
        Self { service, caller, held: None, untaken: Untaken::new(FETCHED_MAX) }
    }

    /// The reader that the call is about: found with the first question, and in use until the call ends.
    async fn find(&mut self, ticket: Option<wire::SignedTicket>) -> Result<Call<Reader>> {
        if let Some((_, hold)) = self.held.as_ref().filter(|(held, _)| Some(held) == ticket.as_ref())
            && let Some(call) = hold.call()
        {
            return Ok(call);
        }
        let caller = self.caller.clone();
        let find = move |inner: &Inner| {
            let call = inner.reader(ticket.as_ref(), &caller)?;
            Ok((ticket, call))
        };
        let (ticket, call) = self.service.run(find).await?;
        self.held = ticket.map(|ticket| (ticket, call.hold()));
        Ok(call)
    }
}

impl Desk for Fetches {
    type Question = wire::FetchRequest;
    type Answer = wire::FetchAnswer;

    async fn admit(&mut self, question: wire::FetchRequest) -> Result<Work<wire::FetchAnswer>> {
        let names = words::names(&question.names)?;
        let spot = words::group_spot(question.group.as_ref())?;
        let call = self.find(question.ticket).await?;
        let stored = u64::from(spot.group_length).min(DATA_MAX) as usize;
        // The call's own first: nobody else waits while its peer takes nothing.
        let own = self.untaken.room(stored).await?;
        let room = self.service.room(2 * (stored + holdfast_format::group::PLAIN_MAX)).await?;
        let (service, untaken) = (self.service.clone(), self.untaken.clone());
        Ok(Box::pin(async move {
            let answer = service.run(move |inner| inner.fetch(&call.with, &spot, &names)).await?;
            drop(room);
            let bytes = answer.group.as_ref().map_or(0, |group| group.data.len() + group.names.len());
            Ok(untaken.keep(answer, bytes, own))
        }))
    }
}
