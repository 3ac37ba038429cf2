//! What happens to a corpus between two backups: the "1 % changed" of the table. The same for every program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::corpus::Corpus;
use super::files::{self, FoundFile};
use holdfast_testkit::{Content, Random};

/// Of a tree: one file of so many is edited.
const EDITED_ONE_OF: usize = 100;
/// So many files are added, and as many deleted; a tenth of the files if that is less.
const ADDED_FILES: usize = 200;
const ADDED_FILE_BYTES: u64 = 8 << 10;
/// Of a few big files: so many bytes are inserted at so many places.
const INSERTED_BYTES: u64 = 4 << 10;
const INSERTED_PLACES: usize = 3;

/// Changes the copy of a corpus.
pub(super) fn apply(corpus: &Corpus) -> Result<()> {
    let list = files::list(&corpus.source)?;
    if corpus.is_big_files() { insert_into_big_files(&list) } else { change_tree(&corpus.source, &list) }
}

fn insert_into_big_files(list: &[FoundFile]) -> Result<()> {
    for place in 0..INSERTED_PLACES.min(list.len()) {
        let file = &list[place * list.len() / INSERTED_PLACES.min(list.len())];
        let half = usize::try_from(file.length / 2)?;
        insert(&file.path, half, Content::Noise { seed: place as u64, length: INSERTED_BYTES })?;
    }
    Ok(())
}

fn change_tree(root: &Path, list: &[FoundFile]) -> Result<()> {
    let some = ADDED_FILES.min(list.len() / 10);
    for file in list.iter().step_by(EDITED_ONE_OF) {
        let content = Content::Text { seed: file.length, length: 100 };
        insert(&file.path, usize::try_from(file.length / 3)?, content)?;
    }
    let step = list.len() / some.max(1);
    for (number, file) in list.iter().skip(step / 2).step_by(step.max(1)).take(some).enumerate() {
        let neighbour = file.path.with_file_name(format!("added-{number}.txt"));
        let length = 1 + Random::new(number as u64).below(2 * ADDED_FILE_BYTES);
        fs::write(neighbour, Content::Text { seed: number as u64, length }.to_vec()?)?;
    }
    // Others than those that were edited or have a new neighbour.
    for file in list.iter().skip(step / 2 + 1).step_by(step.max(2)).take(some) {
        fs::remove_file(&file.path)?;
    }
    match directory_to_rename(root, list) {
        Some(directory) => Ok(fs::rename(&directory, directory.with_extension("renamed"))?),
        None => Ok(()),
    }
}

/// The directory whose number of files is nearest to one in a hundred of all.
fn directory_to_rename(root: &Path, list: &[FoundFile]) -> Option<PathBuf> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for file in list {
        for directory in file.path.ancestors().skip(1).take_while(|directory| *directory != root) {
            *counts.entry(directory).or_default() += 1;
        }
    }
    let wanted = list.len() / 100;
    counts
        .into_iter()
        .min_by_key(|(_, count)| count.abs_diff(wanted))
        .map(|(directory, _)| directory.to_owned())
}

/// Writes the file anew with bytes put in, as an editor does, without a new inode.
fn insert(path: &Path, at: usize, content: Content) -> Result<()> {
    let old = fs::read(path)?;
    let new = [&old[..at], &content.to_vec()?, &old[at..]].concat();
    Ok(fs::write(path, new)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::{Compare, Plan};
    use tempfile::TempDir;

    fn changed(plan: &Plan) -> Vec<String> {
        let place = TempDir::new().unwrap();
        let original = place.path().join("tree");
        plan.create(&original).unwrap();
        let corpus = Corpus::copy(&original, &place.path().join("work")).unwrap();
        assert_eq!(Compare::default().trees(&original, &corpus.source).unwrap(), Vec::<String>::new());
        apply(&corpus).unwrap();
        Compare::contents().trees(&original, &corpus.source).unwrap()
    }

    #[test]
    fn a_tree_is_changed_in_every_way() {
        let file = |plan: Plan, number| plan.file(format!("d{}/{number}", number / 10), format!("{number}"));
        let plan = (0..100).fold(Plan::new(), |plan, number| plan.directory(format!("d{number}")));
        let lines = changed(&(0..1000).fold(plan, file));
        let count = |beginning: &str| lines.iter().filter(|line| line.starts_with(beginning)).count();
        assert!((9..=10).contains(&count(".fcs")), "{lines:#?}");
        assert_eq!((count("<d"), count(">d")), (1, 1), "one directory is renamed: {lines:#?}");
        assert!((95..=100).contains(&count(">f")) && (95..=100).contains(&count("<f")), "{lines:#?}");
    }

    #[test]
    fn big_files_get_insertions() {
        let content = |seed| Content::Noise { seed, length: 2 << 20 };
        let plan = (0..6).fold(Plan::new(), |plan, seed| plan.content(format!("{seed}"), content(seed)));
        let lines = changed(&plan);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(
            lines.iter().all(|line| line.contains("size 2097152 and 2101248; content from byte 10485")),
            "{lines:#?}"
        );
    }
}
