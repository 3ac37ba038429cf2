//! Checkpoints, and attempts that go on from them: what is read again and what is not, and that the image is the same as if
//! nothing had happened.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use holdfast_proto::services::ManifestRoot;
use holdfast_types::{Entry, EntryFlags, Kind};
use tonic::Status;

use super::fake::{After, Fake};
use super::{Lab, noise};

const MIB: usize = 1 << 20;
const LARGE: usize = 40 * MIB;

impl Lab {
    /// One that makes a checkpoint wherever it can.
    fn eager() -> Self {
        let mut lab = Self::new();
        lab.options.checkpoint_bytes = 1;
        lab.options.checkpoint_every = Duration::ZERO;
        lab
    }

    /// An attempt that is killed when the media server has so many checkpoints more.
    fn killed(&self, (job, epoch): (u8, u64), checkpoints: usize) {
        let mut state = self.fake.state();
        let count = state.checkpoints + checkpoints;
        state.fail_after = Some((After::Checkpoints(count), Status::unavailable("killed")));
        drop(state);
        self.back_up(job, epoch).unwrap_err();
        self.fake.state().fail_after = None;
        assert!(self.fake.state().checkpoints >= count);
    }

    /// What an uninterrupted backup of the same tree makes.
    fn uninterrupted(&mut self) -> ManifestRoot {
        let (fake, options) = (std::mem::take(&mut self.fake), self.options);
        self.options.checkpoint_bytes = u64::MAX;
        self.options.checkpoint_every = Duration::MAX;
        let done = self.back_up(99, 1).unwrap();
        assert_eq!(self.fake.state().checkpoints, 0);
        (self.fake, self.options) = (fake, options);
        self.bytes_read();
        done.image.root.unwrap()
    }

    /// The entries of the last checkpoint by their paths below the tree.
    fn checkpoint(&self) -> BTreeMap<String, Entry> {
        let root = self.fake.state().checkpoint.clone();
        root.map(|root| entries(self, &self.fake, &root)).unwrap_or_default()
    }

    #[track_caller]
    fn assert_restores_as_on_disk(&self) {
        let to = tempfile::tempdir().unwrap();
        self.restore(&to).unwrap();
        let (here, there) = (self.dir.path(), to.path().join(self.dir.path().file_name().unwrap()));
        let root = self.fake.state().images.last().unwrap().root.clone().unwrap();
        for (path, entry) in entries(self, &self.fake, &root) {
            if entry.metadata.kind == Kind::File {
                assert_eq!(entry.flags, EntryFlags::default(), "{path}");
                assert!(
                    fs::read(here.join(&path)).unwrap() == fs::read(there.join(&path)).unwrap(),
                    "{path}"
                );
            }
        }
        assert_eq!(self.heard(), Vec::<String>::new());
    }
}

fn entries(lab: &Lab, fake: &Fake, root: &ManifestRoot) -> BTreeMap<String, Entry> {
    let base = lab.dir.path().to_str().unwrap();
    let named = fake.entries(root).into_iter().filter_map(|placed| {
        let path = String::from_utf8(placed.path()).unwrap();
        Some((path.strip_prefix(base)?.strip_prefix('/')?.to_owned(), placed.entry))
    });
    named.collect()
}

#[test]
fn an_attempt_that_is_killed_in_a_large_file_goes_on_in_it() {
    let mut lab = Lab::eager();
    lab.write("a/before", &noise(1, 5_000));
    lab.write("large", &noise(2, LARGE));
    lab.write("z/behind", &noise(3, 7_000));
    let expected = lab.uninterrupted();
    lab.killed((1, 1), 3);
    let large = lab.checkpoint()["large"].clone();
    let length = usize::try_from(large.content.length()).unwrap();
    assert!(large.flags.has(EntryFlags::UNFINISHED) && (MIB..LARGE).contains(&length), "{length}");
    lab.bytes_read();
    // Lists of pieces too: 20 MiB and more are more than 128 pieces here.
    lab.killed((1, 2), 3);
    let further = lab.checkpoint()["large"].content.length();
    assert!(further > length as u64);
    assert!(lab.bytes_read() <= (LARGE - length + 12_000) as u64);
    let done = lab.back_up(1, 3).unwrap();
    let rest = LARGE as u64 - further;
    assert!((rest..rest + 12_001).contains(&lab.bytes_read()), "only the rest is read");
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

#[test]
fn holes_and_lists_are_gone_on_behind() {
    let mut lab = Lab::eager();
    let path = lab.dir.path().join("sparse");
    let file = fs::File::create(&path).unwrap();
    for at in 0..10 {
        use std::os::unix::fs::FileExt;
        file.write_all_at(&noise(at, 3 * MIB), (8 * MIB * usize::from(at)) as u64).unwrap();
    }
    file.set_len(90 << 20).unwrap();
    let expected = lab.uninterrupted();
    lab.killed((1, 1), 4);
    let before = lab.checkpoint()["sparse"].clone();
    lab.bytes_read();
    let done = lab.back_up(1, 2).unwrap();
    assert!(before.content.length() > 0 && before.flags.has(EntryFlags::UNFINISHED));
    assert!(lab.bytes_read() < 30 << 20, "the beginning is not read again");
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

/// What was begun and is another file now, or has another content, is read from its beginning.
fn begun_and_then(change: impl FnOnce(&Lab)) {
    let lab = Lab::eager();
    lab.write("large", &noise(2, LARGE));
    lab.killed((1, 1), 2);
    assert!(lab.checkpoint()["large"].flags.has(EntryFlags::UNFINISHED));
    change(&lab);
    lab.bytes_read();
    lab.back_up(1, 2).unwrap();
    assert_eq!(lab.bytes_read(), fs::metadata(lab.dir.path().join("large")).unwrap().len());
    lab.assert_restores_as_on_disk();
}

#[test]
fn a_file_that_was_changed_meanwhile_is_read_anew() {
    begun_and_then(|lab| {
        use std::os::unix::fs::FileExt;
        let path = lab.dir.path().join("large");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"another beginning", 0).unwrap();
        // Only the ctime tells.
        file.set_modified(modified).unwrap();
    });
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_read_anew() {
    begun_and_then(|lab| {
        let path = lab.dir.path().join("large");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        lab.write("new", &noise(7, LARGE));
        fs::File::options()
            .write(true)
            .open(lab.dir.path().join("new"))
            .unwrap()
            .set_modified(modified)
            .unwrap();
        fs::rename(lab.dir.path().join("new"), path).unwrap();
    });
}

#[test]
fn a_file_that_became_shorter_meanwhile_is_read_anew() {
    begun_and_then(|lab| lab.write("large", b"short"));
}

#[test]
fn a_file_of_which_the_vault_has_lost_a_chunk_is_read_anew() {
    begun_and_then(|lab| {
        let first = &lab.checkpoint()["large"].content;
        let holdfast_types::Piece::List { .. } = first.pieces[0] else { panic!("the file has lists") };
        let name = lab.fake.chunks_of(first)[3];
        lab.fake.state().lost.insert(name);
    });
}

/// Thousands of small files in directories, many of them with further names in other directories.
fn many_small_files(lab: &Lab) {
    for number in 0..3_000_usize {
        let name = format!("d{:02}/f{number:04}", number % 30);
        lab.write(&name, &noise(u8::try_from(number % 251).unwrap(), 200 + number));
        if number.is_multiple_of(7) {
            let other = lab.dir.path().join(format!("d{:02}/l{number:04}", (number + 11) % 30));
            fs::create_dir_all(other.parent().unwrap()).unwrap();
            fs::hard_link(lab.dir.path().join(&name), other).unwrap();
        }
    }
    symlink("f0000", lab.dir.path().join("d00/symlink")).unwrap();
    fs::create_dir(lab.dir.path().join("empty")).unwrap();
}

#[test]
fn checkpoints_wherever_they_can_be_change_nothing() {
    let mut lab = Lab::eager();
    many_small_files(&lab);
    let expected = lab.uninterrupted();
    let done = lab.back_up(1, 1).unwrap();
    let made = lab.fake.state().checkpoints;
    assert!(made > 20, "{made}");
    assert_eq!(lab.progress.checkpoints.load(SeqCst), made as u64);
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

#[test]
fn attempts_that_are_killed_again_and_again_come_to_the_same_image() {
    let mut lab = Lab::eager();
    lab.options.threads = 1;
    many_small_files(&lab);
    let expected = lab.uninterrupted();
    let mut known = 0;
    for epoch in 1..=4 {
        lab.killed((1, epoch), 5);
        let checkpoint = lab.checkpoint();
        assert!(checkpoint.len() > known, "attempt {epoch} has come further");
        known = checkpoint.len();
        assert!(checkpoint.values().all(|entry| !entry.flags.has(EntryFlags::UNFINISHED)));
        assert_eq!(checkpoint.get("d00").map(|entry| entry.metadata.kind), Some(Kind::Directory));
    }
    let files = |lab: &Lab| -> u64 { lab.checkpoint().values().map(|entry| entry.content.length()).sum() };
    let (done_before, _) = (files(&lab), lab.bytes_read());
    let done = lab.back_up(1, 5).unwrap();
    let all: u64 = entries(&lab, &lab.fake, &expected).values().map(|entry| entry.content.length()).sum();
    assert!(lab.bytes_read() <= all - done_before, "what the checkpoint has is not read again");
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

#[test]
fn an_attempt_that_has_not_come_far_does_not_lose_what_the_last_one_had() {
    let mut lab = Lab::eager();
    lab.write("a", &noise(1, 20 * MIB));
    (0..200).for_each(|number| lab.write(&format!("b{number:03}"), &noise(2, 30_000 + number)));
    lab.write("c", &noise(3, 30 * MIB));
    lab.write("d", &noise(4, 12 * MIB));
    // Killed in the middle of a large file, having all before it.
    for epoch in 1.. {
        if lab.checkpoint().contains_key("c") {
            break;
        }
        lab.killed((1, epoch), 1);
    }
    let before = lab.checkpoint();
    // The first file is another now: the next attempt is killed in it.
    lab.write("a", &noise(5, 20 * MIB));
    let expected = lab.uninterrupted();
    lab.killed((1, 1_000), 1);
    let after = lab.checkpoint();
    assert!(after["a"].flags.has(EntryFlags::UNFINISHED));
    let same = |path: &&String| path.as_str() != "a" && before[*path] == after[*path];
    assert_eq!(before.keys().filter(same).count(), before.len() - 1, "all else is as it was");
    lab.bytes_read();
    let done = lab.back_up(1, 1_001).unwrap();
    let rest = |path: &str, length: usize| length as u64 - after[path].content.length();
    assert_eq!(lab.bytes_read(), rest("a", 20 * MIB) + rest("c", 30 * MIB) + (12 * MIB) as u64);
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

#[test]
fn a_checkpoint_that_cannot_be_used_costs_nothing_but_reading() {
    let mut lab = Lab::eager();
    many_small_files(&lab);
    lab.write("z", &noise(2, 12 * MIB));
    let expected = lab.uninterrupted();
    lab.killed((1, 1), 30);
    // Its root is gone.
    let root = lab.fake.state().checkpoint.clone().unwrap();
    lab.fake.state().chunks.retain(|name, _| name.0[..] != root.name[..]);
    let done = lab.back_up(1, 2).unwrap();
    assert_eq!(done.image.root, Some(expected));
    lab.assert_restores_as_on_disk();
}

#[test]
fn a_slow_media_server_and_one_thread_do_not_stand_in_each_others_way() {
    let mut lab = Lab::eager();
    lab.options.threads = 1;
    lab.write("large", &noise(2, 24 * MIB));
    (0..300).for_each(|number| lab.write(&format!("many/{number:03}"), &noise(2, 3_000 + number)));
    let expected = lab.uninterrupted();
    lab.fake.slow.store(5, SeqCst);
    let done = lab.back_up(1, 1).unwrap();
    assert_eq!(done.image.root, Some(expected));
    assert!(lab.fake.state().checkpoints > 1);
}

#[test]
fn without_a_limit_that_is_reached_there_is_no_checkpoint() {
    let lab = Lab::new();
    lab.write("large", &noise(2, 12 * MIB));
    lab.back_up(1, 1).unwrap();
    assert_eq!((lab.fake.state().checkpoints, lab.progress.checkpoints.load(SeqCst)), (0, 0));
}
