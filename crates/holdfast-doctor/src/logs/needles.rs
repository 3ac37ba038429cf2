//! The words that make a line worth a closer look: nearly all lines of a debug log have none. What such a line says is for
//! `decode`, which must not depend on a word that is missing here.

use aho_corasick::AhoCorasick;
use aho_corasick::packed::Searcher;

/// Without what may be written large or small.
const WORDS: &[&str] = &[
    " FROM ",
    "connect in progress",
    "SO_ERROR",
    "sock_ready",
    "max_time",
    "VN_REQUEST",
    "SERVICE_SOCKET",
    "FORWARD_SOCKET",
    "mpx_ipc",
    "DATASOCKET",
    "ipc_string",
    "hash_str",
    "rrno",
    "WSAE",
    "efused",
    "REFUSED",
    "tatus",
    "STATUS",
    "WRITE DONE",
    "AllJobs",
    "jobid=",
    "imed out",
    "imer expired",
    "imeout",
    "addrinfo",
    "nameinfo",
    "gethostby",
    "roken pipe",
    "EPIPE",
    "SIGPIPE",
    "ero window",
    "ZeroWindow",
    "end writing",
    "CONNECT_FAILED",
    "onnect failed",
    "ime out expired",
    // Numbers of errors of Windows sockets.
    "error 100",
    "error: 100",
    "error = 100",
    "error=100",
];

/// A searcher of all of them at once.
#[derive(Clone)]
pub struct Needles {
    /// By vector instructions, where the processor has them.
    packed: Option<Searcher>,
    any: Option<AhoCorasick>,
}

impl Needles {
    /// The words above.
    #[must_use]
    pub fn new() -> Self {
        // Fails only for patterns beyond a size that these are far from; then no line is passed over.
        let any = AhoCorasick::new(WORDS).or_else(|_| AhoCorasick::new([""])).ok();
        Self { packed: Searcher::new(WORDS), any }
    }

    /// Where the first of them begins.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        match (&self.packed, &self.any) {
            (Some(packed), _) => packed.find(bytes).map(|found| found.start()),
            (None, Some(any)) => any.find(bytes).map(|found| found.start()),
            (None, None) => Some(0),
        }
    }
}

impl Default for Needles {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_searchers_find_the_same() {
        let fast = Needles::new();
        let slow = Needles { packed: None, ..fast.clone() };
        for text in [
            "",
            "a line that says nothing of note, and is long enough for vector instructions to be used on it",
            "17:50:04.006 [5592.5372] <2> vnet_async_connect: ... 0: connect in progress: 2 0x00000002",
            "x errno = 62",
        ] {
            assert_eq!(fast.find(text.as_bytes()), slow.find(text.as_bytes()), "{text}");
        }
        assert_eq!(fast.find(b"x errno = 62"), Some(3));
    }
}
