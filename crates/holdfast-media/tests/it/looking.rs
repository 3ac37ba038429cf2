//! Looking at images: what is given out, and how often records are read for it.

use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::{ImagesRequest, SignedTicket};
use tonic::transport::Channel;

use super::{Lab, begin, job, read};

const IMAGES: u8 = 100;

/// The numbers of the images that a ticket shows, by their paths.
async fn images(client: &mut MediaClient<Channel>, ticket: Option<SignedTicket>) -> Vec<String> {
    let mut answers = client.images(ImagesRequest { ticket }).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(image) = answers.message().await.unwrap() {
        assert_eq!(image.naming_key.len(), 32);
        all.push(String::from_utf8(image.roots[0].clone()).unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_read_once_however_many_look() {
    let lab = Lab::new();
    lab.images("web1", 0..IMAGES);
    lab.images("web2", IMAGES..2 * IMAGES);
    let mut client = lab.client("web1").await;
    lab.faults.reset_counts();
    assert_eq!(images(&mut client, read("web1", Some(job(7)))).await, ["/7"]);
    assert_eq!(images(&mut client, read("web1", Some(job(IMAGES)))).await, [""; 0]);
    assert_eq!(lab.faults.counts().get, 2, "an image that is named is looked up");
    let newest_first: Vec<_> = (0..IMAGES).rev().map(|number| format!("/{number}")).collect();
    for _ in 0..3 {
        assert_eq!(images(&mut client, read("web1", None)).await, newest_first);
    }
    for number in 0..IMAGES {
        assert_eq!(images(&mut client, read("web1", Some(job(number)))).await.len(), 1);
    }
    assert_eq!(lab.faults.counts().get, 2 * u64::from(IMAGES));
    // A first backup of these paths looks through all, and once for its own image.
    for number in 0..5 {
        lab.faults.reset_counts();
        let begun = client.begin(begin(2 * IMAGES + number, "web1")).await.unwrap().into_inner();
        assert!(begun.parent.is_none() && begun.committed.is_none());
        assert_eq!(lab.faults.counts().get, 1);
    }
}
