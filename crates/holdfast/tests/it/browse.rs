//! `images`, `ls`, `find`, `diff`, `cat`, and how an IMAGE is named.

use holdfast_testkit::Plan;

use crate::{Host, small};

#[test]
fn images_are_listed_newest_first() {
    let (host, first) = Host::with_image();
    let second = host.backup("src");
    let images = host.images();
    let ids: Vec<&str> = images.iter().map(|image| image["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&second, &first]);
    let image = &images[0];
    assert_eq!(image["paths"], serde_json::json!([host.text("src")]));
    assert_eq!((&image["files"], &image["bytes_source"]), (&2.into(), &100_006.into()));
    assert!(image["host"].is_string() && image["name"] == image["host"], "{image}");
    let time = image["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let table = host.words("images").assert_ok().text();
    assert!(
        table.starts_with("IMAGE ") && table.lines().nth(1).unwrap().starts_with(&second[..8]),
        "{table}"
    );
}

#[test]
fn an_image_is_an_id_a_beginning_or_latest() {
    let host = Host::new();
    host.make("src", &small());
    let backup = |name: &str| {
        let json =
            host.run(["backup", &host.text("src"), "--json", "--name", name]).assert_ok().json().unwrap();
        (json["image"].as_str().unwrap().to_owned(), json["time"].as_str().unwrap().to_owned())
    };
    let ((first, first_time), (second, _)) = (backup("one"), backup("two"));
    let diff = |a: &str, b: &str| host.run(["diff", a, b]).code();
    assert_eq!((diff("latest", &second), diff("latest:one", &first[..16])), (0, 0));
    // Which image was taken shows in what restore says of it.
    let chosen = |arguments: &[&str]| {
        let line = [&["restore", "--dry-run", "--json", "--to", "/tmp/never"], arguments].concat();
        host.run(line).assert_ok().json().unwrap()["image"].as_str().unwrap().to_owned()
    };
    assert_eq!(chosen(&["latest"]), second);
    assert_eq!(chosen(&["latest:one"]), first);
    assert_eq!(chosen(&["latest", "--at", &first_time]), first);
    assert_eq!(chosen(&[&first.to_uppercase()]), first);
    let early = host.run(["ls", "latest", "--at", "2001-01-01"]).assert_code(3);
    assert!(early.stderr.contains("no image is here") && early.stderr.contains("holdfast images"), "{early}");
    for (image, status) in [("ffffffff", 3), ("no-id", 3), ("latest:three", 3), ("", 3)] {
        let outcome = host.run(["ls", image]).assert_code(status);
        assert!(outcome.stderr.contains("holdfast images"), "{outcome}");
    }
    host.run(["ls", "latest", "--at", "yesterday-ish"]).assert_code(2);
    host.run(["ls", &first, "--at", "1h"]).assert_code(2);
    let only = host.words("images --name one --json").assert_ok().json().unwrap();
    assert_eq!((only.as_array().unwrap().len(), only[0]["id"].as_str().unwrap()), (1, first.as_str()));
    assert_eq!(host.words("images --at 2001-01-01 --json").assert_ok().text(), "[]\n");
}

#[test]
fn latest_fails_if_a_newer_record_cannot_be_read() {
    let (host, first) = Host::with_image();
    let second = host.backup("src");
    let records = host.vault().join("images");
    let record = std::fs::read_dir(&records)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with(&second))
        .unwrap();
    let mut bytes = std::fs::read(&record).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let outcome = host.words("ls latest").assert_code(3);
    assert!(outcome.stderr.contains(&second), "{outcome}");
    host.run(["ls", &first]).assert_ok();
    let listed = host.words("images --json").assert_code(1).json().unwrap();
    assert_eq!(
        (&listed[0]["status"], listed[0]["id"].as_str()),
        (&"unreadable".into(), Some(second.as_str()))
    );
    assert!(host.words("images").assert_code(1).text().contains("UNREADABLE"));
    // Rules know nothing of it, and leave it alone.
    let kept = host.words("forget --keep-last 1 --json").assert_code(1).json().unwrap();
    assert_eq!((&kept["unreadable"], &kept["forgotten"]), (&1.into(), &serde_json::json!([])));
}

#[test]
fn ls_shows_roots_directories_files_and_what_is_above() {
    let (host, _) = Host::with_image();
    let src = host.text("src");
    let ls = |arguments: &[&str]| host.run([&["ls", "latest"], arguments].concat()).assert_ok().text();
    assert_eq!(ls(&[]), format!("{src}\n"));
    assert_eq!(ls(&[&src]), format!("{src}/a\n{src}/dir\n{src}/empty\n"));
    assert_eq!(ls(&[&format!("/{src}/dir/")]), format!("{src}/dir/b\n{src}/dir/link\n"));
    assert_eq!(ls(&[&format!("{src}/a")]), format!("{src}/a\n"));
    assert_eq!(ls(&[&format!("{src}/empty")]), "");
    assert_eq!(ls(&["/"]), format!("{src}\n"), "what is above the roots leads to them");
    let all = format!("{src}/a\n{src}/dir\n{src}/empty\n{src}/dir/b\n{src}/dir/link\n");
    assert_eq!(ls(&[&src, "--recursive"]), all);
    assert_eq!(ls(&["--recursive"]), format!("{src}\n{all}"));
    let long = ls(&[&format!("{src}/dir"), "--long"]);
    assert!(long.starts_with("-rwxr-xr-x   1 ") && long.contains(" 100000 2020-09-13 12:26:40 "), "{long}");
    assert!(long.lines().nth(1).unwrap().ends_with("/dir/link -> b"), "{long}");
    let json = host.run(["ls", "latest", &format!("{src}/dir"), "--json"]).assert_ok().json().unwrap();
    assert_eq!(json[0]["path"], format!("{src}/dir/b"));
    assert_eq!((&json[0]["mode"], &json[0]["kind"]), (&"0755".into(), &"file".into()));
    assert_eq!(json[0]["mtime"], "2020-09-13T12:26:40.123456789Z");
    assert_eq!((&json[1]["kind"], &json[1]["target"]["path"]), (&"symlink".into(), &"b".into()));
    host.run(["ls", "latest", &format!("{src}/no")]).assert_code(3);
    host.words("ls latest relative").assert_code(2);
    host.words("ls latest /a/../b").assert_code(2);
}

#[test]
fn find_searches_one_image_or_all() {
    let (host, first) = Host::with_image();
    std::fs::remove_file(host.path("src/a")).unwrap();
    let second = host.backup("src");
    let src = host.text("src");
    let found = host.words("find a").assert_ok().text();
    assert_eq!(found, format!("{}  {src}/a\n", &first[..8]));
    let found = host.run(["find", "dir/*", "--image", "latest"]).assert_ok().text();
    assert_eq!(found, format!("{src}/dir/b\n{src}/dir/link\n"));
    let json = host.words("find dir/ --json").assert_ok().json().unwrap();
    let images: Vec<&str> =
        json.as_array().unwrap().iter().map(|one| one["image"].as_str().unwrap()).collect();
    assert_eq!(images, [&second, &first]);
    assert_eq!(host.words("find nothing-like-this").assert_ok().text(), "");
    assert!(host.words("find a[").assert_code(2).stderr.contains("\"a[\""));
}

#[test]
fn diff_tells_what_changed() {
    let (host, first) = Host::with_image();
    let src = host.text("src");
    assert_eq!(host.run(["diff", &first, "latest"]).assert_ok().text(), "");
    std::fs::remove_file(host.path("src/dir/link")).unwrap();
    std::fs::write(host.path("src/dir/new"), "new").unwrap();
    std::fs::write(host.path("src/a"), "other").unwrap();
    host.backup("src");
    let text = host.run(["diff", &first, "latest"]).assert_code(1).text();
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        format!("M {src}/a  (content, mtime)"),
        format!("M {src}/dir  (mtime)"),
        format!("- {src}/dir/link"),
        format!("+ {src}/dir/new"),
    ];
    assert_eq!(lines, expected);
    let json = host.run(["diff", &first, "latest", "--json"]).assert_code(1).json().unwrap();
    assert_eq!(json[0]["what"], serde_json::json!(["content", "mtime"]));
    assert_eq!(json[2]["change"], "removed");
    host.run(["diff", &first, "ffff"]).assert_code(3);
    host.run(["diff", &first]).assert_code(2);
}

#[test]
fn cat_prints_one_file() {
    let host = Host::new();
    let sparse = vec![
        holdfast_testkit::tree::Segment::Hole(200_000),
        holdfast_testkit::tree::Segment::Data(holdfast_testkit::Content::Literal(b"end".to_vec())),
    ];
    host.make("src", &small().sparse("holes", sparse));
    host.backup("src");
    let src = host.text("src");
    let cat = |path: &str| host.run(["cat", "latest", path]);
    assert_eq!(cat(&format!("{src}/a")).assert_ok().stdout, b"first\n");
    assert_eq!(
        cat(&format!("{src}/holes")).assert_ok().stdout,
        std::fs::read(host.path("src/holes")).unwrap()
    );
    let directory = cat(&src).assert_code(3);
    assert!(directory.stderr.contains("no regular file"), "{directory}");
    cat(&format!("{src}/none")).assert_code(3);
    cat("a").assert_code(2);
}

#[test]
fn an_empty_directory_is_an_image_too() {
    let host = Host::new();
    host.make("src", &Plan::new());
    host.backup("src");
    assert_eq!(host.words("ls latest").assert_ok().text(), format!("{}\n", host.text("src")));
}
