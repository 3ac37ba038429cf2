//! Attendance: what the primary server hears first.

use std::sync::Arc;

use holdfast_link::identity::Identity;
use holdfast_link::net::host::Place;
use holdfast_link::rpc;
use holdfast_link::rpc::attend::{self, Attendant, Reports};
use holdfast_proto::services::primary_server::{Primary, PrimaryServer};
use holdfast_proto::services::report::Report as Said;
use holdfast_proto::services::{Order, Present, Progress, Report};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::site::{Site, anywhere, web1};

/// A primary server that only listens.
#[derive(Clone)]
struct Ear(mpsc::UnboundedSender<Said>);

#[tonic::async_trait]
impl Primary for Ear {
    type AttendStream = ReceiverStream<Result<Order, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<Report>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let (mut said, heard) = (request.into_inner(), self.0.clone());
        let (orders, none) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(Some(report)) = said.message().await {
                let _ = heard.send(report.report.unwrap());
            }
            drop(orders);
        });
        Ok(Response::new(ReceiverStream::new(none)))
    }
}

/// A role in which something happens while it says who it is.
#[derive(Default)]
struct Hasty {
    reports: Option<Reports>,
    had_room: Option<bool>,
}

fn progress(current: &str) -> Report {
    Report { report: Some(Said::Progress(Progress { current: current.into(), ..Progress::default() })) }
}

impl Attendant for Hasty {
    fn begin(&mut self, reports: Reports) -> Vec<Report> {
        self.had_room = Some(reports.say(progress("early")));
        self.reports = Some(reports);
        vec![Report { report: Some(Said::Present(Present::default())) }]
    }

    fn accepted(&mut self) {
        let had_room = self.reports.as_ref().is_some_and(|reports| reports.say(progress("then")));
        assert!(had_room, "the call has begun");
    }

    async fn order(&mut self, _: Order) {}

    fn ended(&mut self, _: &str) {}
}

#[tokio::test]
async fn nothing_is_said_before_who_is_here() {
    let site = Site::new();
    let primary = Identity::primary("lab").unwrap();
    let (client, server) = (Arc::new(site.start(&web1())), Arc::new(site.start(&primary)));
    let at = server.listen(anywhere()).await.unwrap();
    client.set_places(&primary, vec![Place::Address(at)]);
    let (heard_out, mut heard) = mpsc::unbounded_channel();
    let service = PrimaryServer::new(Ear(heard_out));
    let serving = async { rpc::serve(server.incoming().await.unwrap(), service).await };
    let mut hasty = Hasty::default();
    let both = async {
        let first = heard.recv().await.unwrap();
        assert!(matches!(first, Said::Present(_)), "{first:?}");
        let then = heard.recv().await.unwrap();
        assert!(matches!(&then, Said::Progress(progress) if progress.current == "then"), "{then:?}");
    };
    tokio::select! {
        () = attend::keep(&client, &primary, &mut hasty) => {}
        served = serving => panic!("the call has ended: {served:?}"),
        () = both => {}
    }
    assert_eq!(hasty.had_room, Some(false), "there is no room before");
}
