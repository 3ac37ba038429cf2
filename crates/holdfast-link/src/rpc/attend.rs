//! Keeps one call open to the primary server for as long as a process runs: orders come down, reports go up (docs/jobs.md,
//! section 3). What they mean is the role's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_proto::services::primary_client::PrimaryClient;
use holdfast_proto::services::{MESSAGE_MAX, Order, Report};
use holdfast_proto::session::Class;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::channel;
use crate::identity::Identity;
use crate::net::clock::{after, now};
use crate::net::handle::Watch;
use crate::net::link::Link;

/// The first pause after a call that has ended badly; it doubles up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Reports that wait for the connection. What does not fit is said again later, or is out of date.
const REPORTS_MAX: usize = 256;

/// A role, as the primary server sees it.
pub trait Attendant: Send {
    /// A call begins: who is here, what runs, and all that is not settled. `reports` is for what happens from now on; it has
    /// room once the first of these is on its way, since a call that begins with anything else is refused.
    fn begin(&mut self, reports: Reports) -> Vec<Report>;

    /// The primary server has taken the call.
    fn accepted(&mut self);

    /// The primary server has said something.
    fn order(&mut self, order: Order) -> impl Future<Output = ()> + Send;

    /// The call has ended: what to show of it.
    fn ended(&mut self, why: &str);
}

/// The way up, while the call lasts.
#[derive(Clone, Debug)]
pub struct Reports {
    sender: mpsc::Sender<Report>,
    /// Who is here was said.
    is_open: Arc<AtomicBool>,
    session: Watch,
}

impl Reports {
    /// Says something that is said again if it is not settled, or is soon out of date. Whether there was room.
    pub fn say(&self, report: Report) -> bool {
        self.is_open.load(Ordering::Acquire) && self.sender.try_send(report).is_ok()
    }

    /// The same, and waits for room as long as the call lasts. Blocks: not to be called from an order.
    pub fn say_blocking(&self, report: Report) -> bool {
        self.is_open.load(Ordering::Acquire) && self.sender.blocking_send(report).is_ok()
    }

    /// The session that it goes over.
    pub fn session(&self) -> &Watch {
        &self.session
    }
}

/// Attends, and attends again, until this is dropped.
pub async fn keep(link: &Arc<Link>, primary: &Identity, attendant: &mut impl Attendant) {
    let mut pause = PAUSE_MIN;
    loop {
        match once(link, primary, attendant).await {
            // It had begun: whatever ended it may be over.
            Ok(()) => pause = PAUSE_MIN,
            Err(why) => {
                attendant.ended(&why);
                // Nothing else tells that it would go better now: the session has seen to routes and changes already.
                after(pause.mul_f64(0.75 + jitter() / 2.0)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn once(link: &Arc<Link>, primary: &Identity, attendant: &mut impl Attendant) -> Result<(), String> {
    let session = link.connect(primary, Class::Control, "attend").await.map_err(|error| error.to_string())?;
    let watch = session.watch();
    let channel = channel(session).await.map_err(|error| error.to_string())?;
    let mut client = PrimaryClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
    let (sender, receiver) = mpsc::channel(REPORTS_MAX);
    let is_open = Arc::new(AtomicBool::new(false));
    let reports = Reports { sender: sender.clone(), is_open: Arc::clone(&is_open), session: watch.clone() };
    let mut first = attendant.begin(reports).into_iter();
    // There is room: until it is open nobody else says anything.
    let is_said = first.next().is_some_and(|present| sender.try_send(present).is_ok());
    is_open.store(is_said, Ordering::Release);
    let call = client.attend(ReceiverStream::new(receiver));
    let first = async {
        for report in first {
            if sender.send(report).await.is_err() {
                break;
            }
        }
        // Kept open by the role's own.
        drop(sender);
    };
    let talk = async {
        let mut orders = call.await.map_err(|status| status.message().to_owned())?.into_inner();
        attendant.accepted();
        let begun = now();
        let mut any = false;
        loop {
            match orders.message().await {
                Ok(Some(order)) => {
                    any = true;
                    attendant.order(order).await;
                }
                Ok(None) => break Err("the primary server has ended the call".to_owned()),
                Err(status) => break Err(status.message().to_owned()),
            }
        }
        .or_else(|why: String| {
            // One that was ended at once is not begun again at once.
            if any || now().duration_since(begun) >= PAUSE_MAX {
                attendant.ended(&why);
                Ok(())
            } else {
                Err(why)
            }
        })
    };
    let (talked, ()) = tokio::join!(talk, first);
    // The session says it better.
    talked.map_err(|why| watch.end().map_or(why, |end| end.to_string()))
}

/// From 0 to 1.
fn jitter() -> f64 {
    let mut byte = [0; 1];
    // Without random numbers, all at once.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
