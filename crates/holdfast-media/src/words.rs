//! Messages to words and back. Every length and number from the network is compared with its bound here.

use holdfast_format::manifest::{HEIGHT_MAX, NODE_MAX, Root};
use holdfast_format::record::{FAULTS_MAX, ImageRecord, NAME_MAX};
use holdfast_jobs::attempt::Epoch;
use holdfast_proto::services as wire;
use holdfast_types::{ChunkName, Counts, Fault, ImageId, JobId, PackId};
use holdfast_vault::Spot;

use crate::error::{Error, Result};

/// Most names in a question (docs/jobs.md, section 7).
pub(crate) const NAMES_MAX: usize = 65_536;
/// Most bytes of a reason, and of other short texts.
const TEXT_MAX: usize = 4 << 10;

/// One attempt of one job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// Which attempt of it.
    pub epoch: Epoch,
}

pub(crate) fn attempt(attempt: Option<&wire::Attempt>) -> Result<AttemptId> {
    let invalid = || Error::Invalid("the attempt");
    let attempt = attempt.ok_or_else(invalid)?;
    let epoch = attempt.epoch.ok_or_else(invalid)?;
    Ok(AttemptId {
        job: JobId::from_slice(&attempt.job).ok_or_else(invalid)?,
        epoch: Epoch { incarnation: epoch.incarnation, counter: epoch.counter },
    })
}

/// An attempt as a message has it.
pub fn to_attempt(attempt: &AttemptId) -> wire::Attempt {
    let Epoch { incarnation, counter } = attempt.epoch;
    wire::Attempt { job: attempt.job.as_bytes().to_vec(), epoch: Some(wire::Epoch { incarnation, counter }) }
}

/// Names laid end to end.
pub(crate) fn names(bytes: &[u8]) -> Result<Vec<ChunkName>> {
    if !bytes.len().is_multiple_of(32) || bytes.len() / 32 > NAMES_MAX {
        return Err(Error::Invalid("the list of names"));
    }
    Ok(bytes.chunks_exact(32).filter_map(ChunkName::from_slice).collect())
}

/// One bit a name, the first the lowest of the first byte.
pub(crate) fn bits(values: &[bool]) -> Vec<u8> {
    let mut bytes = vec![0; values.len().div_ceil(8)];
    for (at, _) in values.iter().enumerate().filter(|(_, value)| **value) {
        bytes[at / 8] |= 1 << (at % 8);
    }
    bytes
}

pub(crate) fn root(root: &wire::ManifestRoot) -> Result<Root> {
    let invalid = || Error::Invalid("the root of a manifest");
    let name = ChunkName::from_slice(&root.name).ok_or_else(invalid)?;
    let height = u8::try_from(root.height).ok().filter(|height| *height <= HEIGHT_MAX).ok_or_else(invalid)?;
    if root.length == 0 || root.length > NODE_MAX {
        return Err(invalid());
    }
    Ok(Root { name, length: root.length, height })
}

pub(crate) fn to_root(root: Root) -> wire::ManifestRoot {
    wire::ManifestRoot { name: root.name.0.to_vec(), length: root.length, height: u32::from(root.height) }
}

/// A client's name, or a label, of which the record has bytes for so many.
pub(crate) fn label(text: String) -> Result<String> {
    if text.is_empty() || text.len() > NAME_MAX {
        Err(Error::Invalid("a name in the ticket"))
    } else {
        Ok(text)
    }
}

/// The name of the program that makes an image.
pub(crate) fn program(text: String) -> Result<String> {
    if text.len() > NAME_MAX { Err(Error::Invalid("the name of the program")) } else { Ok(text) }
}

pub(crate) fn faults(faults: Vec<wire::Fault>) -> Result<Vec<Fault>> {
    if faults.len() > FAULTS_MAX || faults.iter().any(|fault| fault.reason.len() > TEXT_MAX) {
        return Err(Error::Invalid("the list of faults"));
    }
    Ok(faults.into_iter().map(|fault| Fault { path: fault.path, reason: fault.reason }).collect())
}

pub(crate) fn counts(counts: &wire::Counts) -> Counts {
    Counts {
        files: counts.files,
        directories: counts.directories,
        others: counts.others,
        errors: counts.errors,
        bytes_source: counts.bytes_source,
        bytes_read: counts.bytes_read,
        bytes_added: counts.bytes_added,
        chunks_new: counts.chunks_new,
    }
}

/// An image as a message has it.
pub(crate) fn to_image(record: &ImageRecord) -> wire::Image {
    let counts = &record.counts;
    wire::Image {
        image: record.image.0.to_vec(),
        job: record.job.as_bytes().to_vec(),
        name: record.name.clone(),
        host: record.host.clone(),
        started_millis: record.started_millis,
        finished_millis: record.finished_millis,
        roots: record.roots.clone(),
        excludes: record.excludes.clone(),
        root: record.manifest.map(to_root),
        counts: Some(wire::Counts {
            files: counts.files,
            directories: counts.directories,
            others: counts.others,
            errors: counts.errors,
            bytes_source: counts.bytes_source,
            bytes_read: counts.bytes_read,
            bytes_added: counts.bytes_added,
            chunks_new: counts.chunks_new,
        }),
        parent: record.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        program: record.program.clone(),
        naming_key: Vec::new(),
    }
}

/// About the bytes of an image's message: what may be long in it, and as much as the rest has at most.
pub(crate) fn image_size(image: &wire::Image) -> usize {
    let roots = image.roots.iter().map(|root| root.len() + 8);
    roots.chain(image.excludes.iter().map(|pattern| pattern.len() + 8)).sum::<usize>() + 1024
}

/// The image of a ticket: none if all of a client's are meant.
pub(crate) fn image(bytes: &[u8]) -> Result<Option<ImageId>> {
    match bytes {
        [] => Ok(None),
        bytes => ImageId::from_slice(bytes).map(Some).ok_or(Error::Invalid("the image of the ticket")),
    }
}

/// Where a group lies. What of it is a chunk's own place is not looked at.
pub(crate) fn group_spot(spot: Option<&wire::Spot>) -> Result<Spot> {
    let invalid = || Error::Invalid("the place of a group");
    let spot = spot.ok_or_else(invalid)?;
    Ok(Spot {
        pack: PackId::from_slice(&spot.pack).ok_or_else(invalid)?,
        group_offset: spot.group_offset,
        chunk_offset: 0,
        length: 0,
        group_length: spot.group_length,
    })
}

pub(crate) fn to_spot(spot: Option<Spot>) -> wire::Spot {
    let Some(spot) = spot else {
        return wire::Spot { pack: vec![0; 16], ..wire::Spot::default() };
    };
    wire::Spot {
        pack: spot.pack.0.to_vec(),
        group_offset: spot.group_offset,
        group_length: spot.group_length,
        offset: spot.chunk_offset,
        length: spot.length,
    }
}

/// What is said to a person, in bounds.
pub(crate) fn text(error: &dyn std::fmt::Display) -> String {
    let mut text = error.to_string();
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        assert_eq!(names(&[7; 64]).unwrap().len(), 2);
        assert!(names(&[7; 63]).is_err() && names(&vec![7; 32 * (NAMES_MAX + 1)]).is_err());
        let good = wire::ManifestRoot { name: vec![1; 32], length: 9, height: 1 };
        assert!(root(&good).is_ok());
        for bad in [
            wire::ManifestRoot { height: 9, ..good.clone() },
            wire::ManifestRoot { length: 0, ..good.clone() },
            wire::ManifestRoot { length: NODE_MAX + 1, ..good.clone() },
            wire::ManifestRoot { name: vec![1; 31], ..good },
        ] {
            assert!(root(&bad).is_err(), "{bad:?}");
        }
        assert!(attempt(Some(&wire::Attempt { job: vec![0; 16], epoch: None })).is_err());
        assert!(faults(vec![wire::Fault { path: vec![], reason: "x".repeat(5000) }]).is_err());
    }

    #[test]
    fn bits_begin_at_the_lowest() {
        assert_eq!(bits(&[true, false, true, false, false, false, false, false, true]), [0b101, 1]);
        assert!(bits(&[]).is_empty());
    }
}
