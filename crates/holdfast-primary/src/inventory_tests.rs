//! What becomes of the catalog when a vault tells what it has.

use holdfast_catalog::ImageFilter;
use holdfast_jobs::machine::Event;
use holdfast_link::identity::Role;

use super::*;
use crate::manager::tests::Bench;

fn media() -> Identity {
    Identity::new("lab", Role::Media, "store1").unwrap()
}

fn job(number: u8) -> JobId {
    JobId::at_millis(u64::from(number) + 1, [number; 10])
}

fn image(number: u8) -> wire::Image {
    wire::Image {
        image: job(number).image_id().0.to_vec(),
        job: job(number).as_bytes().to_vec(),
        host: "web1".into(),
        name: "home".into(),
        ..wire::Image::default()
    }
}

/// What a vault says that has these images.
fn holding(numbers: &[u8]) -> wire::Holding {
    let ids: Vec<String> = numbers.iter().map(|number| job(*number).image_id().to_string()).collect();
    wire::Holding { images: ids.len() as u64, sum: sum(&ids).to_vec(), incarnation: 7 }
}

fn page(images: Vec<wire::Image>, first: bool, last: bool) -> wire::Held {
    wire::Held { images, first, last }
}

async fn known(bench: &Bench) -> Vec<String> {
    let mut ids = bench.manager.catalog.images_of_media(&media().to_string()).await.unwrap();
    ids.sort();
    ids
}

fn ids(numbers: &[u8]) -> Vec<String> {
    let mut ids: Vec<String> = numbers.iter().map(|number| job(*number).image_id().to_string()).collect();
    ids.sort();
    ids
}

async fn tell(bench: &mut Bench, numbers: &[u8]) {
    assert!(bench.manager.holds(&media(), &holding(numbers)).await.unwrap());
    let images = numbers.iter().map(|number| image(*number)).collect();
    bench.manager.held(&media(), page(images, true, true)).await.unwrap();
}

#[tokio::test]
async fn a_catalog_that_was_lost_knows_the_images_of_its_vaults_again() {
    let mut bench = Bench::new().await;
    assert!(bench.manager.holds(&media(), &holding(&[1, 2, 3])).await.unwrap());
    bench.manager.held(&media(), page(vec![image(1), image(2)], true, false)).await.unwrap();
    bench.manager.held(&media(), page(vec![image(3)], false, true)).await.unwrap();
    assert_eq!(known(&bench).await, ids(&[1, 2, 3]));
    let row = bench.manager.catalog.image(&ids(&[2])[0]).await.unwrap().unwrap();
    assert_eq!((row.client.as_str(), row.name.as_str()), ("web1", "home"));
    // Attempts that it does not remember stay below those to come.
    assert_eq!(bench.manager.incarnation, 8);
    assert_eq!(bench.manager.catalog.incarnation().await.unwrap(), 8);
    assert!(!bench.manager.holds(&media(), &holding(&[3, 2, 1])).await.unwrap());
}

#[tokio::test]
async fn what_the_vault_has_no_more_is_gone_and_what_is_another_vaults_stays() {
    let mut bench = Bench::new().await;
    tell(&mut bench, &[1, 2]).await;
    let here = bench.manager.here.clone();
    bench.manager.keep_image(job(9), &image(9), Said::ByMedia(&here)).await.unwrap();
    tell(&mut bench, &[2, 3]).await;
    assert_eq!(known(&bench).await, ids(&[2, 3]));
    assert_eq!(
        bench
            .manager
            .catalog
            .images(&ImageFilter { limit: 9, ..ImageFilter::default() })
            .await
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn an_image_that_cannot_be_read_is_not_taken_for_gone() {
    let mut bench = Bench::new().await;
    tell(&mut bench, &[1, 2]).await;
    assert!(bench.manager.holds(&media(), &holding(&[1, 2, 3])).await.unwrap());
    let unreadable = wire::Image { job: Vec::new(), ..image(1) };
    bench.manager.held(&media(), page(vec![unreadable, image(2), image(3)], true, true)).await.unwrap();
    assert_eq!(known(&bench).await, ids(&[1, 2, 3]));
}

#[tokio::test]
async fn half_a_list_takes_nothing_away() {
    let mut bench = Bench::new().await;
    tell(&mut bench, &[1, 2]).await;
    // The end of a list of an earlier call, and a list that begins twice.
    assert!(bench.manager.holds(&media(), &holding(&[1, 2, 3])).await.unwrap());
    bench.manager.held(&media(), page(Vec::new(), false, true)).await.unwrap();
    assert_eq!(known(&bench).await, ids(&[1, 2]));
    assert!(bench.manager.holds(&media(), &holding(&[1, 2, 3])).await.unwrap());
    bench.manager.held(&media(), page(vec![image(1)], true, false)).await.unwrap();
    bench.manager.held(&media(), page(vec![image(3)], true, true)).await.unwrap();
    assert_eq!(known(&bench).await, ids(&[1, 2]));
    // Nobody has asked.
    bench.manager.held(&media(), page(vec![image(3)], true, true)).await.unwrap();
    assert_eq!(known(&bench).await, ids(&[1, 2]));
}

#[tokio::test]
async fn a_job_that_had_failed_and_has_an_image_in_the_vault_has_not_failed() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    bench.manager.on(id, Event::WindowOver, None).await.unwrap();
    assert_eq!(bench.row(id).await.status, Some(196));
    let here = bench.manager.here.clone();
    let image = wire::Image {
        image: id.image_id().0.to_vec(),
        job: id.as_bytes().to_vec(),
        ..wire::Image::default()
    };
    let holding = wire::Holding { images: 1, sum: id.image_id().0.to_vec(), incarnation: 1 };
    assert!(bench.manager.holds(&here, &holding).await.unwrap());
    bench.manager.held(&here, page(vec![image], true, true)).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.status, row.image), (Some(0), Some(id.image_id().to_string())));
}

#[tokio::test]
async fn of_a_job_that_is_under_way_its_attempt_tells() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let here = bench.manager.here.clone();
    let image = wire::Image {
        image: id.image_id().0.to_vec(),
        job: id.as_bytes().to_vec(),
        ..wire::Image::default()
    };
    assert!(bench.manager.holds(&here, &holding(&[1])).await.unwrap());
    bench.manager.held(&here, page(vec![image], true, true)).await.unwrap();
    assert_eq!(bench.row(id).await.state, "queued");
}
