//! `vault`, and how one is chosen.

use crate::{Host, small};

#[test]
fn init_makes_a_vault_with_a_key_of_its_own() {
    let host = Host::new();
    host.make("src", &small());
    let dir = host.text("vaults/one");
    let outcome = host.run(["vault", "init", &dir]).assert_ok();
    assert!(outcome.stderr.contains("holdfast key export"), "{outcome}");
    host.run(["backup", &host.text("src"), "--vault", &dir]).assert_ok();
    assert!(!host.vault().exists(), "the default vault is not made");
    let info = host.run(["vault", "info", "--json", "--vault", &dir]).assert_ok().json().unwrap();
    assert_eq!((&info["images"], info["dir"].as_str()), (&1.into(), Some(dir.as_str())));
    assert!(info["bytes"].as_u64().unwrap() > 0 && info["chunks"].as_u64().unwrap() > 1, "{info}");
    assert_eq!(info["key"].as_str().unwrap().len(), 16);
    let text = host.run(["vault", "info", "--vault", &dir]).assert_ok().text();
    assert!(text.contains("images  1"), "{text}");
    let again = host.run(["vault", "init", &dir]).assert_code(3);
    assert!(
        again.stderr.contains("is not empty") && again.stderr.contains("choose an empty directory"),
        "{again}"
    );
    let json = host.run(["vault", "init", &host.text("two"), "--json"]).assert_ok().json().unwrap();
    assert!(std::path::Path::new(json["key_file"].as_str().unwrap()).exists(), "{json}");
}

#[test]
fn the_environment_chooses_a_vault_and_the_flag_overrules_it() {
    let host = Host::new();
    host.make("src", &small());
    let (one, two) = (host.text("one"), host.text("two"));
    host.run(["vault", "init", &one]).assert_ok();
    host.run(["vault", "init", &two]).assert_ok();
    let Host { program, dir } = host;
    let host = Host { program: program.env("HOLDFAST_VAULT", &one), dir };
    host.backup("src");
    assert_eq!(host.images().len(), 1);
    assert_eq!(host.run(["images", "--json", "--vault", &two]).assert_ok().text(), "[]\n");
}

#[test]
fn a_lost_index_is_made_anew() {
    let (host, _) = Host::with_image();
    std::fs::remove_dir_all(host.vault().join("index")).unwrap();
    let json = host.words("vault rebuild-index --json").assert_ok().json().unwrap();
    assert_eq!(json["damage"], serde_json::json!([]));
    assert!(json["packs"].as_u64().unwrap() > 0);
    host.words("verify --read-data").assert_ok();
    host.run(["restore", "latest", "--to", &host.text("back")]).assert_ok();
    assert_eq!(std::fs::read(host.path("back/src/a")).unwrap(), b"first\n");
}

#[test]
fn a_lost_config_costs_nothing() {
    let (host, image) = Host::with_image();
    let config = host.vault().join("config");
    let good = std::fs::read(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    assert_eq!(host.images()[0]["id"].as_str().unwrap(), image);
    let told = host.words("verify").assert_code(3);
    assert!(told.text().contains("config") && told.text().contains("missing"), "{told}");
    host.backup("src");
    assert_eq!(std::fs::read(&config).unwrap(), good);
    host.words("verify").assert_ok();
}

/// The key id stands in the config as it is, and says which key file to read.
#[test]
fn a_flipped_bit_in_the_key_id_costs_nothing() {
    let (host, image) = Host::with_image();
    let config = host.vault().join("config");
    let good = std::fs::read(&config).unwrap();
    // Header, length, the vault id of 18 bytes, number and length of the key id.
    let mut bytes = good.clone();
    bytes[48 + 4 + 18 + 2] ^= 1;
    std::fs::write(&config, &bytes).unwrap();
    assert_eq!(host.images()[0]["id"].as_str().unwrap(), image);
    assert!(host.words("key show").assert_ok().text().contains("opens the vault"));
    assert_eq!(std::fs::read(&config).unwrap(), bytes, "who reads changes nothing");
    host.backup("src");
    assert_eq!(std::fs::read(&config).unwrap(), good);
}

#[test]
fn what_is_no_vault_is_told_and_left_as_it_is() {
    let host = Host::new();
    host.make("src", &small());
    let src = host.text("src");
    for line in [
        vec!["images", "--vault", &src],
        vec!["backup", &src, "--vault", &src],
        vec!["cleanup", "--vault", &src],
        vec!["forget", "latest", "--vault", &src],
        vec!["vault", "rebuild-index", "--vault", &src],
        vec!["key", "show", "--vault", &src],
        vec!["key", "export", "--vault", &src],
    ] {
        let outcome = host.run(line).assert_code(3);
        assert!(outcome.stderr.contains("there is no vault in"), "{outcome}");
    }
    assert_eq!(std::fs::read_dir(&src).unwrap().count(), 3);
}

#[test]
fn backup_makes_a_named_vault_but_not_in_a_directory_that_is_there() {
    let (host, _) = Host::with_image();
    let (src, new) = (host.text("src"), host.text("new"));
    let made = host.run(["backup", &src, "--vault", &new]).assert_ok();
    assert!(made.stderr.contains("made a vault in"), "{made}");
    host.run(["verify", "--vault", &new]).assert_ok();
    // As an unmounted disk leaves it.
    let mount_point = host.text("mount-point");
    std::fs::create_dir(&mount_point).unwrap();
    let refused = host.run(["backup", &src, "--vault", &mount_point]).assert_code(3);
    assert!(refused.stderr.contains("vault init"), "{refused}");
    assert_eq!(std::fs::read_dir(&mount_point).unwrap().count(), 0);
}
