//! Runs commands `after` that lost attempts have left behind, when no next attempt of their job comes to see to them. What is
//! owed, and when that is clear, is [`owed`](super::owed)'s business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_link::net::clock::after;
use tokio::task::JoinSet;

use super::Notes;
use super::command::{self, Told};
use super::owed::{Holding, Owing};

/// How often is looked whether a note is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Settles what is due, for as long as this is awaited. What runs is among `running`.
pub(super) async fn keep_settling(owing: Owing, notes: Arc<dyn Notes>, running: &mut JoinSet<()>) {
    loop {
        while running.try_join_next().is_some() {}
        for holding in owing.due(Instant::now()) {
            running.spawn(settle(holding, Arc::clone(&notes)));
        }
        tokio::select! {
            () = owing.until_over() => {}
            () = after(LOOK_EVERY) => {}
        }
    }
}

/// Runs it, within its limit. It is not owed any more when it has ended, however that was.
async fn settle(holding: Holding, notes: Arc<dyn Notes>) {
    let job = holding.job().to_string();
    let Some(owed) = holding.owed() else { return };
    let Some(wanted) = owed.after() else { return };
    notes.say(&format!("the command after the backup of the job {job}, whose attempt was lost, runs now"));
    let told = Told { job: &job, phase: "after", status: owed.status() };
    if let Err(cause) = command::run(wanted, &told, std::future::pending()).await {
        notes.say(&format!("the job {job}: {cause}"));
    }
    settled(Arc::new(holding), &*notes).await;
}

/// The command has ended: its note goes.
pub(super) async fn settled(holding: Arc<Holding>, notes: &dyn Notes) {
    let job = holding.job();
    let removed = tokio::task::spawn_blocking(move || holding.settle()).await;
    if let Ok(Err(error)) = removed {
        notes.say(&format!(
            "the note that the command after the backup of the job {job} is owed cannot be removed, so that it may run \
             again when this host starts anew: {error}"
        ));
    }
}
