//! Those who read images: what they were shown so far, for what was not named to them is not given (docs/jobs.md, section 6).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_format::manifest::{Named, Root};
use holdfast_format::record::ImageRecord;
use holdfast_link::identity::Identity;
use holdfast_proto::services::SignedTicket;
use holdfast_types::ChunkName;
use holdfast_vault::Vault;
use parking_lot::Mutex;

use crate::attempt::{NameBudget, Taken};
use crate::attempts::{Call, Use};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::ticket::{ReadRight, Right, TicketCheck};

/// Readers at one time. Each ticket is one.
const READERS_MAX: usize = 1024;
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
        self.know(named.references.iter().map(|reference| *reference.name()))
    }

    fn know(&self, names: impl Iterator<Item = ChunkName>) -> Result<()> {
        let (known, taken) = &mut *self.known.lock();
        names.for_each(|name| known.insert(&name));
        taken.weigh(known.len())
    }

    /// Whether an image may be read.
    pub(crate) fn may_read(&self, record: &ImageRecord) -> bool {
        record.host == self.right.client && self.right.image.is_none_or(|image| image == record.image)
    }

    /// The root of a manifest is shown, if it is that of an image that may be read.
    pub(crate) fn give_root(&self, vault: &Vault, root: Root) -> Result<()> {
        let (found, _) =
            vault.newest(&mut |record| record.manifest == Some(root) && self.may_read(record))?;
        if found.is_none() {
            return Err(Error::Denied("the ticket is for no image with this manifest"));
        }
        self.know(std::iter::once(root.name))
    }
}

/// A caller with a ticket.
type Key = (Identity, [u8; 32]);

type Living = HashMap<Key, (Arc<Reader>, Arc<Use>)>;

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

    /// The reader with this ticket; a new one, if the ticket is good.
    pub(crate) fn find(
        &self,
        ticket: Option<&SignedTicket>,
        caller: &Identity,
        check: &dyn TicketCheck,
    ) -> Result<Call<Reader>> {
        let ticket = ticket.ok_or(Error::Denied("there is no ticket"))?;
        let key = (caller.clone(), digest(ticket));
        if let Some((reader, used)) = self.living.lock().get(&key) {
            return Ok(Call::begin(reader, used));
        }
        let Right::Read(right) = Right::of(check.check(ticket, caller)?)? else {
            return Err(Error::Denied("the ticket does not allow to read"));
        };
        let mut living = self.living.lock();
        if living.len() >= READERS_MAX && !living.contains_key(&key) {
            return Err(Error::Busy("readers"));
        }
        let made = || {
            let known = Mutex::new((Names::default(), Taken::new(&self.budget)));
            (Arc::new(Reader { right, known }), Arc::new(Use::new()))
        };
        let (reader, used) = living.entry(key).or_insert_with(made);
        Ok(Call::begin(reader, used))
    }

    /// Forgets those who have not called for long.
    pub(crate) fn forget_idle(&self, now: Instant) {
        self.living.lock().retain(|_, (_, used)| !used.is_idle(now, IDLE));
    }
}

fn digest(ticket: &SignedTicket) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(ticket.ticket.len() as u64).to_le_bytes());
    hasher.update(&ticket.ticket).update(&ticket.signature);
    *hasher.finalize().as_bytes()
}
