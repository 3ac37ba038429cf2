//! The protobuf messages of docs/format.proto, as they are on disk. Only this crate sees them; words of holdfast-types
//! go in and out. Written by hand, so that building needs no compiler for protobuf; the independent reader in
//! tools/reader, which compiles format.proto itself, proves that the two agree.
#![allow(missing_docs, unreachable_pub)] // the page documents them

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct PlainConfig {
    #[prost(bytes = "vec", tag = "1")]
    pub vault_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub key_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[prost(skip_debug)]
pub struct SecretConfig {
    #[prost(bytes = "vec", tag = "1")]
    pub naming_key: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub chunk_min: u32,
    #[prost(uint32, tag = "3")]
    pub chunk_normal: u32,
    #[prost(uint32, tag = "4")]
    pub chunk_max: u32,
}

impl std::fmt::Debug for SecretConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretConfig(..)")
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct GroupList {
    #[prost(uint32, tag = "1")]
    pub encoding: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub names: Vec<u8>,
    #[prost(uint32, repeated, tag = "3")]
    pub lengths: Vec<u32>,
    #[prost(bool, tag = "4")]
    pub nodes: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct PackFooter {
    #[prost(uint64, repeated, tag = "1")]
    pub group_offsets: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexBlock {
    #[prost(bytes = "vec", tag = "1")]
    pub names: Vec<u8>,
    #[prost(uint32, repeated, tag = "2")]
    pub packs: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    pub group_offsets: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    pub group_lengths: Vec<u32>,
    #[prost(uint32, repeated, tag = "5")]
    pub chunk_offsets: Vec<u32>,
    #[prost(uint32, repeated, tag = "6")]
    pub chunk_lengths: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexFooter {
    #[prost(message, repeated, tag = "1")]
    pub packs: Vec<IndexPack>,
    #[prost(message, repeated, tag = "2")]
    pub blocks: Vec<IndexBlockPlace>,
    #[prost(uint64, tag = "3")]
    pub entries: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub filter: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub replaces: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexPack {
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub size: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexBlockPlace {
    #[prost(bytes = "vec", tag = "1")]
    pub first_name: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    #[prost(uint32, tag = "3")]
    pub length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(message, optional, tag = "1")]
    pub leaf: Option<Leaf>,
    #[prost(message, optional, tag = "2")]
    pub branch: Option<Branch>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Leaf {
    #[prost(message, repeated, tag = "1")]
    pub owners: Vec<Owner>,
    #[prost(message, repeated, tag = "2")]
    pub runs: Vec<Run>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Owner {
    #[prost(uint32, tag = "1")]
    pub uid: u32,
    #[prost(uint32, tag = "2")]
    pub gid: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub user: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub group: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Run {
    #[prost(bytes = "vec", tag = "1")]
    pub directory: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    #[prost(uint32, tag = "3")]
    pub mode: u32,
    #[prost(uint32, tag = "4")]
    pub owner: u32,
    #[prost(sint64, tag = "5")]
    pub mtime_seconds: i64,
    #[prost(uint32, tag = "6")]
    pub mtime_nanos: u32,
    #[prost(sint64, tag = "7")]
    pub ctime_seconds: i64,
    #[prost(uint32, tag = "8")]
    pub ctime_nanos: u32,
    #[prost(uint64, tag = "9")]
    pub ino: u64,
    #[prost(uint64, tag = "10")]
    pub dev: u64,
    #[prost(uint32, tag = "11")]
    pub nlink: u32,
    #[prost(uint64, tag = "12")]
    pub size: u64,
    #[prost(bytes = "vec", tag = "13")]
    pub link_target: Vec<u8>,
    #[prost(uint32, tag = "14")]
    pub device_major: u32,
    #[prost(uint32, tag = "15")]
    pub device_minor: u32,
    #[prost(message, repeated, tag = "16")]
    pub xattrs: Vec<Xattr>,
    #[prost(message, optional, tag = "17")]
    pub content: Option<PieceList>,
    #[prost(uint32, tag = "18")]
    pub depth: u32,
    #[prost(uint32, tag = "19")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Xattr {
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PieceList {
    #[prost(bytes = "vec", tag = "1")]
    pub names: Vec<u8>,
    #[prost(uint64, repeated, tag = "2")]
    pub lengths: Vec<u64>,
    #[prost(uint32, repeated, tag = "3")]
    pub sizes: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Branch {
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<Child>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Child {
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub length: u32,
    #[prost(uint64, tag = "3")]
    pub entries: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub first_directory: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub first_name: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ImageRecord {
    #[prost(bytes = "vec", tag = "1")]
    pub image_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub job_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub host: String,
    #[prost(int64, tag = "5")]
    pub started_millis: i64,
    #[prost(int64, tag = "6")]
    pub finished_millis: i64,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub roots: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "8")]
    pub excludes: Vec<String>,
    #[prost(bytes = "vec", tag = "9")]
    pub root_node: Vec<u8>,
    #[prost(uint32, tag = "10")]
    pub root_length: u32,
    #[prost(uint32, tag = "11")]
    pub root_height: u32,
    #[prost(message, optional, tag = "12")]
    pub counts: Option<Counts>,
    #[prost(message, repeated, tag = "13")]
    pub faults: Vec<Fault>,
    #[prost(bytes = "vec", tag = "14")]
    pub parent: Vec<u8>,
    #[prost(string, tag = "15")]
    pub program: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Counts {
    #[prost(uint64, tag = "1")]
    pub files: u64,
    #[prost(uint64, tag = "2")]
    pub directories: u64,
    #[prost(uint64, tag = "3")]
    pub others: u64,
    #[prost(uint64, tag = "4")]
    pub errors: u64,
    #[prost(uint64, tag = "5")]
    pub bytes_source: u64,
    #[prost(uint64, tag = "6")]
    pub bytes_read: u64,
    #[prost(uint64, tag = "7")]
    pub bytes_added: u64,
    #[prost(uint64, tag = "8")]
    pub chunks_new: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Fault {
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    #[prost(string, tag = "2")]
    pub reason: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Mark {
    #[prost(int64, tag = "1")]
    pub since_seconds: i64,
}
