//! Images of the site, read from its media server through the local socket of the role that runs here, or through the primary
//! server at which an operator is logged in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use holdfast_client::cancel::CancelFlag;
use holdfast_client::remote::{Line, RemoteReader, Ticket};
use holdfast_format::manifest::Root;
use holdfast_format::record::ImageRecord;
use holdfast_link::identity::Identity;
use holdfast_link::rpc::{self, local, operator};
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::{Image, MESSAGE_MAX, SignedTicket};
use holdfast_types::{Counts, ImageId, JobId};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::login::Login;
use super::{Site, asked, escape, wire};
use crate::errors::{Failure, Result};
use crate::library::Opened;
use crate::state::State;

/// The site, as far as images are looked at.
pub(crate) struct Browser {
    site: Site,
    /// Only images of this client.
    client: Option<String>,
    runtime: Runtime,
    /// The way to each media server that was asked.
    channels: RefCell<BTreeMap<String, Channel>>,
}

#[derive(Deserialize)]
struct Ticketed {
    media: String,
    ticket: Signed,
    image: Named,
}

#[derive(Deserialize)]
struct Signed {
    ticket: String,
    signature: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Browser {
    /// By way of the role that runs here, or of the primary server elsewhere.
    pub(crate) fn new(client: Option<&str>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Failure::plain)?;
        Ok(Self {
            site: Site::find()?,
            client: client.map(str::to_owned),
            runtime,
            channels: RefCell::default(),
        })
    }

    /// The way to a media server.
    fn channel(&self, media: &str) -> Result<Channel> {
        if let Some(channel) = self.channels.borrow().get(media) {
            return Ok(channel.clone());
        }
        let host: Identity = media.parse().map_err(Failure::plain)?;
        let channel = match self.site.login() {
            Some(login) => self.remote(login, &host)?,
            None => self.local(&host)?,
        };
        self.channels.borrow_mut().insert(media.to_owned(), channel.clone());
        Ok(channel)
    }

    fn local(&self, host: &Identity) -> Result<Channel> {
        let state = State::find()?;
        let connected = self.runtime.block_on(async {
            let stream = local::connect(state.dir()).await.map_err(|error| error.to_string())?;
            rpc::channel_to(stream, &local::authority(host)).await.map_err(|error| error.to_string())
        });
        connected.map_err(|cause| {
            Failure::failed(
                format!("the Holdfast that runs here is not reached: {cause}"),
                "start it (`holdfast primary run`, `holdfast client run`)",
            )
        })
    }

    fn remote(&self, login: &Login, host: &Identity) -> Result<Channel> {
        let authority = local::authority(host);
        self.runtime.block_on(async {
            let connected = operator::connect(&login.places, &login.token, true).await;
            let stream = connected.map_err(|error| wire::of_remote(login, &wire::unreached(&error)))?;
            let channel = operator::channel(stream, &authority, &login.token).await;
            channel.map_err(|error| wire::of_remote(login, &wire::Trouble::Lost(error.to_string())))
        })
    }

    /// The ids of all images that may be seen.
    pub(crate) fn ids(&self) -> Result<Vec<String>> {
        let images = asked::images(None, self.client.as_deref())?;
        Ok(images.iter().filter_map(|image| image["id"].as_str().map(str::to_owned)).collect())
    }

    /// Opens an image.
    pub(crate) fn open(&self, image: &str, at: Option<u64>) -> Result<Opened> {
        let mut path = format!("/api/v1/images/{}/open?", escape(image));
        if let Some(client) = &self.client {
            path.push_str(&format!("client={}&", escape(client)));
        }
        if let Some(at) = at {
            path.push_str(&format!("at={at}"));
        }
        let ticketed: Ticketed = self.site.post(&path, &serde_json::Value::Null)?;
        let ticket = Ticket::read(signed(&ticketed.ticket)?)?;
        let client = MediaClient::new(self.channel(&ticketed.media)?).max_decoding_message_size(MESSAGE_MAX);
        let line = Line::new(client, self.runtime.handle().clone(), &CancelFlag::default());
        let wanted = &ticketed.image.id;
        let is_it =
            |image: &Image| ImageId::from_slice(&image.image).is_some_and(|id| id.to_string() == *wanted);
        let found = RemoteReader::find(&line, &ticket, &mut { is_it })?.ok_or_else(|| {
            Failure::failed(
                format!("the media server has no image {wanted} any more"),
                "`holdfast images` lists what the primary server knows of",
            )
        })?;
        let (reader, root) = RemoteReader::open(line, ticket, &found)?;
        Ok(Opened::new(record(&found, root)?, Box::new(reader)))
    }
}

fn signed(signed: &Signed) -> Result<SignedTicket> {
    let read = |hex: &str| {
        let digits = hex.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16).ok();
        digits.map(byte).collect::<Option<Vec<u8>>>()
    };
    match (read(&signed.ticket), read(&signed.signature)) {
        (Some(ticket), Some(signature)) => Ok(SignedTicket { ticket, signature }),
        _ => Err(Failure::plain("the primary server's ticket cannot be read")),
    }
}

/// The record of an image as it came. Its faults do not come with it.
fn record(image: &Image, root: Option<Root>) -> Result<ImageRecord> {
    let unreadable = || Failure::plain("the media server's answer names no image");
    let counts = image.counts.unwrap_or_default();
    Ok(ImageRecord {
        image: ImageId::from_slice(&image.image).ok_or_else(unreadable)?,
        job: JobId::from_slice(&image.job).ok_or_else(unreadable)?,
        name: image.name.clone(),
        host: image.host.clone(),
        started_millis: image.started_millis,
        finished_millis: image.finished_millis,
        roots: image.roots.clone(),
        excludes: image.excludes.clone(),
        manifest: root,
        counts: Counts {
            files: counts.files,
            directories: counts.directories,
            others: counts.others,
            errors: counts.errors,
            bytes_source: counts.bytes_source,
            bytes_read: counts.bytes_read,
            bytes_added: counts.bytes_added,
            chunks_new: counts.chunks_new,
        },
        faults: Vec::new(),
        parent: ImageId::from_slice(&image.parent),
        program: image.program.clone(),
    })
}
