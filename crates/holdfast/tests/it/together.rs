//! Several processes with one vault.

use holdfast_testkit::Plan;

use crate::{Host, small};

#[test]
fn two_backups_at_once_both_succeed() {
    // Into a vault that is made by one of them while the other starts, and into one that is there.
    let host = Host::new();
    host.make("one", &Plan::random(1, 60));
    host.make("two", &Plan::random(2, 60));
    for round in 1..=3 {
        let start = |name: &str| host.program.start(["backup", &host.text(name)]).unwrap();
        let running = [start("one"), start("two")];
        for running in running {
            running.wait().unwrap().assert_ok();
        }
        assert_eq!(host.images().len(), round * 2);
    }
    assert_eq!(std::fs::read_dir(host.program.state().join("keys")).unwrap().count(), 1);
    host.words("verify --read-data").assert_ok();
}

#[test]
fn a_writer_waits_for_another_and_says_so() {
    let (host, _) = Host::with_image();
    let other = std::fs::File::open(host.vault()).unwrap();
    other.lock().unwrap();
    let mut running = host.program.start(["backup", &host.text("src")]).unwrap();
    assert!(running.wait_for(|line| line.contains("being written by another process; waiting")).unwrap());
    // Reading goes on meanwhile.
    host.words("images").assert_ok();
    other.unlock().unwrap();
    let outcome = running.wait().unwrap().assert_ok();
    assert_eq!(outcome.stderr.matches("waiting").count(), 1, "{outcome}");
}

#[test]
fn a_run_that_ended_while_it_made_the_vault_is_no_hindrance() {
    let host = Host::new();
    host.make("src", &small());
    host.backup("src");
    let state = host.program.state();
    // What a run leaves that is killed after it had a key, before the vault's config.
    for config in ["vault/config", "vault/config-copy"] {
        std::fs::remove_file(state.join(config)).unwrap();
    }
    for kind in ["packs", "index", "images", "marks"] {
        let dir = state.join("vault").join(kind);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
    let outcome = host.run(["backup", &host.text("src")]).assert_ok();
    assert!(outcome.stderr.contains("made a vault"), "{outcome}");
    assert_eq!(host.images().len(), 1);
}

#[test]
fn a_vault_that_lost_both_configs_is_not_made_anew() {
    let (host, _) = Host::with_image();
    for config in ["config", "config-copy"] {
        std::fs::remove_file(host.vault().join(config)).unwrap();
    }
    host.run(["backup", &host.text("src")]).assert_code(3);
    assert!(!host.vault().join("config").exists());
}
