//! Images at a media server, read with a ticket.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::NamingKey;
use holdfast_format::manifest::{NodeSource, Root};
use holdfast_proto::services::{FetchAnswer, FetchRequest, Image, ImagesRequest, LocateRequest};
use holdfast_types::{ChunkName, PackId};
use parking_lot::Mutex;

use super::group::RemoteGroup;
use super::line::{Line, Sent};
use super::pipe::Pipe;
use super::status;
use super::walk::{Lacking, WalkSource};
use super::wire::{self, NAMES_MAX, Ticket};
use crate::depot::{Error, ReadDepot, ReadGroup, Spot};

/// Memory of groups that are kept, and how many at most.
const KEPT_BYTES: usize = 32 << 20;
const KEPT_GROUPS: usize = 64;

/// Reads one image.
pub struct RemoteReader {
    line: Line,
    ticket: Ticket,
    naming: NamingKey,
    manifest: Option<WalkSource>,
    fetches: Pipe<FetchRequest, FetchAnswer>,
    /// The most recently used last.
    kept: Mutex<VecDeque<(GroupKey, Arc<RemoteGroup>)>>,
}

type GroupKey = (PackId, u32);

impl std::fmt::Debug for RemoteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteReader").field("line", &self.line).finish_non_exhaustive()
    }
}

impl RemoteReader {
    /// Images that the ticket allows to read, the newest first, until `wanted` says yes to one.
    pub fn find(
        line: &Line,
        ticket: &Ticket,
        wanted: &mut dyn FnMut(&Image) -> bool,
    ) -> Result<Option<Image>, Error> {
        let request = ImagesRequest { ticket: Some(ticket.signed.clone()) };
        let mut images = line.call("list images", line.client().images(request))?;
        loop {
            let next = line.wait(images.message())?;
            match next.map_err(|error| status::meaning("list images", &error))? {
                Some(image) if wanted(&image) => return Ok(Some(image)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Opens the streams for an image that was found, and gives its root.
    pub fn open(line: Line, ticket: Ticket, image: &Image) -> Result<(Self, Option<Root>), Error> {
        let naming = wire::naming(image)?;
        wire::paths(&image.roots)?;
        let root = image.root.as_ref().map(wire::root).transpose()?;
        let manifest = root.map(|root| {
            let lacking = Arc::new(Lacking::new());
            WalkSource::new(line.clone(), ticket.clone(), None, (root, naming.clone()), lacking)
        });
        let mut client = line.client();
        let fetches = Pipe::open(&line, "fetch chunks", |asked| async move { client.fetch(asked).await });
        Ok((Self { line, ticket, naming, manifest, fetches, kept: Mutex::default() }, root))
    }

    /// A kept group that has these chunks.
    fn kept(&self, is_it: &dyn Fn(&GroupKey, &RemoteGroup) -> bool) -> Option<Arc<RemoteGroup>> {
        let mut kept = self.kept.lock();
        let at = kept.iter().position(|(key, group)| is_it(key, group))?;
        let found = kept.remove(at)?;
        let group = Arc::clone(&found.1);
        kept.push_back(found);
        Some(group)
    }

    fn keep(&self, key: GroupKey, group: &Arc<RemoteGroup>) {
        let mut kept = self.kept.lock();
        kept.retain(|(other, _)| *other != key);
        kept.push_back((key, Arc::clone(group)));
        let mut bytes: usize = kept.iter().map(|(_, group)| group.memory()).sum();
        while kept.len() > 1 && (bytes > KEPT_BYTES || kept.len() > KEPT_GROUPS) {
            bytes -= kept.pop_front().map_or(0, |(_, group)| group.memory());
        }
    }

    fn fetch(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<RemoteGroup>, Error> {
        let key = spot.group_key();
        if let Some(group) = self.kept(&|other, group| *other == key && group.has(names)) {
            return Ok(group);
        }
        let names = wire::to_names(names);
        Sent::add(&self.line.sent().names, names.len());
        let ticket = Some(self.ticket.signed.clone());
        let here = self.fetches.ask(FetchRequest { ticket, group: Some(wire::to_spot(spot)), names })?;
        let answer = Pipe::<FetchRequest, FetchAnswer>::answer(&self.line, here)?;
        if !answer.fault.is_empty() {
            let what = format!("a group in packs/{}", spot.pack);
            return Err(Error::Damaged { what, reason: status::reason(&answer.fault) });
        }
        let group = answer.group.ok_or(Error::Protocol { what: "an answer without a group" })?;
        let group = Arc::new(RemoteGroup::new(self.naming.clone(), wire::plain(group)?));
        self.keep(key, &group);
        Ok(group)
    }

    fn locate_some(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error> {
        let names_sent = wire::to_names(names);
        Sent::add(&self.line.sent().names, names_sent.len());
        let request = LocateRequest { ticket: Some(self.ticket.signed.clone()), names: names_sent };
        let answer = self.line.call("find chunks", self.line.client().locate(request))?;
        if answer.spots.len() != names.len() {
            return Err(Error::Protocol { what: "places of another number of chunks" });
        }
        answer.spots.iter().map(wire::spot).collect()
    }
}

impl NodeSource for RemoteReader {
    type Error = Error;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        self.manifest.as_ref().ok_or(Error::ChunkMissing(*name))?.node(name, length)
    }
}

impl ReadDepot for RemoteReader {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error> {
        let mut spots = Vec::with_capacity(names.len());
        for names in names.chunks(NAMES_MAX) {
            spots.extend(self.locate_some(names)?);
        }
        Ok(spots)
    }

    fn group(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, Error> {
        Ok(self.fetch(spot, names)?)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        // One after another of the same group, as a stream reads them.
        let group = match self.kept(&|_, group| group.has(std::slice::from_ref(name))) {
            Some(group) => group,
            None => {
                let spot = self.locate_some(std::slice::from_ref(name))?.pop().flatten();
                self.fetch(&spot.ok_or(Error::ChunkMissing(*name))?, std::slice::from_ref(name))?
            }
        };
        let bytes = group.find(name)?;
        if bytes.len() == length as usize {
            return Ok(Bytes::copy_from_slice(bytes));
        }
        let reason = format!("it has {} bytes, not {length}", bytes.len());
        Err(Error::Damaged { what: format!("chunk {name}"), reason })
    }
}

impl Drop for RemoteReader {
    fn drop(&mut self) {
        self.line.close();
    }
}
