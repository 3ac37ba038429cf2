//! `backup`: what it prints, what it stores, what it leaves out, how it ends.

use holdfast_testkit::{Compare, Plan, mutate};

use crate::{Host, small, snapshot};

#[test]
fn a_random_tree_comes_back_and_so_does_what_becomes_of_it() {
    let host = Host::new();
    host.make("src", &Plan::random(7, 120));
    for round in 0..3 {
        let image = host.backup("src");
        let back = host.path(&format!("back{round}"));
        host.run(["restore", &image, "--to", back.to_str().unwrap()]).assert_ok();
        let differences = Compare::default().trees(&host.path("src"), &back.join("src")).unwrap();
        assert_eq!(differences, Vec::<String>::new());
        mutate(&host.path("src"), round, 30).unwrap();
    }
    host.words("verify --read-data").assert_ok();
}

#[test]
fn the_json_object_has_what_scripts_depend_on() {
    let host = Host::new();
    host.make("src", &small());
    let outcome = host.run(["backup", &host.text("src"), "--json", "--name", "label"]).assert_ok();
    assert_eq!(outcome.text().lines().count(), 1);
    let json = outcome.json().unwrap();
    for (member, value) in [("files", 2), ("dirs", 3), ("other", 1), ("errors", 0), ("bytes_source", 100_006)]
    {
        assert_eq!(json[member], value, "{member} in {json}");
    }
    assert_eq!(json["bytes_read"], 100_006);
    assert!(json["bytes_added"].as_u64().unwrap() > 0 && json["chunks_new"].as_u64().unwrap() >= 2, "{json}");
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!((json["status"].as_str(), json["name"].as_str()), (Some("complete"), Some("label")));
    assert_eq!(json["image"].as_str().unwrap().len(), 32);
    let events: Vec<serde_json::Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "progress", "{events:?}");
    assert_eq!(events.last().unwrap()["files"], 2);
}

#[test]
fn the_second_run_reads_only_what_changed() {
    let (host, first) = Host::with_image();
    // What is as young as the backup is read once more, whatever its times say.
    host.backup("src");
    std::fs::write(host.path("src/a"), "changed").unwrap();
    let json =
        host.run(["backup", &host.text("src"), "--json", "--name", "other"]).assert_ok().json().unwrap();
    assert!(json["parent"].is_string() && json["parent"] != first.as_str(), "{json}");
    let all = host.run(["backup", &host.text("src"), "--json", "--rehash"]).assert_ok().json().unwrap();
    assert_eq!(all["bytes_read"], 100_007, "{all}");
    // Nothing of the contents is new; a part of the manifest may be.
    assert!(all["bytes_added"].as_u64().unwrap() < 5000, "{all}");
    assert_eq!(host.images().len(), 4);
}

#[test]
fn a_person_is_told_in_words() {
    let host = Host::new();
    host.make("src", &small());
    let outcome = host.run(["backup", &host.text("src")]).assert_ok();
    let text = outcome.text();
    assert!(text.contains("2 files, 3 directories, 1 other, 97.7 KiB") && text.contains("stored "), "{text}");
    let outcome = host.run(["backup", &host.text("src"), "--quiet"]).assert_ok();
    assert_eq!((outcome.text(), outcome.stderr.as_str()), (String::new(), ""));
}

#[test]
fn the_first_run_says_once_where_the_key_is() {
    let host = Host::new();
    host.make("src", &small());
    let first = host.run(["backup", &host.text("src")]).assert_ok().stderr;
    let key = std::fs::read_dir(host.program.state().join("keys")).unwrap().next().unwrap().unwrap().path();
    assert!(first.contains(key.to_str().unwrap()) && first.contains("holdfast key export"), "{first}");
    assert_eq!(host.run(["backup", &host.text("src")]).assert_ok().stderr, "");
}

#[test]
fn what_is_excluded_is_not_there() {
    let host = Host::new();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
    host.make("src", &small().directory("cache").file("cache/CACHEDIR.TAG", tag).file("cache/x", "x"));
    let src = host.text("src");
    host.run(["backup", &src, "--exclude", "*.o", "--exclude", "dir/b", "--exclude-caches"]).assert_ok();
    let listed = host.words("ls latest --recursive").assert_ok().text();
    let names: Vec<&str> = listed.lines().map(|line| line.strip_prefix(&src).unwrap()).collect();
    assert_eq!(names, ["", "/a", "/cache", "/dir", "/empty", "/cache/CACHEDIR.TAG", "/dir/link"]);
}

#[test]
fn the_vault_is_left_out_of_its_own_images() {
    let host = Host::new();
    host.make("top", &small());
    let vault = host.text("top/a [b]*/vault");
    host.run(["vault", "init", &vault]).assert_ok();
    for _ in 0..2 {
        host.run(["backup", &host.text("top"), "--vault", &vault]).assert_ok();
    }
    let listed = host.run(["ls", "latest", "--recursive", "--vault", &vault]).assert_ok().text();
    assert!(listed.contains("/top/a [b]*") && !listed.contains("vault"), "{listed}");
    // By way of a symlink too.
    std::os::unix::fs::symlink(host.path("top"), host.path("link")).unwrap();
    host.run(["backup", &format!("{}/", host.text("link")), "--vault", &vault]).assert_ok();
    let listed = host.run(["ls", "latest", "--recursive", "--vault", &vault]).assert_ok().text();
    assert!(!listed.contains("vault"), "{listed}");
}

#[test]
fn a_dry_run_stores_nothing_and_makes_nothing() {
    let host = Host::new();
    host.make("src", &small());
    let json = host.run(["backup", &host.text("src"), "--dry-run", "--json"]).assert_ok().json().unwrap();
    assert_eq!((&json["files"], &json["image"]), (&2.into(), &serde_json::Value::Null));
    assert_eq!(std::fs::read_dir(host.program.state()).unwrap().count(), 0);
    host.backup("src");
    let before = snapshot(host.program.state());
    host.run(["backup", &host.text("src"), "--dry-run"]).assert_ok();
    assert_eq!(snapshot(host.program.state()), before);
}

#[test]
fn bad_requests_end_before_anything_is_made() {
    let host = Host::new();
    host.make("src", &small());
    let src = host.text("src");
    let missing = host.run(["backup", "/no/such/path", &src]).assert_code(3);
    assert!(missing.stderr.contains("/no/such/path: No such file"), "{missing}");
    let glob = host.run(["backup", &src, "--exclude", "a["]).assert_code(2);
    assert!(glob.stderr.contains("\"a[\""), "{glob}");
    host.words("backup").assert_code(2);
    host.run(["backup", &src, "--name", ""]).assert_code(2);
    host.run(["backup", &src, "--no-such-flag"]).assert_code(2);
    let vault = host.run(["backup", &src, "--vault", "/no/vault"]).assert_code(3);
    assert!(
        vault.stderr.contains("there is no vault in /no/vault") && vault.stderr.contains("vault init"),
        "{vault}"
    );
    assert_eq!(std::fs::read_dir(host.program.state()).unwrap().count(), 0);
}

#[test]
fn several_and_nested_roots_and_a_file_as_root() {
    let host = Host::new();
    host.make("src", &small());
    let (dir, file) = (host.text("src/dir"), host.text("src/a"));
    host.run(["backup", &file, &dir, &host.text("src/dir/b"), &dir]).assert_ok();
    assert_eq!(host.words("ls latest").assert_ok().text(), format!("{file}\n{dir}\n"));
    let image = &host.images()[0];
    assert_eq!(image["paths"], serde_json::json!([file, dir]));
}

#[test]
fn entries_that_cannot_be_read_are_listed_and_the_status_says_so() {
    let host = Host::new();
    host.make("src", &small().file("secret", "x").mode(0));
    let outcome = as_nobody_special(|| host.run(["backup", &host.text("src"), "--json"])).assert_code(1);
    let json = outcome.json().unwrap();
    assert_eq!((&json["errors"], &json["status"]), (&1.into(), &"incomplete".into()));
    assert!(
        outcome.stderr.contains(r#""event":"fault""#) && outcome.stderr.contains("/src/secret"),
        "{outcome}"
    );
    // Also long afterwards.
    let faults = &host.images()[0]["faults"];
    assert!(faults[0]["path"].as_str().unwrap().ends_with("/src/secret"), "{faults}");
}

/// Runs something whose child processes may not read what they have no permission for, also if this is root.
fn as_nobody_special<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // It is the thread that loses these, and what it starts; without root there is nothing to lose.
            let _ = remove_capability_from_bounding_set(CapabilitySet::DAC_OVERRIDE);
            let _ = remove_capability_from_bounding_set(CapabilitySet::DAC_READ_SEARCH);
            run()
        });
        thread.join().unwrap()
    })
}

#[test]
fn a_path_in_the_vault_is_refused() {
    let (host, _) = Host::with_image();
    for path in [host.vault(), host.vault().join("packs")] {
        let outcome = host.run(["backup", path.to_str().unwrap()]).assert_code(2);
        assert!(outcome.stderr.contains("lies in the vault itself"), "{outcome}");
    }
    assert_eq!(host.images().len(), 1);
}

#[test]
fn names_are_lines_in_a_list() {
    let host = Host::new();
    host.make("src", &small());
    for (name, code) in [("x".repeat(255), 0), ("x".repeat(256), 2), ("two\nlines".to_owned(), 2)] {
        host.run(["backup", &host.text("src"), "--name", &name]).assert_code(code);
    }
    assert!(host.words("images").assert_ok().text().contains(&"x".repeat(255)));
}

#[test]
fn a_default_vault_whose_disk_is_missing_is_not_made_anew() {
    let (host, _) = Host::with_image();
    let aside = host.path("aside");
    std::fs::rename(host.vault(), &aside).unwrap();
    std::fs::create_dir(host.vault()).unwrap();
    let outcome = host.run(["backup", &host.text("src")]).assert_code(3);
    assert!(outcome.stderr.contains("if its disk is missing"), "{outcome}");
    assert_eq!(std::fs::read_dir(host.vault()).unwrap().count(), 0);
    std::fs::remove_dir(host.vault()).unwrap();
    std::fs::rename(aside, host.vault()).unwrap();
    host.backup("src");
    assert_eq!(host.images().len(), 2);
}
