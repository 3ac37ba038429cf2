//! The protobuf messages of enrolment in proto/enrol.proto, as they are on the wire. Only this module's parent sees them.
#![allow(missing_docs, unreachable_pub)] // the page documents them

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Enrol {
    #[prost(bytes = "vec", tag = "1")]
    pub token_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub secret: Vec<u8>,
    #[prost(string, tag = "3")]
    pub identity: String,
    #[prost(bytes = "vec", tag = "4")]
    pub request: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub channel_binding: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Renew {
    #[prost(bytes = "vec", tag = "1")]
    pub request: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub channel_binding: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Issued {
    #[prost(bytes = "vec", tag = "1")]
    pub certificate: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub authority: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub channel_binding: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    #[prost(uint32, tag = "1")]
    pub code: u32,
    #[prost(string, tag = "2")]
    pub text: String,
}
