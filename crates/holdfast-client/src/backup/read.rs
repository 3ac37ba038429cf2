//! Reads files: content becomes named chunks, in buffers that hold many small files or a part of a large one.
//!
//! Readers know nothing of order or of what the depot has; they fill the outputs of their tasks, and wait when those
//! are full.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Receiver;
use holdfast_types::{ChunkName, EntryFlags, Kind, Timestamp};

use super::output::{Event, Opened, Output, Reached, Read, Task, Wanted};
use super::shared::Shared;
use crate::places::Place;
use crate::progress::Progress;
use crate::source::{
    Directory, Extent, Found, Outcome, ReadFault, SourceFile, complete, is_young, open_file, stat,
};

/// Bytes after which an output is handed over at the end of a file; a larger file fills the buffer.
const OUTPUT_BYTES: usize = 1 << 20;

/// A thread that reads.
pub(crate) fn run(shared: &Shared<'_>, tasks: &Receiver<Task>) {
    let place = shared.progress.places.new_thread();
    let mut reader = Reader { shared, output: Output::new(shared.buffers.take(), 0), place };
    for task in tasks {
        if reader.task(&task).is_none() {
            return;
        }
    }
}

struct Reader<'a> {
    shared: &'a Shared<'a>,
    output: Output,
    place: Place,
}

impl Reader<'_> {
    /// `None` when nobody wants the output.
    fn task(&mut self, task: &Task) -> Option<()> {
        for wanted in &task.entries {
            if self.shared.is_cancelled() {
                return None;
            }
            self.place.at(task.directory.path(), &wanted.found.name);
            let read = self.entry(task, wanted)?;
            self.place.nowhere();
            self.output.events.push(Event::End(Box::new(read)));
            if self.output.used >= OUTPUT_BYTES {
                self.flush(task, 0)?;
            }
        }
        if self.output.events.is_empty() { Some(()) } else { self.flush(task, 0) }
    }

    /// One entry. What was replaced since it was listed, as most programs save their files, is looked at once more.
    fn entry(&mut self, task: &Task, wanted: &Wanted) -> Option<Read> {
        let (directory, young) = (&task.directory, self.shared.options.young);
        let again;
        let mut found = &wanted.found;
        if found.metadata.kind == Kind::File && !self.shared.options.dry_run {
            match self.file(task, found, wanted.from)? {
                Ok(read) => return Some(read),
                Err(ReadFault::Replaced) => {}
                Err(fault) => return Some(missing(&fault)),
            }
            match stat(directory, &found.name) {
                Ok(metadata) if metadata.kind == Kind::Directory => {
                    return Some(missing(&ReadFault::Replaced));
                }
                Ok(metadata) => again = Found { name: found.name.clone(), metadata },
                Err(fault) => return Some(missing(&fault)),
            }
            found = &again;
        }
        match found.metadata.kind {
            Kind::File if self.shared.options.dry_run => Some(self.pretend(found)),
            Kind::File => Some(self.file(task, found, None)?.unwrap_or_else(|fault| missing(&fault))),
            _ => Some(other(directory, found, self.shared.began, young)),
        }
    }

    fn pretend(&self, found: &Found) -> Read {
        Progress::add(&self.shared.progress.bytes_read, found.metadata.size);
        Read { metadata: Some(found.metadata.clone()), flags: EntryFlags::default(), faults: Vec::new() }
    }

    /// Hands over what is cut. So many bytes behind it go on in the next buffer.
    fn flush(&mut self, task: &Task, rest: usize) -> Option<()> {
        if self.shared.is_cancelled() {
            return None;
        }
        let mut buffer = self.shared.buffers.take();
        let used = self.output.used;
        buffer[..rest].copy_from_slice(&self.output.buffer[used..used + rest]);
        let next = Output::new(buffer, self.output.events.len());
        let mut output = std::mem::replace(&mut self.output, next);
        let names: Vec<ChunkName> = output.chunks().map(|(name, _)| name).collect();
        if !names.is_empty() {
            output.lacking = self.shared.depot.ask(&names);
        }
        task.out.send(output).ok()
    }

    /// A file, from where an earlier attempt has come if it is the same still. `None` when nobody wants the output.
    fn file(&mut self, task: &Task, found: &Found, from: Option<Reached>) -> Option<Result<Read, ReadFault>> {
        let before = Timestamp::from(SystemTime::now());
        let mut file = match open_file(&task.directory, &found.name, &found.metadata) {
            Ok(file) => file,
            Err(fault) => return Some(Err(fault)),
        };
        let mut metadata = file.metadata().clone();
        // The walk knows the owners' names, and may know the device.
        if metadata.owner.uid == found.metadata.owner.uid && metadata.owner.gid == found.metadata.owner.gid {
            metadata.owner = Arc::clone(&found.metadata.owner);
        }
        if from.is_some_and(|from| file.go_on_at(from.offset, &found.metadata, from.dev)) {
            self.output.events.push(Event::GoesOn);
        }
        let (mut flags, mut faults) = (EntryFlags::default(), Vec::new());
        if is_young(metadata.ctime, before, self.shared.options.young) {
            flags = flags.with(EntryFlags::YOUNG);
        }
        if let Err(fault) = file.complete(&mut metadata) {
            flags = flags.with(EntryFlags::PARTIAL);
            faults.push(fault.to_string());
        }
        let opened = Opened { metadata, flags };
        let read = self.content(task, &mut file, &opened)?;
        let Opened { metadata, .. } = opened;
        if let Err(fault) = read {
            flags = flags.with(EntryFlags::PARTIAL);
            faults.push(fault.to_string());
        }
        if file.finish() == Outcome::Changed {
            flags = flags.with(EntryFlags::CHANGED);
            faults.push("changed while it was read; the image holds a mixture".into());
        }
        Some(Ok(Read { metadata: Some(metadata), flags, faults }))
    }

    /// Reads and cuts. Chunks begin anew after a hole. `None` when nobody wants the output.
    fn content(
        &mut self,
        task: &Task,
        file: &mut SourceFile,
        opened: &Opened,
    ) -> Option<Result<(), ReadFault>> {
        let mut filled = self.output.used;
        let mut told = None;
        loop {
            if filled == self.output.buffer.len() {
                self.cut(filled, false);
                filled -= self.output.used;
                if self.shared.depot.keeps_checkpoints() {
                    let opened = told.get_or_insert_with(|| Arc::new(opened.on_device(file.device())));
                    self.output.goes_on = Some(Arc::clone(opened));
                }
                self.flush(task, filled)?;
            }
            match file.next(&mut self.output.buffer[filled..]) {
                Ok(Extent::Data(length)) => {
                    Progress::add(&self.shared.progress.bytes_read, length as u64);
                    filled += length;
                }
                Ok(Extent::Hole(length)) => {
                    self.cut(filled, true);
                    self.output.events.push(Event::Hole(length));
                }
                Ok(Extent::End) => {
                    self.cut(filled, true);
                    return Some(Ok(()));
                }
                Err(fault) => {
                    self.cut(filled, true);
                    return Some(Err(fault));
                }
            }
        }
    }

    /// Cuts what stands behind the last chunk: all of it, or as long as a whole chunk is certain.
    fn cut(&mut self, filled: usize, all: bool) {
        let domain = self.shared.domain;
        let Output { buffer, used, events, .. } = &mut self.output;
        while *used < filled && (all || filled - *used >= domain.chunker.window()) {
            let rest = &buffer[*used..filled];
            let length = domain.chunker.cut(rest);
            // A chunk is at most 4 MiB.
            events.push(Event::Chunk(
                domain.naming.name(&rest[..length]),
                u32::try_from(length).unwrap_or(u32::MAX),
            ));
            *used += length;
        }
    }
}

fn missing(fault: &ReadFault) -> Read {
    Read { metadata: None, flags: EntryFlags::default(), faults: vec![fault.to_string()] }
}

/// An entry that is no file: its attributes, and where a link points. `before`: a time before the walk saw it.
fn other(directory: &Directory, found: &Found, before: Timestamp, young: Duration) -> Read {
    let mut metadata = found.metadata.clone();
    let mut flags = EntryFlags::default();
    if is_young(metadata.ctime, before, young) {
        flags = flags.with(EntryFlags::YOUNG);
    }
    match complete(directory, &found.name, &mut metadata) {
        Ok(()) => Read { metadata: Some(metadata), flags, faults: Vec::new() },
        // A symlink without its target cannot be restored; all else can, with what could be read.
        Err(fault) if metadata.kind == Kind::Symlink && metadata.link_target.is_empty() => missing(&fault),
        Err(fault) => {
            let flags = flags.with(EntryFlags::PARTIAL);
            Read { metadata: Some(metadata), flags, faults: vec![fault.to_string()] }
        }
    }
}
