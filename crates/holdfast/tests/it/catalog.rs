//! A primary server that loses its catalog, or gets an older copy of it: what vaults have is known again.

use std::path::PathBuf;

use holdfast_testkit::Plan;
use serde_json::Value;

use crate::site::{Role, Site, same};
use crate::{Host, small};

/// The files of the catalog's database.
fn files(server: &Host) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(server.program.state()).unwrap().map(|entry| entry.unwrap().path());
    dir.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("catalog.db")).collect()
}

fn ids(site: &Site) -> Vec<String> {
    let images = site.server.words("images --json").assert_ok().json().unwrap();
    images.as_array().unwrap().iter().map(|image| image["id"].as_str().unwrap().to_owned()).collect()
}

fn has(images: usize) -> impl Fn(&Value) -> bool {
    move |list| list.as_array().is_some_and(|list| list.len() == images)
}

#[test]
fn a_catalog_that_was_lost_is_made_again_from_the_vaults() {
    let mut site = Site::new();
    // A media server of its own, besides that of the primary server's process.
    let store = Host::new();
    let (primary, token) = (
        format!("127.0.0.1:{}", site.port),
        site.server.words("token create --role media").assert_ok().text().trim().to_owned(),
    );
    let line = ["media", "enroll", "--primary", &primary, "--token", &token, "--name", "store1"];
    store.run(line).assert_ok();
    let _media = Role::listening(&store.program, "media run --listen 127.0.0.1:0");
    site.client.make("src", &small());
    site.policy("home", "src", "");
    site.policy("far", "src", "storage = \"store1\"\n");
    let first = site.run("home")["image"].as_str().unwrap().to_owned();
    let second = site.run("far")["image"].as_str().unwrap().to_owned();
    site.primary.take().unwrap().kill();
    for file in files(&site.server) {
        std::fs::remove_file(file).unwrap();
    }
    site.start_primary();
    let images = site.wait_until("images --json", has(2));
    let of = |id: &str| images.as_array().unwrap().iter().find(|image| image["id"] == id).unwrap().clone();
    assert_eq!((&of(&first)["client"], &of(&second)["name"]), (&"web1".into(), &"far".into()), "{images}");
    for (image, to) in [(&first, "one"), (&second, "two")] {
        let to = site.client.text(to);
        site.wait_until("hosts --json", |hosts| {
            hosts.as_array().unwrap().iter().filter(|host| host["attending"] == true).count() == 2
        });
        site.client.run(["restore", image, "--to", &to]).assert_ok();
    }
    same(&site.client.path("src"), &site.client.path("two").join("src"));
}

#[test]
fn an_older_copy_of_the_catalog_learns_what_it_missed() {
    let mut site = Site::new();
    site.client.make("src", &Plan::random(5, 20));
    site.policy("home", "src", "");
    site.run("home");
    site.primary.take().unwrap().kill();
    let copies: Vec<(PathBuf, Vec<u8>)> =
        files(&site.server).into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect();
    site.start_primary();
    site.wait_until("hosts --json", |hosts| hosts[0]["attending"] == true || hosts[1]["attending"] == true);
    let job = site.run("home");
    let forgotten = ids(&site).into_iter().find(|id| *id != job["image"]).unwrap();
    site.server.run(["forget", &forgotten]).assert_ok();
    site.primary.take().unwrap().kill();
    for file in files(&site.server) {
        std::fs::remove_file(file).unwrap();
    }
    for (file, bytes) in copies {
        std::fs::write(file, bytes).unwrap();
    }
    site.start_primary();
    let image = job["image"].clone();
    site.wait_until("images --json", |images| has(1)(images) && images[0]["id"] == image);
}

#[test]
fn rules_of_a_site_forget_by_its_media_servers_and_keep_apart_what_a_client_made() {
    let site = Site::new();
    site.client.make("src", &small());
    site.policy("home", "src", "");
    let image = |job: Value| job["image"].as_str().unwrap().to_owned();
    let first = image(site.run("home"));
    let second = image(site.run("home"));
    // A client that makes as many as it likes, under the policy's name, pushes out nothing of the policy's.
    let src = site.client.text("src");
    let own = ["backup", &src, "--name", "home", "--wait", "--json"];
    let third = image(site.client.run(own).assert_ok().json().unwrap());
    let would = site.server.words("forget --keep-last 1 --dry-run --json").assert_ok().json().unwrap();
    assert_eq!(would["forgotten"], Value::from(vec![first.clone()]), "{would}");
    assert_eq!(ids(&site).len(), 3);
    let text = site.server.words("forget --keep-last 1").assert_ok().text();
    assert!(text.contains(&format!("keep    {}", &second[..8])) && text.contains("forgot 1 image"), "{text}");
    assert_eq!(ids(&site), [third.clone(), second.clone()]);
    let records = site.server.program.state().join("vault/images");
    let left = std::fs::read_dir(records).unwrap().count();
    assert_eq!(left, 2, "its record is gone from the vault");
    site.client.words("forget --keep-last 1 --client web1").assert_ok();
    site.server.words("forget --keep-last 1 --client nobody").assert_ok();
    assert_eq!(ids(&site).len(), 2);
}
