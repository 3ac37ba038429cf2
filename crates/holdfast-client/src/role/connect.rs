//! The way of an attempt to its media server: a bulk session, opened as often as it takes within the ride-out limit. Once there
//! is one, it sees to its connections itself.

use std::time::{Duration, Instant};

use holdfast_link::identity::Identity;
use holdfast_link::net::clock::after;
use holdfast_link::net::handle::Session;
use holdfast_link::net::keeper::ConnectError;
use holdfast_link::rpc;
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::session::Class;
use tonic::transport::Channel;

use super::live::Live;
use super::outcome::{Failed, refuses};
use super::request;
use super::work::Work;

/// The pauses between tries: a twentieth of the time that it took so far, within these.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Work {
    /// Reaches the media server of the order.
    pub(super) async fn connect(&self, live: &Live) -> Result<MediaClient<Channel>, Failed> {
        let (media, places) = request::media(&self.start, &self.site)?;
        if !places.is_empty() {
            self.link.set_places(&media, places);
        }
        let session = tokio::select! {
            session = self.session(&media, live) => session?,
            () = self.stop.wait() => return Err(self.stopped(live)),
        };
        live.connected(session.watch());
        let channel = rpc::channel(session).await;
        let failed = |error: tonic::transport::Error| Failed {
            peer: self.start.media.clone(),
            ..Failed::new(Kind::MediaLost, live.phase(), error.to_string())
        };
        channel.map(MediaClient::new).map_err(failed)
    }

    async fn session(&self, media: &Identity, live: &Live) -> Result<Session, Failed> {
        let (begun, limit) = (Instant::now(), request::ride_out(&self.start));
        let label = format!("job {}", self.key.job);
        loop {
            let error = match self.link.connect(media, Class::Bulk, &label).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            live.not_reached(begun);
            if is_final(&error) || begun.elapsed() >= limit {
                return Err(Failed::not_connected(&error, &self.start.media));
            }
            let left = limit.saturating_sub(begun.elapsed());
            after((begun.elapsed() / 20).clamp(PAUSE.0, PAUSE.1).min(left)).await;
        }
    }
}

/// Whether it will not be otherwise for as long as nobody does something.
fn is_final(error: &ConnectError) -> bool {
    refuses(error) || matches!(error, ConnectError::Random)
}
