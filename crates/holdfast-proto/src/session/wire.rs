//! The protobuf messages of proto/session.proto, as they are on the wire. Only this module's parent sees them.
#![allow(missing_docs, unreachable_pub)] // the page documents them

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    #[prost(uint32, repeated, tag = "1")]
    pub versions: Vec<u32>,
    #[prost(bytes = "vec", tag = "2")]
    pub boot_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub channel_binding: Vec<u8>,
    #[prost(string, repeated, tag = "4")]
    pub addresses: Vec<String>,
    #[prost(string, tag = "5")]
    pub program: String,
    #[prost(uint64, tag = "6")]
    pub revocations: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub boot_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub channel_binding: Vec<u8>,
    #[prost(string, repeated, tag = "4")]
    pub addresses: Vec<String>,
    #[prost(string, tag = "5")]
    pub program: String,
    #[prost(uint64, tag = "6")]
    pub revocations: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Window {
    #[prost(uint64, tag = "1")]
    pub received: u64,
    #[prost(uint64, tag = "2")]
    pub consumed: u64,
    #[prost(uint64, tag = "3")]
    pub limit: u64,
    #[prost(uint64, tag = "4")]
    pub returns: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attach {
    #[prost(bytes = "vec", tag = "1")]
    pub session: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub resume: bool,
    #[prost(bool, tag = "3")]
    pub opener_serves: bool,
    #[prost(uint32, tag = "4")]
    pub class: u32,
    #[prost(string, tag = "5")]
    pub label: String,
    #[prost(bytes = "vec", tag = "6")]
    pub peer_boot_id: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub number: u64,
    #[prost(message, optional, tag = "8")]
    pub window: Option<Window>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attached {
    #[prost(uint64, tag = "1")]
    pub generation: u64,
    #[prost(message, optional, tag = "2")]
    pub window: Option<Window>,
    #[prost(uint64, tag = "3")]
    pub statement: u64,
}

/// REFUSED and CLOSE.
#[derive(Clone, PartialEq, Message)]
pub struct Close {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(string, tag = "2")]
    pub text: String,
}
