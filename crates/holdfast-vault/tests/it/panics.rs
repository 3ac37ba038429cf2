//! A store that panics while a pack is written: the job fails, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use holdfast_store::{Key, Listed, MemoryStore, Result, Store, Writer};
use holdfast_vault::{Error, Mode};

use crate::support::*;

/// Which call of a pack's writer panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Write,
    Finish,
}

#[derive(Clone)]
struct Panicky {
    inner: MemoryStore,
    call: Call,
    armed: Arc<AtomicBool>,
}

struct PanickyWriter {
    inner: Box<dyn Writer>,
    call: Call,
    /// The header is written before anyone counts on the pack.
    begun: bool,
}

impl Writer for PanickyWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(self.call != Call::Write || !self.begun, "planned by a test");
        self.begun = true;
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        assert!(self.call != Call::Finish, "planned by a test");
        self.inner.finish()
    }
}

impl Store for Panicky {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        self.inner.get(key, bound)
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        self.inner.get_range(key, offset, length)
    }

    fn size(&self, key: &Key) -> Result<u64> {
        self.inner.size(key)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        let inner = self.inner.create(key)?;
        if key.as_str().starts_with("packs/") && self.armed.load(SeqCst) {
            return Ok(Box::new(PanickyWriter { inner, call: self.call, begun: false }));
        }
        Ok(inner)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.inner.list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn a_panic_fails_the_job_and_nothing_else() {
    for call in [Call::Write, Call::Finish] {
        let (inner, vault) = new_vault();
        drop(vault);
        let store = Panicky { inner, call, armed: Arc::new(AtomicBool::new(true)) };
        let vault = try_open(store.clone(), Mode::Write).unwrap();
        let files = tree([("/a", noise(1, 50_000))]);
        let (send, done) = sync_channel(1);
        let (other, tree) = (vault.clone(), files.clone());
        std::thread::spawn(move || {
            let mut backup = Backup::begin(&other).unwrap();
            let fed = backup.file(b"/a", &tree[&b"/a"[..]]);
            // Whatever came of the groups, the checkpoint tells, and so does every later one.
            let ends = [backup.checkpoint(), backup.checkpoint()].map(|end| end.unwrap_err());
            drop(backup);
            send.send((fed, ends)).unwrap();
        });
        let (_, ends) = done.recv_timeout(Duration::from_secs(60)).expect("an end");
        for error in ends {
            assert!(matches!(error, Error::Failed { .. } | Error::WriterGone), "{call:?}: {error}");
        }
        store.armed.store(false, SeqCst);
        let image = backup(&vault, 2, &files).image;
        assert_whole(&vault, image, &files);
        assert_clean(&vault);
    }
}
