//! What a ticket allows, as words. Whether it is signed, and whose it is, holdfast-link says.

use holdfast_link::identity::Identity;
use holdfast_link::identity::ticket::Refused;
use holdfast_proto::services::{self as wire, SignedTicket, Ticket};
use holdfast_types::ImageId;

use crate::error::{Error, Result};
use crate::words::{self, AttemptId};

/// Says whether a ticket is good here and now, for this caller.
pub trait TicketCheck: Send + Sync {
    /// What the ticket says, if it is good.
    fn check(&self, ticket: &SignedTicket, caller: &Identity) -> std::result::Result<Ticket, Refused>;
}

impl<F> TicketCheck for F
where
    F: Fn(&SignedTicket, &Identity) -> std::result::Result<Ticket, Refused> + Send + Sync,
{
    fn check(&self, ticket: &SignedTicket, caller: &Identity) -> std::result::Result<Ticket, Refused> {
        self(ticket, caller)
    }
}

/// What a ticket allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Right {
    /// To store the image of one attempt.
    Store(StoreRight),
    /// To read images.
    Read(ReadRight),
}

/// To store the image of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreRight {
    /// The attempt.
    pub attempt: AttemptId,
    /// The client whose image it is.
    pub client: String,
    /// The image's label.
    pub label: String,
    /// Chunks of other clients count as there.
    pub shared: bool,
}

/// To read images.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReadRight {
    /// The client whose images they are.
    pub client: String,
    /// This one only.
    pub image: Option<ImageId>,
}

impl Right {
    /// The right of a ticket that is good.
    pub fn of(ticket: Ticket) -> Result<Self> {
        match ticket.right {
            Some(wire::ticket::Right::Store(store)) => Ok(Self::Store(StoreRight {
                attempt: words::attempt(store.attempt.as_ref())?,
                client: words::label(store.client)?,
                label: words::label(store.label)?,
                shared: store.shared,
            })),
            Some(wire::ticket::Right::Read(read)) => Ok(Self::Read(ReadRight {
                client: words::label(read.client)?,
                image: words::image(&read.image)?,
            })),
            None => Err(Error::Denied("the ticket gives no right")),
        }
    }
}
