//! Opens a file of logs, plain or packed; what it is, its first bytes tell.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// Bytes that a reader holds at a time.
const HELD: usize = 256 << 10;
/// The largest window of a packed file that is taken, as a power of two: 128 MiB, what the zstd program takes by default.
const WINDOW_LOG_MAX: u32 = 27;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A reader of what is in a file.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(HELD, File::open(path)?);
    let head = file.fill_buf()?;
    if head.starts_with(GZIP) {
        return Ok(Box::new(BufReader::with_capacity(HELD, MultiGzDecoder::new(file))));
    }
    if head.starts_with(ZSTD) {
        let mut reader = zstd::stream::read::Decoder::with_buffer(file)?;
        reader.window_log_max(WINDOW_LOG_MAX)?;
        return Ok(Box::new(BufReader::with_capacity(HELD, reader)));
    }
    Ok(Box::new(file))
}
