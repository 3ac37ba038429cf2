//! Image records: what an image is, besides its manifest (docs/format.md, section 8). Which are kept is policy.

use holdfast_types::{ChunkName, Counts, Fault, ImageId, JobId};
use prost::Message;

use crate::error::{Error, Result, bound};
use crate::manifest::{HEIGHT_MAX, NODE_MAX, Root, check_path};
use crate::message::each_field;
use crate::seal::{HEADER_LENGTH, TAG_LENGTH};
use crate::wire;

/// Most bytes of a record's object.
pub const LENGTH_MAX: u64 = 16 << 20;
/// Faults that are listed; all are counted.
pub const FAULTS_MAX: usize = 1000;
/// Roots, excludes and faults together.
pub const PARTS_MAX: u64 = 65_536;
/// Most bytes of a label, and of a host's name.
pub const NAME_MAX: usize = 255;
/// Bytes of their paths and reasons: paths may be long, and the record must stay below its bound.
const FAULT_BYTES_MAX: usize = 8 << 20;

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// Its id, derived from the job's.
    pub image: ImageId,
    /// The job that made it.
    pub job: JobId,
    /// Its label.
    pub name: String,
    /// The host whose files it holds.
    pub host: String,
    /// When the job was created, in milliseconds since 1970 UTC.
    pub started_millis: u64,
    /// When it was committed.
    pub finished_millis: u64,
    /// The paths that were backed up.
    pub roots: Vec<Vec<u8>>,
    /// The patterns that were left out.
    pub excludes: Vec<String>,
    /// The manifest; `None` if it has no entries.
    pub manifest: Option<Root>,
    /// What it holds.
    pub counts: Counts,
    /// The first entries that were in trouble.
    pub faults: Vec<Fault>,
    /// The image that it was compared with.
    pub parent: Option<ImageId>,
    /// The program that wrote it.
    pub program: String,
}

/// The key of an image's object: its time, so that the order is known without opening it, then its id.
pub fn object_key(created_millis: u64, image: ImageId) -> String {
    format!("images/{:012x}-{image}", created_millis & 0xffff_ffff_ffff)
}

/// Time and id from the last part of such a key.
pub fn parse_object_key(last_part: &str) -> Option<(u64, ImageId)> {
    let (millis, image) = last_part.split_once('-')?;
    let millis: [u8; 6] = holdfast_types::from_hex(millis).ok()?;
    Some((millis.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), image.parse().ok()?))
}

/// Encodes a record (to be sealed as an object).
pub fn encode(record: &ImageRecord) -> Vec<u8> {
    let millis = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    wire::ImageRecord {
        image_id: record.image.0.to_vec(),
        job_id: record.job.as_bytes().to_vec(),
        name: record.name.clone(),
        host: record.host.clone(),
        started_millis: millis(record.started_millis),
        finished_millis: millis(record.finished_millis),
        roots: record.roots.clone(),
        excludes: record.excludes.clone(),
        root_node: record.manifest.map(|root| root.name.0.to_vec()).unwrap_or_default(),
        root_length: record.manifest.map_or(0, |root| root.length),
        root_height: record.manifest.map_or(0, |root| u32::from(root.height)),
        counts: Some(encode_counts(&record.counts)),
        faults: encode_faults(&record.faults),
        parent: record.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        program: record.program.clone(),
    }
    .encode_to_vec()
}

/// Encodes a record for which [`decode`] gives a record again, and whose object is within its bound. Another must not be
/// stored: no reader would take it.
pub fn encode_readable(record: &ImageRecord) -> Result<Vec<u8>> {
    let bytes = encode(record);
    let length = (HEADER_LENGTH + bytes.len() + TAG_LENGTH) as u64;
    bound("the length of an image record", length, LENGTH_MAX)?;
    decode(&bytes)?;
    Ok(bytes)
}

fn encode_faults(faults: &[Fault]) -> Vec<wire::Fault> {
    let mut bytes = 0;
    let fits = |fault: &&Fault| {
        bytes += fault.path.len() + fault.reason.len();
        bytes <= FAULT_BYTES_MAX
    };
    let message = |fault: &Fault| wire::Fault { path: fault.path.clone(), reason: fault.reason.clone() };
    faults.iter().take(FAULTS_MAX).take_while(fits).map(message).collect()
}

/// Decodes a record.
pub fn decode(bytes: &[u8]) -> Result<ImageRecord> {
    check_parts(bytes)?;
    let record = wire::ImageRecord::decode(bytes).map_err(|_| Error::Encoding { what: "an image record" })?;
    let job = JobId::from_slice(&record.job_id).ok_or(Error::Invalid { what: "the job id" })?;
    let image = ImageId::from_slice(&record.image_id).ok_or(Error::Invalid { what: "the image id" })?;
    if image != job.image_id() {
        return Err(Error::Invalid { what: "the image id" });
    }
    if u64::try_from(record.started_millis) != Ok(job.created_millis()) {
        return Err(Error::Invalid { what: "the time of an image" });
    }
    bound("the number of faults", record.faults.len() as u64, FAULTS_MAX as u64)?;
    bound("the length of an image's name", record.name.len() as u64, NAME_MAX as u64)?;
    bound("the length of a host's name", record.host.len() as u64, NAME_MAX as u64)?;
    record.roots.iter().try_for_each(|root| check_path(root))?;
    let millis =
        |value: i64| u64::try_from(value).map_err(|_| Error::Invalid { what: "the time of an image" });
    Ok(ImageRecord {
        image,
        job,
        started_millis: millis(record.started_millis)?,
        finished_millis: millis(record.finished_millis)?,
        manifest: decode_root(&record)?,
        counts: decode_counts(&record.counts.unwrap_or_default()),
        faults: record
            .faults
            .into_iter()
            .map(|fault| Fault { path: fault.path, reason: fault.reason })
            .collect(),
        parent: match record.parent.as_slice() {
            [] => None,
            bytes => Some(ImageId::from_slice(bytes).ok_or(Error::Invalid { what: "the parent's id" })?),
        },
        name: record.name,
        host: record.host,
        roots: record.roots,
        excludes: record.excludes,
        program: record.program,
    })
}

/// Counts roots, excludes and faults, so that few bytes that stand for many of them are refused before they are many.
fn check_parts(record: &[u8]) -> Result<()> {
    let mut count = 0;
    each_field(record, "an image record", &mut |number, _| {
        count += u64::from(matches!(number, 7 | 8 | 13));
        bound("the number of roots, excludes and faults", count, PARTS_MAX)
    })
}

fn decode_root(record: &wire::ImageRecord) -> Result<Option<Root>> {
    if record.root_node.is_empty() {
        return Ok(None);
    }
    let name = ChunkName::from_slice(&record.root_node).ok_or(Error::Invalid { what: "the root's name" })?;
    bound("the height of a manifest", u64::from(record.root_height), u64::from(HEIGHT_MAX))?;
    bound("the length of a node", u64::from(record.root_length), u64::from(NODE_MAX))?;
    let height = u8::try_from(record.root_height).unwrap_or(HEIGHT_MAX);
    Ok(Some(Root { name, length: record.root_length, height }))
}

fn encode_counts(counts: &Counts) -> wire::Counts {
    wire::Counts {
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

fn decode_counts(counts: &wire::Counts) -> Counts {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> ImageRecord {
        let job = JobId::at_millis(1_795_000_000_000, [1; 10]);
        ImageRecord {
            image: job.image_id(),
            job,
            name: "web1".into(),
            host: "web1.example".into(),
            started_millis: 1_795_000_000_000,
            finished_millis: 1_795_000_001_000,
            roots: vec![b"/srv".to_vec()],
            excludes: vec!["*.tmp".into()],
            manifest: Some(Root { name: ChunkName([5; 32]), length: 77, height: 1 }),
            counts: Counts { files: 3, bytes_added: 9, ..Counts::default() },
            faults: vec![Fault { path: b"/srv/\xff".to_vec(), reason: "gone".into() }],
            parent: Some(ImageId([3; 16])),
            program: "holdfast 0".into(),
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(&example())).unwrap(), example());
        let empty = ImageRecord { manifest: None, parent: None, ..example() };
        assert_eq!(decode(&encode(&empty)).unwrap(), empty);
    }

    #[test]
    fn long_faults_do_not_make_a_record_too_long() {
        let fault = Fault { path: vec![b'x'; 1 << 20], reason: "gone".into() };
        let record = ImageRecord { faults: vec![fault; 20], ..example() };
        let bytes = encode(&record);
        assert!((bytes.len() as u64) < LENGTH_MAX / 2 + 4096);
        assert_eq!(decode(&bytes).unwrap().faults.len(), 7);
    }

    #[test]
    fn only_what_can_be_read_is_encoded_to_be_stored() {
        assert_eq!(encode_readable(&example()), Ok(encode(&example())));
        let bad_root = ImageRecord { roots: vec![b"srv".to_vec()], ..example() };
        assert_eq!(encode_readable(&bad_root), Err(Error::Invalid { what: "a path" }));
        let with_excludes = |excludes| encode_readable(&ImageRecord { excludes, ..example() });
        assert!(matches!(with_excludes(vec![String::new(); 65_536]), Err(Error::Bound { .. })));
        let around = usize::try_from(LENGTH_MAX).unwrap() - 600;
        assert!(with_excludes(vec!["x".repeat(around)]).is_ok());
        assert!(matches!(with_excludes(vec!["x".repeat(around + 600)]), Err(Error::Bound { .. })));
    }

    #[test]
    fn keys_sort_by_time() {
        let key = object_key(1_795_000_000_000, ImageId([0xab; 16]));
        assert_eq!(key, format!("images/01a1ee565e00-{}", "ab".repeat(16)));
        let last = key.rsplit('/').next().unwrap();
        assert_eq!(parse_object_key(last), Some((1_795_000_000_000, ImageId([0xab; 16]))));
        assert_eq!(parse_object_key("x-y"), None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let _ = decode(&noise);
            let mut bytes = encode(&example());
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _ = decode(&bytes);
        }
    }
}
