//! Claims and groups: in order, many on their way, and refused at the first that may not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use holdfast_format::NamingKey;
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::{self as wire, ClaimRequest, LeaveRequest, PutAnswer, PutRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::{Lab, attempt, begin, group};

const LENGTH: usize = 1 << 20;

async fn naming(client: &mut MediaClient<Channel>, job: u8) -> NamingKey {
    let begun = client.begin(begin(job, "web1")).await.unwrap().into_inner();
    NamingKey::from_bytes(begun.domain.unwrap().naming_key.try_into().unwrap())
}

async fn put(
    client: &mut MediaClient<Channel>,
    groups: impl Stream<Item = PutRequest> + Send + 'static,
) -> Result<Streaming<PutAnswer>, Status> {
    client.put(groups).await.map(tonic::Response::into_inner)
}

/// The answer to the first group of a call that stays open, and what keeps it so.
async fn open_put(
    client: &mut MediaClient<Channel>,
    request: PutRequest,
) -> Result<(mpsc::Sender<PutRequest>, Streaming<PutAnswer>), Status> {
    let (groups, asked) = mpsc::channel(1);
    groups.send(request).await.unwrap();
    let mut answers = put(client, ReceiverStream::new(asked)).await?;
    answers.message().await?;
    Ok((groups, answers))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_groups_are_on_their_way_and_answered_in_order() {
    let lab = Lab::new();
    let mut client = lab.client("web1").await;
    let naming = naming(&mut client, 1).await;
    let groups: Vec<_> = (0..40).map(|number| group(&naming, number, LENGTH)).collect();
    let names = groups.iter().flat_map(|group| group.names.clone()).collect();
    let claim = ClaimRequest { attempt: attempt(1), names, only_ask: false };
    let mut lacking = client.claim(tokio_stream::once(claim)).await.unwrap().into_inner();
    assert_eq!(lacking.message().await.unwrap().unwrap().lacking, [0xff; 5]);
    let request = |group: wire::Group| PutRequest { attempt: attempt(1), group: Some(group) };
    let requests: Vec<_> = groups.into_iter().map(request).collect();
    // What comes again takes nothing.
    for bytes in [LENGTH as u64, 0] {
        let mut answers = put(&mut client, tokio_stream::iter(requests.clone())).await.unwrap();
        let mut added = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            added.push(answer.bytes_added);
        }
        assert_eq!(added.len(), 40);
        assert!(added.iter().all(|added| (*added > bytes) == (bytes > 0)), "{added:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_an_attempt_that_is_not_known_are_not_read_on() {
    let lab = Lab::new();
    let mut client = lab.client("web1").await;
    let naming = naming(&mut client, 1).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let groups = tokio_stream::iter(0..40).map(move |number| {
        counted.fetch_add(1, SeqCst);
        PutRequest { attempt: attempt(2), group: Some(group(&naming, number, 4 * LENGTH)) }
    });
    let mut answers = put(&mut client, groups).await.unwrap();
    let refused = answers.message().await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().starts_with("unknown-attempt"));
    // What HTTP/2 takes before anybody reads: a window, and what is between.
    assert!(sent.load(SeqCst) <= 4, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_has_so_many_calls_over_all_its_sessions_and_others_have_theirs() {
    let lab = Lab::new();
    let (mut one, mut another) = (lab.client("web1").await, lab.client("web1").await);
    let naming = naming(&mut one, 1).await;
    let request = || PutRequest { attempt: attempt(1), group: Some(group(&naming, 1, 100)) };
    let mut open = Vec::new();
    for client in [&mut one, &mut another] {
        for _ in 0..8 {
            open.push(open_put(client, request()).await.unwrap());
        }
    }
    let refused = open_put(&mut one, request()).await.unwrap_err();
    assert!(refused.code() == Code::Unavailable && refused.message().starts_with("busy: "), "{refused:?}");
    // Another host is not refused for that, only because the attempt is not its own.
    let refused = open_put(&mut lab.client("web2").await, request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    // A call that has ended gives its place back; its answers have ended when it has.
    let (groups, mut answers) = open.pop().unwrap();
    drop(groups);
    assert!(answers.message().await.unwrap().is_none());
    while open_put(&mut one, request()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_call_ends_with_its_attempt() {
    let lab = Lab::new();
    let mut client = lab.client("web1").await;
    let naming = naming(&mut client, 1).await;
    let request = |number| PutRequest { attempt: attempt(1), group: Some(group(&naming, number, 100)) };
    let (groups, mut answers) = open_put(&mut client, request(1)).await.unwrap();
    client.leave(LeaveRequest { attempt: attempt(1) }).await.unwrap();
    groups.send(request(2)).await.unwrap();
    assert!(answers.message().await.unwrap_err().message().starts_with("unknown-attempt"));
}
