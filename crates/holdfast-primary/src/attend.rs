//! How hosts attend: one call for each, orders down and reports up. What they say is the manager's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use holdfast_link::identity::{Identity, Role};
use holdfast_link::net::handle::Watch;
use holdfast_link::rpc::Caller;
use holdfast_proto::services::primary_server::{Primary, PrimaryServer};
use holdfast_proto::services::{MESSAGE_MAX, Order, Report, report::Report as What};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::manager::Command;

/// Orders that wait for a host. One that does not take them is not attending.
const ORDERS_MAX: usize = 1024;
/// How often it is looked whether a host's session has its connection.
const REACH_EVERY: Duration = Duration::from_secs(2);

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Attend {
    manager: mpsc::Sender<Command>,
    numbers: Arc<AtomicU64>,
}

impl Attend {
    pub(crate) fn new(manager: mpsc::Sender<Command>) -> Self {
        Self { manager, numbers: Arc::default() }
    }

    pub(crate) fn server(&self) -> PrimaryServer<Self> {
        PrimaryServer::new(self.clone()).max_decoding_message_size(MESSAGE_MAX)
    }
}

#[tonic::async_trait]
impl Primary for Attend {
    type AttendStream = ReceiverStream<Result<Order, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<Report>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let unknown = || Status::permission_denied("only hosts of the site attend, over a session");
        let host = request.extensions().get::<Caller>().ok_or_else(unknown)?.0.clone();
        let session = request.extensions().get::<Watch>().ok_or_else(unknown)?.clone();
        if host.role() == Role::Primary {
            return Err(unknown());
        }
        let number = self.numbers.fetch_add(1, Relaxed);
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let (answers, stream) = mpsc::channel(1);
        let manager = self.manager.clone();
        tokio::spawn(hand_on(taken, answers));
        let attendance = Attendance { host, number, manager, session };
        tokio::spawn(attendance.run(request.into_inner(), orders));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Orders go out as the host takes them.
async fn hand_on(mut orders: mpsc::Receiver<Order>, answers: mpsc::Sender<Result<Order, Status>>) {
    while let Some(order) = orders.recv().await {
        if answers.send(Ok(order)).await.is_err() {
            return;
        }
    }
}

struct Attendance {
    host: Identity,
    number: u64,
    manager: mpsc::Sender<Command>,
    session: Watch,
}

impl Attendance {
    async fn run(self, mut reports: Streaming<Report>, orders: mpsc::Sender<Order>) {
        let first = reports.message().await;
        let Ok(Some(Report { report: Some(What::Present(present)) })) = first else { return };
        let (host, number) = (self.host.clone(), self.number);
        if self.say(Command::Attends { host, number, present, orders: orders.clone() }).await.is_none() {
            return;
        }
        tokio::select! {
            () = self.listen(&mut reports) => {}
            () = self.watch() => {}
            // The manager has let go of it: it is to begin again.
            () = closed(orders) => {}
        }
        let (host, number) = (self.host.clone(), self.number);
        self.say(Command::Gone { host, number }).await;
    }

    async fn say(&self, command: Command) -> Option<()> {
        self.manager.send(command).await.ok()
    }

    async fn listen(&self, reports: &mut Streaming<Report>) {
        while let Ok(Some(report)) = reports.message().await {
            // What a later version says is not for this one.
            let Some(report) = report.report else { continue };
            let (host, number) = (self.host.clone(), self.number);
            if self.say(Command::Report { host, number, report: Box::new(report) }).await.is_none() {
                return;
            }
        }
    }

    /// Tells when the session loses its connection and when it has one again; ends with the session.
    async fn watch(&self) {
        let mut was_there = true;
        loop {
            if tokio::time::timeout(REACH_EVERY, self.session.ended()).await.is_ok() {
                return;
            }
            let status = self.session.status();
            // One that has been silent for 15 s is as good as gone: its replacement is being raced for.
            let is_there = status.connected && status.in_doubt.is_none();
            if is_there != was_there {
                was_there = is_there;
                let (host, number) = (self.host.clone(), self.number);
                if self.say(Command::Reach { host, number, is_there }).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn closed(orders: mpsc::Sender<Order>) {
    orders.closed().await;
}
