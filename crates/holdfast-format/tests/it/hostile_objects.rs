//! Objects, and parts of them, that say what they must not, sealed as if by a writer that has the key.

use holdfast_format::group::{CHUNKS_MAX, Encoding, List};
use holdfast_format::seal::{Header, ObjectKind, PartKind, Sealer, TAG_LENGTH};
use holdfast_format::{Error, VaultKey, config, index, mark, pack, record};
use holdfast_types::{ChunkName, JobId};

use crate::message::Message;

const KEY: &str = "an/object";

fn header() -> Header {
    Header::new(ObjectKind::Pack, [2; 32])
}

fn sealer() -> Sealer {
    Sealer::new(&VaultKey::from_bytes([1; 32]), &header()).unwrap()
}

/// A group with this list and data.
fn group(list: &[u8], data: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len() + TAG_LENGTH).unwrap();
    let frame = pack::Frame { number: 3, list_length: length(list), data_length: length(data) }.to_bytes();
    let mut bytes = frame.to_vec();
    sealer().seal(PartKind::GroupList, 3, &frame, list, &mut bytes).unwrap();
    sealer().seal(PartKind::GroupData, 3, &frame, data, &mut bytes).unwrap();
    bytes
}

fn list() -> Message {
    Message::default().bytes(2, [[1; 32], [2; 32]].concat()).packed(3, &[2, 3])
}

fn refused_list(list: &Message) -> String {
    pack::open_group(&sealer(), group(&list.encode(), b"abcde")).unwrap_err().to_string()
}

#[test]
fn lists_of_groups() {
    let open = |data: &[u8]| pack::open_group(&sealer(), group(&list().encode(), data));
    assert_eq!(open(b"abcde").unwrap().bytes(), b"abcde");
    assert!(open(b"abcd").is_err() && open(b"abcdef").is_err() && open(b"").is_err());
    for bad in [
        list().bytes(2, [1; 32]),
        list().bytes(2, [1; 65]),
        list().packed(3, &[5]),
        list().packed(3, &[2, 3, 0]),
        list().packed(3, &[]).bytes(2, b""),
        Message::default(),
    ] {
        assert_eq!(refused_list(&bad), "the list of a group is invalid");
    }
    assert_eq!(refused_list(&list().packed(3, &[5, 0])), "a chunk in the list of a group is invalid");
    assert_eq!(
        refused_list(&list().bytes(2, [[1; 32], [0; 32]].concat())),
        "a chunk in the list of a group is invalid"
    );
    assert!(
        refused_list(&list().packed(3, &[1, 8 << 20])).starts_with("the plain length of a group is 8388609")
    );
    assert!(
        refused_list(&list().packed(3, &[0xffff_ffff, 0xffff_ffff]))
            .starts_with("the plain length of a group")
    );
    assert_eq!(refused_list(&list().number(1, 2)), "the encoding of a group is invalid");
    assert_eq!(refused_list(&list().number(1, 1)), "the zstd frame of a group is invalid");
    let many = CHUNKS_MAX + 1;
    let long = Message::default().bytes(2, vec![1; many * 32]).packed(3, &vec![1; many]);
    assert!(refused_list(&long).starts_with("the number of chunks in a group is 65537"));
}

#[test]
fn groups_that_declare_too_much() {
    let frame = |list_length, data_length| {
        pack::Frame::parse(&pack::Frame { number: 0, list_length, data_length }.to_bytes())
    };
    assert!(frame(4 << 20, 9 << 20).is_ok());
    assert!(matches!(frame((4 << 20) + 1, 16), Err(Error::Bound { .. })));
    assert!(matches!(frame(16, (9 << 20) + 1), Err(Error::Bound { .. })));
    assert!(matches!(frame(u32::MAX, u32::MAX), Err(Error::Bound { .. })));
    let whole = group(&list().encode(), b"abcde");
    assert!(pack::open_group(&sealer(), whole[..whole.len() - 1].to_vec()).is_err());
    assert!(pack::open_group(&sealer(), [whole.as_slice(), &[0]].concat()).is_err());
    assert!(pack::open_list(&sealer(), &mut whole[..40].to_vec()).is_err());
    // A declared 8 MiB that a few bytes stand for is given no more than it declares, and only if it is exact.
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
    let declared = |length: u64| {
        let list = Message::default().number(1, 1).bytes(2, [1; 32]).packed(3, &[length]);
        pack::open_group(&sealer(), group(&list.encode(), &bomb))
    };
    assert_eq!(declared(8 << 20).unwrap().bytes().len(), 8 << 20);
    assert!(declared(1000).is_err() && declared((8 << 20) - 1).is_err());
}

#[test]
fn what_a_reader_would_refuse_is_not_sealed() {
    let seal = |chunks: Vec<(ChunkName, u32)>| {
        pack::seal_group(&sealer(), 0, &List { encoding: Encoding::Plain, chunks, nodes: false }, b"x")
            .is_ok()
    };
    assert!(seal(vec![(ChunkName([1; 32]), 1)]));
    assert!(!seal(vec![]));
    assert!(!seal(vec![(ChunkName([0; 32]), 1)]), "this name stands for a hole");
    assert!(!seal(vec![(ChunkName([1; 32]), 0)]));
    assert!(!seal(vec![(ChunkName([1; 32]), (8 << 20) + 1)]));
    assert!(!seal(vec![(ChunkName([1; 32]), 1); CHUNKS_MAX + 1]));
}

fn sealed_footer(kind: PartKind, magic: &[u8], plain: &[u8]) -> Vec<u8> {
    let length = u32::try_from(plain.len() + TAG_LENGTH).unwrap().to_le_bytes();
    let associated = [header().bound_to(KEY).as_slice(), &length, magic].concat();
    let mut sealed = Vec::new();
    sealer().seal(kind, 0, &associated, plain, &mut sealed).unwrap();
    sealed
}

#[test]
fn footers_of_packs() {
    let open = |offsets: &[u64]| {
        let plain = Message::default().packed(1, offsets).encode();
        pack::open_footer(
            &sealer(),
            &header(),
            KEY,
            &mut sealed_footer(PartKind::PackFooter, b"HFPE", &plain),
        )
    };
    assert_eq!(open(&[5000, 48]).unwrap(), [5000, 48]);
    for bad in [&[0][..], &[47], &[48, 48], &[48, u64::MAX], &[1 << 32]] {
        assert_eq!(open(bad), Err(Error::Invalid { what: "the footer of the pack" }), "{bad:?}");
    }
    let tail = |length: u32| pack::footer_length(&[&length.to_le_bytes()[..], b"HFPE"].concat());
    assert_eq!(tail(16 << 20), Ok(16 << 20));
    assert!(matches!(tail((16 << 20) + 1), Err(Error::Bound { .. })));
    assert!(pack::footer_length(b"\x10\0\0\0HFPF").is_err() && pack::footer_length(b"HFPE").is_err());
}

fn block() -> Message {
    let names = Message::default().bytes(1, [[1; 32], [2; 32]].concat()).packed(2, &[0, 1]);
    names.packed(3, &[48, 900]).packed(4, &[100, 200]).packed(5, &[0, 7]).packed(6, &[5, 8])
}

#[test]
fn blocks_of_the_index() {
    let open = |block: &Message| {
        let mut sealed = Vec::new();
        sealer().seal(PartKind::IndexBlock, 4, &[], &block.encode(), &mut sealed).unwrap();
        index::open_block(&sealer(), 4, 2, &mut sealed)
    };
    assert_eq!(open(&block()).unwrap().entries.len(), 2);
    assert_eq!(open(&Message::default()), Err(Error::Invalid { what: "an empty block of the index" }));
    for field in 2..=6 {
        let columns = Err(Error::Invalid { what: "the columns of a block of the index" });
        assert_eq!(open(&block().packed(field, &[1, 48, 100])), columns, "column {field}");
    }
    assert!(open(&block().bytes(1, [1; 63])).is_err());
    let order = Err(Error::Invalid { what: "the order of the index" });
    assert_eq!(open(&block().bytes(1, [[2; 32], [1; 32]].concat())), order);
    assert!(open(&block().bytes(1, [[2; 32], [2; 32]].concat())).is_ok(), "one name in two packs");
    let place = Err(Error::Invalid { what: "a place in the index" });
    assert_eq!(open(&block().packed(2, &[0, 2])), place, "a pack that the table does not cover");
    assert_eq!(open(&block().packed(3, &[47, 900])), place);
    assert_eq!(open(&block().packed(3, &[48, 0xffff_fff0])), place, "beyond any pack");
    assert_eq!(open(&block().packed(4, &[100, 15])), place);
    assert_eq!(open(&block().packed(4, &[100, (13 << 20) + 17])), place);
    assert_eq!(open(&block().packed(5, &[0, 8 << 20])), place);
    assert_eq!(open(&block().packed(6, &[5, 0])), place);
    assert_eq!(open(&block().packed(5, &[0, 0xffff_ffff]).packed(6, &[5, 0xffff_ffff])), place);
    assert_eq!(open(&block().bytes(1, [[0; 32], [2; 32]].concat())), place, "the name of no chunk");
    let rows = 4097;
    let many = (2..=6).fold(Message::default().bytes(1, vec![1; rows * 32]), |block, field| {
        block.packed(field, &vec![if field == 3 { 48 } else { 1 }; rows])
    });
    assert!(matches!(open(&many), Err(Error::Bound { value: 4097, .. })));
}

#[test]
fn footers_of_the_index() {
    let pack = |size: u64| Message::default().bytes(1, [1; 16]).number(2, size);
    let place = |first: u8, offset: u64, length: u64| {
        Message::default().bytes(1, [first; 32]).number(2, offset).number(3, length)
    };
    let footer = |packs: Message, blocks: &[Message]| {
        Message::default().bytes(1, packs.encode()).all(2, blocks.iter().map(Message::encode)).number(3, 4)
    };
    let open = |footer: &Message| {
        let mut sealed = sealed_footer(PartKind::IndexFooter, b"HFIE", &footer.encode());
        index::open_footer(&sealer(), &header(), KEY, &mut sealed)
    };
    let good = footer(pack(5000), &[place(1, 48, 100), place(2, 148, 100)]);
    assert_eq!(open(&good).unwrap().blocks.len(), 2);
    let invalid = Err(Error::Invalid { what: "the footer of the index" });
    assert_eq!(open(&footer(pack(5000).bytes(1, [1; 15]), &[])), invalid);
    assert!(matches!(open(&footer(pack(1 << 32), &[])), Err(Error::Bound { .. })));
    assert_eq!(open(&footer(pack(5000), &[place(2, 48, 100), place(1, 148, 100)])), invalid);
    assert_eq!(open(&footer(pack(5000), &[place(1, 47, 100)])), invalid);
    assert_eq!(open(&footer(pack(5000), &[place(1, 48, 16)])), invalid);
    assert_eq!(open(&footer(pack(5000), &[place(1, 48, 100).bytes(1, [1; 33])])), invalid);
    assert!(matches!(open(&footer(pack(5000), &[place(1, 48, (1 << 20) + 1)])), Err(Error::Bound { .. })));
    assert_eq!(open(&good.clone().bytes(4, [0; 33])), Err(Error::Invalid { what: "the filter's length" }));
    assert_eq!(open(&good.bytes(5, [0; 17])), invalid);
    // More or fewer entries than the blocks can have: two of 37 bytes, and a tag, fit into 100.
    let entries =
        |count| open(&footer(pack(5000), &[place(1, 48, 100), place(2, 148, 100)]).number(3, count));
    assert!(entries(2).is_ok() && entries(1).is_err());
    for count in [5, u64::MAX] {
        assert!(matches!(entries(count), Err(Error::Bound { bound: 4, .. })), "{count}");
    }
    let large = footer(pack(5000), &[place(1, 48, 1 << 20)]);
    assert!(open(&large.clone().number(3, 4096)).is_ok());
    assert!(matches!(open(&large.number(3, 4097)), Err(Error::Bound { bound: 4096, .. })));
    let tail = |length: u32| index::footer_length(&[&length.to_le_bytes()[..], b"HFIE"].concat());
    assert!(tail(1 << 30).is_ok() && matches!(tail((1 << 30) + 1), Err(Error::Bound { .. })));
}

/// Two bytes each stand for a pack, a block or a table: refused before any of them takes memory.
#[test]
fn footers_of_the_index_full_of_nothing() {
    for (field, shortest) in [(1, 18), (2, 34), (5, 16)] {
        for length in [0, shortest - 1] {
            let plain = Message::default().all(field, vec![vec![0; length]; 1 << 16]).encode();
            let mut sealed = sealed_footer(PartKind::IndexFooter, b"HFIE", &plain);
            let opened = index::open_footer(&sealer(), &header(), KEY, &mut sealed);
            // Zeros are no message either: what is told is found before they are decoded.
            assert_eq!(opened, Err(Error::Invalid { what: "the footer of the index" }), "{field} {length}");
        }
    }
}

#[test]
fn records_of_images() {
    let job = JobId::at_millis(1_795_000_000_000, [1; 10]);
    let record = Message::default()
        .bytes(1, job.image_id().0)
        .bytes(2, job.as_bytes())
        .number(5, 1_795_000_000_000)
        .bytes(7, "/srv")
        .bytes(9, [3; 32])
        .number(10, 100)
        .number(11, 8);
    let decode = |record: &Message| record::decode(&record.encode());
    assert!(decode(&record).is_ok());
    assert!(decode(&record.clone().without(9)).unwrap().manifest.is_none());
    for (field, bytes) in
        [(1, vec![1; 16]), (1, vec![]), (2, vec![1; 16]), (2, vec![]), (9, vec![1; 31]), (14, vec![1; 15])]
    {
        assert!(
            matches!(decode(&record.clone().bytes(field, bytes)), Err(Error::Invalid { .. })),
            "field {field}"
        );
    }
    assert_eq!(decode(&record.clone().number(5, 7)), Err(Error::Invalid { what: "the time of an image" }));
    assert_eq!(
        decode(&record.clone().number(6, u64::MAX)),
        Err(Error::Invalid { what: "the time of an image" })
    );
    for root in ["", "srv", "/srv/", "/srv/../etc", "//", "/a\0"] {
        assert_eq!(decode(&record.clone().bytes(7, root)), Err(Error::Invalid { what: "a path" }), "{root}");
    }
    assert!(decode(&record.clone().bytes(7, "/")).is_ok());
    assert!(matches!(decode(&record.clone().number(11, 9)), Err(Error::Bound { .. })));
    assert!(matches!(decode(&record.clone().number(10, (8 << 20) + 1)), Err(Error::Bound { .. })));
    let faults =
        |count| decode(&record.clone().all(13, vec![Message::default().bytes(1, "/x").encode(); count]));
    assert_eq!(faults(1000).unwrap().faults.len(), 1000);
    assert!(matches!(faults(1001), Err(Error::Bound { .. })));
    for field in [7, 8, 13] {
        let parts = |count| decode(&record.clone().without(7).all(field, vec![b"/".to_vec(); count]));
        assert!(field == 13 || parts(65_536).is_ok(), "{field}");
        // Counted first: these are no faults, and would be told as such if they were decoded.
        assert!(matches!(parts(65_537), Err(Error::Bound { value: 65_537, .. })), "{field}");
    }
    assert!(matches!(decode(&record.clone().bytes(3, b"\xff")), Err(Error::Encoding { .. })));
    assert!(
        matches!(decode(&record.number(1, 5)), Err(Error::Encoding { .. })),
        "a number where bytes should be"
    );
}

#[test]
fn marks_and_configs() {
    assert_eq!(mark::decode(&Message::default().number(1, u64::MAX).encode()), Ok(-1));
    assert!(mark::decode(&Message::default().bytes(1, b"x").encode()).is_err());
    let header = Header::new(ObjectKind::Config, [3; 32]);
    let plain = |length: u32, message: &Message| {
        config::decode_plain(&[&header.as_bytes()[..], &length.to_le_bytes(), &message.encode()].concat())
    };
    let good = Message::default().bytes(1, [1; 16]).bytes(2, [2; 8]);
    assert!(plain(28, &good).is_ok());
    assert!(plain(27, &good).is_err() && plain(29, &good).is_err());
    assert!(matches!(plain(4097, &good), Err(Error::Bound { .. })));
    assert!(matches!(plain(u32::MAX, &good), Err(Error::Bound { .. })));
    assert!(
        plain(27, &good.clone().bytes(1, [1; 15])).is_err() && plain(27, &good.bytes(2, [1; 7])).is_err()
    );
    assert!(matches!(config::decode_plain(&[0; 9000]), Err(Error::Bound { .. })));
    // The secret part, sealed as it should be.
    let key = VaultKey::from_bytes([1; 32]);
    let secret = |min: u64, normal: u64, max: u64, naming: &[u8]| {
        let message = Message::default().bytes(1, naming).number(2, min).number(3, normal).number(4, max);
        let front = Message::default().bytes(1, [1; 16]).bytes(2, key.id().0).encode();
        let front = [&u32::try_from(front.len()).unwrap().to_le_bytes()[..], &front].concat();
        let mut object = [&header.as_bytes()[..], &front].concat();
        let associated = [header.bound_to("config"), front].concat();
        let sealer = Sealer::new(&key, &header).unwrap();
        sealer.seal(PartKind::Object, 0, &associated, &message.encode(), &mut object).unwrap();
        config::decode(&object, &key)
    };
    assert!(secret(4 << 10, 8 << 10, 4 << 20, &[1; 32]).is_ok());
    for (min, normal, max) in [
        (2048, 8192, 16384),
        (4096, 4096, 8192),
        (4096, 8192, 8 << 20),
        (4096, 12288, 16384),
        (0, 0, 0),
        (1 << 31, 1 << 31, 1 << 31),
    ] {
        assert_eq!(
            secret(min, normal, max, &[1; 32]).unwrap_err(),
            Error::Invalid { what: "the chunk sizes" }
        );
    }
    assert!(secret(4096, 8192, 16384, &[1; 31]).is_err());
}

#[test]
fn headers() {
    let good = *Header::new(ObjectKind::Mark, [3; 32]).as_bytes();
    let parse = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        Header::parse(ObjectKind::Mark, &bytes)
    };
    assert!(parse(4, 1).is_ok() && parse(16, 77).is_ok());
    assert!(parse(6, 9).is_ok(), "a newer writer may be read");
    for at in 0..4 {
        assert!(matches!(parse(at, 0), Err(Error::Magic { .. })));
    }
    assert_eq!(parse(4, 2), Err(Error::NewerVersion { needs: 2, known: 1 }));
    assert!(matches!(parse(5, 1), Err(Error::NewerVersion { .. })));
    assert!((8..12).all(|at| matches!(parse(at, 1), Err(Error::Flags(_)))));
    assert!((12..16).all(|at| parse(at, 1) == Err(Error::Invalid { what: "the header" })));
    assert!(matches!(Header::parse(ObjectKind::Mark, &good[..47]), Err(Error::Short { .. })));
}
