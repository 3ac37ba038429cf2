//! The media server as hosts call it: over HTTP/2, each with its identity. How connections are made, and what a client does with
//! the answers, are other crates' tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod looking;
mod storing;

use std::sync::Arc;

use holdfast_format::chunker::Sizes;
use holdfast_format::{NamingKey, VaultKey};
use holdfast_link::identity::{Identity, Role};
use holdfast_link::rpc::{self, Caller};
use holdfast_media::{MediaService, Options};
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::{self as wire, MESSAGE_MAX, SignedTicket, Ticket, ticket};
use holdfast_store::MemoryStore;
use holdfast_store::fault::{FaultStore, Faults};
use holdfast_types::JobId;
use holdfast_vault::{ImageDraft, Mode, Vault};
use prost::Message;
use tonic::service::Routes;
use tonic::transport::Channel;

/// A media server whose site signs whatever is shown.
struct Lab {
    service: MediaService,
    vault: Vault,
    faults: Faults,
    _state: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let (store, key) = (MemoryStore::new(), VaultKey::from_bytes([7; 32]));
        Vault::init(&store, &key, Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 }).unwrap();
        let counted = FaultStore::new(store);
        let faults = counted.faults();
        let vault = Vault::open(Arc::new(counted), &key, Mode::Write).unwrap();
        let state = tempfile::tempdir().unwrap();
        let check = |signed: &SignedTicket, _: &Identity| Ok(Ticket::decode(&signed.ticket[..]).unwrap());
        let service = MediaService::open(vault.clone(), &Options::new(state.path()), check).unwrap();
        Self { service, vault, faults, _state: state }
    }

    /// A session of a host.
    async fn client(&self, name: &str) -> MediaClient<Channel> {
        let (near, far) = tokio::io::duplex(256 << 10);
        let caller = Caller(Identity::new("lab", Role::Client, name).unwrap());
        let routes = Routes::new(self.service.server()).prepare();
        tokio::spawn(rpc::serve_stream(far, routes, caller));
        let client = MediaClient::new(rpc::channel(near).await.unwrap());
        client.max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(MESSAGE_MAX)
    }

    /// Puts images of this host there, past the service.
    fn images(&self, host: &str, numbers: std::ops::Range<u8>) {
        for number in numbers {
            let job = job(number);
            let draft = ImageDraft {
                job,
                name: "all".into(),
                host: host.into(),
                finished_millis: job.created_millis() + 1,
                roots: vec![format!("/{number}").into_bytes()],
                excludes: Vec::new(),
                manifest: None,
                counts: Default::default(),
                faults: Vec::new(),
                parent: None,
                program: "test".into(),
            };
            self.vault.ingest().unwrap().commit(draft).unwrap();
        }
    }
}

fn job(number: u8) -> JobId {
    JobId::at_millis(1_795_000_000_000 + u64::from(number) * 1000, [number; 10])
}

fn signed(right: ticket::Right) -> Option<SignedTicket> {
    let ticket = Ticket { right: Some(right), ..Ticket::default() };
    Some(SignedTicket { ticket: ticket.encode_to_vec(), signature: Vec::new() })
}

fn attempt(number: u8) -> Option<wire::Attempt> {
    let epoch = Some(wire::Epoch { incarnation: 1, counter: 1 });
    Some(wire::Attempt { job: job(number).as_bytes().to_vec(), epoch })
}

/// To begin an attempt of a job.
fn begin(number: u8, client: &str) -> wire::BeginRequest {
    let store =
        ticket::Store { attempt: attempt(number), client: client.into(), label: "all".into(), shared: false };
    wire::BeginRequest { ticket: signed(ticket::Right::Store(store)), roots: vec![b"/none".to_vec()] }
}

/// A ticket to read a client's images, or one of them.
fn read(client: &str, image: Option<JobId>) -> Option<SignedTicket> {
    let image = image.map(|job| job.image_id().0.to_vec()).unwrap_or_default();
    signed(ticket::Right::Read(ticket::Read { client: client.into(), image, attempt: None }))
}

/// A group of one chunk of so many bytes that do not repeat.
fn group(naming: &NamingKey, number: u32, length: usize) -> wire::Group {
    let mut state = u64::from(number) + 1;
    let mut data = Vec::with_capacity(length + 8);
    while data.len() < length {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        data.extend_from_slice(&(state ^ state >> 32).to_le_bytes());
    }
    data.truncate(length);
    let names = naming.name(&data).0.to_vec();
    wire::Group {
        names,
        lengths: vec![u32::try_from(length).unwrap()],
        data: data.into(),
        ..Default::default()
    }
}
