//! docs/format.proto against wire.rs, so that the page and the program cannot drift apart: the text of both declares the
//! same messages, and what prost encodes is decoded and encoded again by the rules of the page alone.

#![allow(clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use prost::Message;

use crate::wire::*;

/// Name, type as the page writes it, whether repeated.
type Field = (String, String, bool);
/// Of each message, its fields by number.
type Schema = BTreeMap<String, BTreeMap<u32, Field>>;

fn page() -> Schema {
    let mut schema = Schema::new();
    let mut current = None;
    for line in include_str!("../../../docs/format.proto").lines() {
        let code = line.split("//").next().unwrap().trim();
        if let Some(name) = code.strip_prefix("message ").and_then(|rest| rest.strip_suffix(" {")) {
            current = Some(name.to_owned());
            assert!(schema.insert(name.to_owned(), BTreeMap::new()).is_none(), "{name} twice");
        } else if code == "}" {
            current = None;
        } else if let (Some(message), Some(code)) = (&current, code.strip_suffix(';')) {
            let (declared, number) = code.split_once(" = ").unwrap();
            let (kind, name) = declared.rsplit_once(' ').unwrap();
            let repeated = kind.starts_with("repeated ");
            let kind = kind.trim_start_matches("repeated ").to_owned();
            let field = (name.to_owned(), kind, repeated);
            let fields = schema.get_mut(message).unwrap();
            assert!(fields.insert(number.parse().unwrap(), field).is_none(), "{message} {number} twice");
        }
    }
    schema
}

fn program() -> Schema {
    let mut schema = Schema::new();
    let (mut message, mut attribute) = (String::new(), String::new());
    for line in include_str!("wire.rs").lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            message = name.to_owned();
            schema.insert(message.clone(), BTreeMap::new());
        } else if let Some(inner) = line.strip_prefix("#[prost(").and_then(|rest| rest.strip_suffix(")]")) {
            attribute = inner.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
            let words: Vec<&str> = attribute.split(", ").collect();
            let number = words.iter().find_map(|word| word.strip_prefix("tag = ")).unwrap().trim_matches('"');
            let kind = match words[0] {
                "message" => {
                    kind.trim_end_matches(',').trim_end_matches('>').rsplit('<').next().unwrap().to_owned()
                }
                word => word.split(" = ").next().unwrap().to_owned(),
            };
            let field = (name.to_owned(), kind, words.contains(&"repeated"));
            schema.get_mut(&message).unwrap().insert(number.parse().unwrap(), field);
        }
    }
    schema
}

#[test]
fn both_declare_the_same() {
    assert_eq!(page(), program());
    assert_eq!(page().len(), 21);
}

/// Reads a varint.
fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint of more than 10 bytes");
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "uint32" | "uint64" | "int64" | "sint64" | "bool")
}

/// Checks a number against its type.
fn check_number(kind: &str, value: u64) {
    match kind {
        "uint32" => assert!(u32::try_from(value).is_ok()),
        "bool" => assert!(value <= 1),
        _ => {}
    }
}

/// Reads a message by the page, each field once or (repeated messages and bytes) in a row, and writes it again.
fn rewrite(schema: &Schema, message: &str, mut bytes: &[u8], seen: &mut Vec<u32>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0;
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let number = u32::try_from(tag >> 3).unwrap();
        let (name, kind, repeated) = &schema[message][&number];
        let again = *repeated && !is_number(kind) && number == last;
        assert!(number > last || again, "{message}.{name} out of turn");
        last = number;
        seen.push(number);
        put_varint(tag, &mut out);
        if is_number(kind) && !repeated {
            assert_eq!(tag & 7, 0, "{message}.{name}");
            let value = varint(&mut bytes);
            check_number(kind, value);
            put_varint(value, &mut out);
            continue;
        }
        assert_eq!(tag & 7, 2, "{message}.{name}");
        let length = varint(&mut bytes) as usize;
        let (mut inner, rest) = bytes.split_at(length);
        bytes = rest;
        let mut written = Vec::new();
        match kind.as_str() {
            "bytes" => written.extend_from_slice(inner),
            "string" => written.extend_from_slice(std::str::from_utf8(inner).unwrap().as_bytes()),
            kind if is_number(kind) => {
                while !inner.is_empty() {
                    let value = varint(&mut inner);
                    check_number(kind, value);
                    put_varint(value, &mut written);
                }
            }
            kind => written = rewrite(schema, kind, inner, &mut Vec::new()),
        }
        put_varint(written.len() as u64, &mut out);
        out.extend_from_slice(&written);
    }
    out
}

#[track_caller]
fn agrees<M: Message + Default + PartialEq>(name: &str, message: &M) {
    let schema = page();
    let encoded = message.encode_to_vec();
    let mut seen = Vec::new();
    let again = rewrite(&schema, name, &encoded, &mut seen);
    assert_eq!(again, encoded, "{name}");
    assert!(*message == M::decode(again.as_slice()).unwrap(), "{name}");
    seen.dedup();
    assert_eq!(
        seen,
        schema[name].keys().copied().collect::<Vec<_>>(),
        "{name}: a field is not set, or not encoded"
    );
}

// No `..Default::default()` below: a new field must be set here too.

#[test]
fn configs_agree() {
    agrees("PlainConfig", &PlainConfig { vault_id: vec![1; 16], key_id: vec![2; 8] });
    let secret =
        SecretConfig { naming_key: vec![1; 32], chunk_min: 4096, chunk_normal: u32::MAX, chunk_max: 1 };
    agrees("SecretConfig", &secret);
}

#[test]
fn packs_agree() {
    let list = GroupList { encoding: 1, names: vec![3; 64], lengths: vec![1, u32::MAX], nodes: true };
    agrees("GroupList", &list);
    agrees("PackFooter", &PackFooter { group_offsets: vec![48, u64::MAX] });
}

#[test]
fn indexes_agree() {
    let pack = IndexPack { id: vec![1; 16], size: u64::MAX };
    let place = IndexBlockPlace { first_name: vec![2; 32], offset: u64::MAX, length: u32::MAX };
    agrees("IndexPack", &pack);
    agrees("IndexBlockPlace", &place);
    let column = vec![0, 1, u32::MAX];
    let block = IndexBlock {
        names: vec![4; 96],
        packs: column.clone(),
        group_offsets: column.clone(),
        group_lengths: column.clone(),
        chunk_offsets: column.clone(),
        chunk_lengths: column,
    };
    agrees("IndexBlock", &block);
    let footer = IndexFooter {
        packs: vec![pack.clone(), pack],
        blocks: vec![place.clone(), place],
        entries: 1 << 40,
        filter: vec![9; 32],
        replaces: vec![vec![1; 16], vec![2; 16]],
    };
    agrees("IndexFooter", &footer);
}

fn pieces() -> PieceList {
    PieceList { names: vec![1; 64], lengths: vec![0, u64::MAX], sizes: vec![7, u32::MAX] }
}

fn entry() -> Entry {
    let xattr = Xattr { name: b"user.a".to_vec(), value: vec![0xff, 0] };
    Entry {
        name: b"n\xff".to_vec(),
        kind: 7,
        mode: 0o7777,
        owner: 1,
        mtime_seconds: -1,
        mtime_nanos: 999_999_999,
        ctime_seconds: i64::MIN,
        ctime_nanos: 1,
        ino: u64::MAX,
        dev: 1 << 33,
        nlink: 2,
        size: 1 << 50,
        link_target: b"../x".to_vec(),
        device_major: u32::MAX,
        device_minor: 3,
        xattrs: vec![xattr.clone(), xattr],
        content: Some(pieces()),
        depth: 4,
        flags: u32::MAX,
    }
}

#[test]
fn nodes_agree() {
    let owner = Owner { uid: u32::MAX, gid: 1, user: b"u".to_vec(), group: b"g".to_vec() };
    let run = Run { directory: b"/a".to_vec(), entries: vec![entry(), entry()] };
    let child = Child {
        name: vec![1; 32],
        length: u32::MAX,
        entries: u64::MAX,
        first_directory: b"/".to_vec(),
        first_name: b"a".to_vec(),
    };
    agrees("Owner", &owner);
    agrees("Xattr", &entry().xattrs[0]);
    agrees("PieceList", &pieces());
    agrees("Entry", &entry());
    agrees("Run", &run);
    agrees("Child", &child);
    let leaf = Leaf { owners: vec![owner.clone(), owner], runs: vec![run.clone(), run] };
    let branch = Branch { children: vec![child.clone(), child] };
    agrees("Leaf", &leaf);
    agrees("Branch", &branch);
    agrees("Node", &Node { leaf: Some(leaf), branch: Some(branch) });
}

#[test]
fn times_are_zigzag() {
    let bytes = Entry { mtime_seconds: -1, ctime_seconds: 1, ..Entry::default() }.encode_to_vec();
    assert_eq!(bytes, [5 << 3, 1, 7 << 3, 2]);
}

#[test]
fn records_and_marks_agree() {
    let counts = Counts {
        files: 1,
        directories: 2,
        others: 3,
        errors: 4,
        bytes_source: 5,
        bytes_read: 6,
        bytes_added: 7,
        chunks_new: u64::MAX,
    };
    let fault = Fault { path: b"/\xff".to_vec(), reason: "gone".into() };
    agrees("Counts", &counts);
    agrees("Fault", &fault);
    let record = ImageRecord {
        image_id: vec![1; 16],
        job_id: vec![2; 16],
        name: "näme".into(),
        host: "host".into(),
        started_millis: i64::MAX,
        finished_millis: -1,
        roots: vec![b"/a".to_vec(), b"/b\xff".to_vec()],
        excludes: vec!["*.o".into(), "é".into()],
        root_node: vec![3; 32],
        root_length: u32::MAX,
        root_height: 8,
        counts: Some(counts),
        faults: vec![fault.clone(), fault],
        parent: vec![4; 16],
        program: "holdfast".into(),
    };
    agrees("ImageRecord", &record);
    agrees("Mark", &Mark { since_seconds: -1 });
}
