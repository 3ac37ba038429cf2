//! Those who read images: what they were shown so far, for what was not named to them is not given (docs/jobs.md, section 6).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_format::manifest::{Named, Root};
use holdfast_format::record::ImageRecord;
use holdfast_link::identity::Identity;
use holdfast_proto::services::SignedTicket;
use holdfast_types::ChunkName;
use holdfast_vault::{Brief, Vault};
use parking_lot::Mutex;

use crate::budget::{NameBudget, Taken};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::places::{Bounds, Call, Holder, Use};
use crate::ticket::{ReadRight, Right, TicketCheck};

/// Readers at one time: each right of each caller is one. Whoever looks through many images needs no more than one at a time,
/// so the longest idle one goes.
const BOUNDS: Bounds = Bounds { what: "readers", all: 1024, each: 256, unused: Duration::ZERO };
/// Tickets of a reader that are known to have been good.
const TICKETS_MAX: usize = 64;
/// Names that are learnt before it is asked whether that is too much.
const KNOW_STEP: usize = 256;
/// A reader without a call is forgotten after so long, with its right: a ticket that was good goes on being good while it
/// is used, so that no long restore is cut.
const IDLE: Duration = Duration::from_secs(3600);

/// One who reads.
#[derive(Debug)]
pub(crate) struct Reader {
    right: ReadRight,
    known: Mutex<(Names, Taken)>,
}

impl Reader {
    pub(crate) fn knows(&self, name: &ChunkName) -> bool {
        self.known.lock().0.contains(name)
    }

    /// What of these names is known.
    pub(crate) fn known(&self, names: &[ChunkName]) -> Vec<bool> {
        let known = self.known.lock();
        names.iter().map(|name| known.0.contains(name)).collect()
    }

    /// It was shown what names these.
    pub(crate) fn show(&self, named: &Named) -> Result<()> {
        let (known, taken) = &mut *self.known.lock();
        taken.may_grow()?;
        for references in named.references.chunks(KNOW_STEP) {
            references.iter().for_each(|reference| known.insert(reference.name()));
            taken.weigh(known.len())?;
        }
        Ok(())
    }

    fn may_read(&self, record: &ImageRecord) -> bool {
        record.host == self.right.client && self.right.image.is_none_or(|image| image == record.image)
    }

    /// The images that may be read, the newest first.
    pub(crate) fn images(&self, vault: &Vault) -> Result<Vec<Brief>> {
        let mut images = match self.right.image {
            Some(image) => vault.brief_of(image)?.into_iter().collect(),
            None => vault.briefs()?,
        };
        images.retain(|brief| self.may_read(brief));
        Ok(images)
    }

    /// The root of a manifest is shown, if it is that of an image that may be read.
    pub(crate) fn give_root(&self, vault: &Vault, root: Root) -> Result<()> {
        let mut is_it = |record: &ImageRecord| record.manifest == Some(root) && self.may_read(record);
        let found = match self.right.image {
            Some(image) => vault.brief_of(image)?.filter(|brief| is_it(brief)),
            None => vault.newest_brief(&mut is_it)?,
        };
        if found.is_none() {
            return Err(Error::Denied("the ticket is for no image with this manifest"));
        }
        let (known, taken) = &mut *self.known.lock();
        known.insert(&root.name);
        taken.weigh(known.len())
    }
}

/// Whose tickets give which right. However many there are, they give the same reader.
type Key = (Identity, ReadRight);
/// A ticket in its caller's hand.
type Digest = [u8; 32];

/// A reader.
#[derive(Debug)]
struct Seat {
    reader: Arc<Reader>,
    used: Arc<Use>,
    /// Tickets that were found good, the most recently shown last.
    tickets: VecDeque<Digest>,
}

/// Readers, and what leads to them.
#[derive(Debug, Default)]
struct Living {
    seats: HashMap<Key, Seat>,
    /// Of each ticket of a seat, whose it is.
    tickets: HashMap<Digest, Key>,
}

impl Living {
    /// The reader that this very ticket has given before: the ticket need not be good any more.
    fn shown(&mut self, digest: &Digest) -> Option<Call<Reader>> {
        let seat = self.seats.get_mut(self.tickets.get(digest)?)?;
        let at = seat.tickets.iter().position(|ticket| ticket == digest)?;
        seat.tickets.remove(at);
        seat.tickets.push_back(*digest);
        Some(Call::begin(&seat.reader, &seat.used))
    }

    /// Another ticket leads to this reader, if it lives.
    fn show(&mut self, key: &Key, digest: Digest) -> Option<Call<Reader>> {
        let seat = self.seats.get_mut(key)?;
        if seat.tickets.len() >= TICKETS_MAX
            && let Some(oldest) = seat.tickets.pop_front()
        {
            self.tickets.remove(&oldest);
        }
        // Two calls may have come with it at once.
        if self.tickets.insert(digest, key.clone()).is_none() {
            seat.tickets.push_back(digest);
        }
        Some(Call::begin(&seat.reader, &seat.used))
    }

    fn make_room(&mut self, caller: &Identity, now: Instant) -> Result<()> {
        let holders = self.seats.iter().map(|(key, seat)| Holder { key, caller: &key.0, used: &seat.used });
        if let Some(goes) = BOUNDS.make_room(holders, caller, now)? {
            self.remove(&goes);
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        let tickets = self.seats.remove(key).map(|seat| seat.tickets).unwrap_or_default();
        for ticket in tickets {
            self.tickets.remove(&ticket);
        }
    }
}

/// The readers of this process.
#[derive(Debug)]
pub(crate) struct Readers {
    living: Mutex<Living>,
    budget: Arc<NameBudget>,
}

impl Readers {
    pub(crate) fn new(budget: &Arc<NameBudget>) -> Self {
        Self { living: Mutex::default(), budget: Arc::clone(budget) }
    }

    /// The reader with this ticket's right; a new one, if the ticket is good and there is none.
    pub(crate) fn find(
        &self,
        ticket: Option<&SignedTicket>,
        caller: &Identity,
        check: &dyn TicketCheck,
    ) -> Result<Call<Reader>> {
        let ticket = ticket.ok_or(Error::Denied("there is no ticket"))?;
        let digest = digest(ticket, caller);
        if let Some(call) = self.living.lock().shown(&digest) {
            return Ok(call);
        }
        let Right::Read(right) = Right::of(check.check(ticket, caller)?)? else {
            return Err(Error::Denied("the ticket does not allow to read"));
        };
        self.begin((caller.clone(), right), digest, Instant::now())
    }

    fn begin(&self, key: Key, digest: Digest, now: Instant) -> Result<Call<Reader>> {
        let mut living = self.living.lock();
        if let Some(call) = living.show(&key, digest) {
            return Ok(call);
        }
        living.make_room(&key.0, now)?;
        let known = Mutex::new((Names::default(), Taken::new(&self.budget, &key.0)));
        let reader = Arc::new(Reader { right: key.1.clone(), known });
        let seat = Seat { reader, used: Arc::new(Use::new()), tickets: VecDeque::new() };
        living.seats.insert(key.clone(), seat);
        living.show(&key, digest).ok_or(Error::Defect)
    }

    /// Forgets those who have not called for long.
    pub(crate) fn forget_idle(&self, now: Instant) {
        let mut living = self.living.lock();
        let idle = |seat: &Seat| seat.used.unused_since(now, IDLE).is_some();
        let idle: Vec<Key> =
            living.seats.iter().filter(|(_, seat)| idle(seat)).map(|(key, _)| key.clone()).collect();
        idle.iter().for_each(|key| living.remove(key));
    }
}

/// Another caller with the same ticket is another digest.
fn digest(ticket: &SignedTicket, caller: &Identity) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in [caller.to_string().as_bytes(), &ticket.ticket, &ticket.signature] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
#[path = "readers_tests.rs"]
mod tests;
