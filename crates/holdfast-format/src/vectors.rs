//! The examples in the appendix of docs/format.md, made again by the program. A change here is a change of the format.

#![allow(clippy::cast_possible_truncation)]

use holdfast_types::{ChunkName, JobId, to_hex};

use crate::chunker::{Chunker, Sizes};
use crate::filter::Filter;
use crate::key::{NamingKey, VaultKey};
use crate::manifest::begins_leaf;
use crate::record;
use crate::seal::{Header, ObjectKind, PartKind, Sealer, seal_object};

fn vault_key() -> VaultKey {
    VaultKey::from_bytes(std::array::from_fn(|at| at as u8))
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&1u64.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn cuts(chunker: &Chunker, mut data: &[u8]) -> String {
    let mut lengths = Vec::new();
    while !data.is_empty() {
        let length = chunker.cut(data);
        lengths.push(length.to_string());
        data = &data[length..];
    }
    lengths.join(" ")
}

fn sealed_part() -> Vec<u8> {
    let sealer = Sealer::new(&vault_key(), &Header::new(ObjectKind::Pack, [2; 32])).unwrap();
    let mut sealed = Vec::new();
    sealer.seal(PartKind::GroupList, 7, b"associated", b"plain", &mut sealed).unwrap();
    sealed
}

fn filter() -> Vec<u8> {
    let mut filter = Filter::from_bytes(vec![0; 96]).unwrap();
    filter.insert(&ChunkName(std::array::from_fn(|at| at as u8)));
    filter.as_bytes().to_vec()
}

fn examples() -> Vec<(&'static str, String)> {
    let naming = NamingKey::from_bytes([5; 32]);
    let sizes = Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 };
    let gear: Vec<String> = naming.gear_table()[..4].iter().map(|value| format!("{value:016x}")).collect();
    let job = JobId::from_slice(&holdfast_types::from_hex::<16>("01941f297c007abc8def0123456789ab").unwrap())
        .unwrap();
    let mark =
        seal_object(&vault_key(), ObjectKind::Mark, [2; 32], "marks/aa", &crate::mark::encode(1_700_000_000));
    let leaf_begins = (0..).find(|number| begins_leaf(b"/d", format!("f{number}").as_bytes())).unwrap();
    vec![
        ("key-text", vault_key().to_text().to_string()),
        ("key-id", vault_key().id().to_string()),
        ("object-key", to_hex(vault_key().object_key(&[2; 32]).as_slice())),
        ("sealed-part", to_hex(&sealed_part())),
        ("mark-object", to_hex(&mark.unwrap())),
        ("chunk-name", naming.name(b"holdfast").to_string()),
        ("gear-table", gear.join(" ")),
        ("cuts", cuts(&Chunker::new(&naming, sizes), &noise(200_000))),
        ("image-id", job.image_id().to_string()),
        ("image-key", record::object_key(job.created_millis(), job.image_id())),
        ("filter", to_hex(&filter())),
        ("leaf-begins", format!("f{leaf_begins}")),
    ]
}

#[test]
fn the_page_shows_what_the_program_makes() {
    let page = include_str!("../../../docs/format.md");
    let appendix = page.split("## Appendix").nth(1).expect("an appendix");
    let block = appendix.split("```").nth(1).expect("a block of examples");
    let shown: Vec<(&str, String)> = block
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(' '))
        .map(|(label, value)| (label, value.trim().to_owned()))
        .collect();
    let made = examples();
    let text: String = made.iter().map(|(label, value)| format!("{label:<12} {value}\n")).collect();
    assert!(shown == made, "the page should show\n{text}");
}
