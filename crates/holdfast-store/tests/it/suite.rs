//! The one suite, on every store there is.

use std::sync::Arc;

use holdfast_store::{LocalStore, MemoryStore, Store, conformance, fault::FaultStore};

/// A local store that keeps its directory for as long as it lives.
fn local() -> (tempfile::TempDir, LocalStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::create(&dir.path().join("vault")).unwrap();
    (dir, store)
}

#[test]
fn local_store_keeps_the_contract() {
    let mut dirs = Vec::new();
    conformance::check(&mut || {
        let (dir, store) = local();
        dirs.push(dir);
        Box::new(store)
    });
}

#[test]
fn memory_store_keeps_the_contract() {
    conformance::check(&mut || Box::new(MemoryStore::new()));
}

#[test]
fn wrappers_keep_the_contract() {
    conformance::check(&mut || Box::new(FaultStore::new(MemoryStore::new())));
    conformance::check(&mut || Box::new(Arc::new(MemoryStore::new()) as Arc<dyn Store>));
}
