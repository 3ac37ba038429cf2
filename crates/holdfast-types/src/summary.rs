//! What a backup or a restore did, in numbers, and what it could not do. Leaves printing to the program.

/// Counts of one image or one run. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Files, every name counted (hard links too).
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks, FIFOs, sockets and devices.
    pub others: u64,
    /// Entries that could not be read, or written, whole.
    pub errors: u64,
    /// Sum of the sizes of all files, once for each name.
    pub bytes_source: u64,
    /// File contents that were opened and read.
    pub bytes_read: u64,
    /// What was added to the vault, as stored.
    pub bytes_added: u64,
    /// Chunks that the vault did not have.
    pub chunks_new: u64,
}

/// One entry's trouble: it is reported and counted, and the run goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The entry's path on the source.
    pub path: Vec<u8>,
    /// What happened, for a person.
    pub reason: String,
}
