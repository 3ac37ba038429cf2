//! `verify`, `forget`, `cleanup`.

use std::path::{Path, PathBuf};

use holdfast_testkit::{Content, Plan, Random};

use crate::{Host, small};

fn packs(vault: &Path) -> Vec<PathBuf> {
    let below =
        |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut packs: Vec<PathBuf> = below(&vault.join("packs")).iter().flat_map(|dir| below(dir)).collect();
    packs.sort();
    packs
}

#[test]
fn verify_names_damage_and_what_it_affects() {
    let host = Host::new();
    host.make("well", &small());
    let well = host.backup("well");
    host.make("src", &Plan::new().content("victim", Content::random(&mut Random::new(1), 300_000)));
    let image = host.backup("src");
    let good = host.words("verify --read-data --json").assert_ok().json().unwrap();
    assert_eq!(
        (&good["status"], &good["images"], &good["damage"]),
        (&"good".into(), &2.into(), &serde_json::json!([]))
    );
    host.words("verify latest").assert_ok();
    host.words("verify ffff").assert_code(3);
    // A byte in the middle of the largest pack is one of the large file.
    let pack = packs(&host.vault()).into_iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    host.words("verify").assert_ok();
    let outcome = host.words("verify --read-data").assert_code(3);
    let name = pack.file_name().unwrap().to_str().unwrap();
    for part in [name, &image, "/src/victim"] {
        assert!(outcome.text().contains(part), "{part} in {outcome}");
    }
    let json = host.words("verify --read-data --json").assert_code(3).json().unwrap();
    assert_eq!((&json["status"], &json["affected"][0]["files_affected"]), (&"damaged".into(), &1.into()));
    assert!(!outcome.text().contains(&well), "{outcome}");
    let outcome = host.run(["restore", &image, "--to", &host.text("back"), "--json"]).assert_code(1);
    assert_eq!(outcome.json().unwrap()["errors"], 1);
    assert!(outcome.stderr.contains("/src/victim"), "{outcome}");
    // Every other image is restored whole.
    host.run(["restore", &well, "--to", &host.text("back")]).assert_ok();
    host.run(["verify", &well]).assert_ok();
}

#[test]
fn forget_by_name_and_by_rule() {
    let (host, first) = Host::with_image();
    let (second, third) = (host.backup("src"), host.backup("src"));
    let dry = host.words("forget --keep-last 1 --dry-run --json").assert_ok().json().unwrap();
    assert_eq!(dry["forgotten"], serde_json::json!([second, first]));
    assert_eq!(dry["kept"], serde_json::json!([{"id": third, "rules": ["last"]}]));
    assert_eq!(host.images().len(), 3);
    host.run(["forget", &first[..12], &first]).assert_ok();
    assert_eq!(host.images().len(), 2);
    let text = host.words("forget --keep-daily 1").assert_ok().text();
    assert!(text.contains(&format!("keep    {}", &third[..8])) && text.contains("(daily)"), "{text}");
    assert!(text.contains("forgot 1 image\n") && text.contains("holdfast cleanup"), "{text}");
    assert_eq!(host.images().len(), 1);
    // Another source is judged by itself.
    host.make("other", &small());
    host.backup("other");
    host.words("forget --keep-last 1").assert_ok();
    assert_eq!(host.images().len(), 2);
}

#[test]
fn an_image_whose_record_is_damaged_is_forgotten_by_its_id() {
    let (host, good) = Host::with_image();
    let bad = host.backup("src");
    let records = std::fs::read_dir(host.vault().join("images")).unwrap();
    let record =
        records.map(|entry| entry.unwrap().path()).find(|path| path.to_str().unwrap().ends_with(&bad));
    let mut bytes = std::fs::read(record.as_ref().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(record.unwrap(), bytes).unwrap();
    // What it needs is not known, so nothing is freed; the way out is said.
    let told = host.words("cleanup").assert_code(3);
    assert!(told.stderr.contains(&format!("holdfast forget {bad}")), "{told}");
    let forgot = host.run(["forget", &bad[..12]]).assert_ok();
    assert!(forgot.text().contains("its record cannot be read"), "{forgot}");
    host.words("cleanup").assert_ok();
    let images = host.images();
    assert_eq!((images.len(), images[0]["id"].as_str().unwrap()), (1, good.as_str()));
}

#[test]
fn forget_refuses_what_nobody_means() {
    let (host, image) = Host::with_image();
    let nothing = host.words("forget --keep-last 0 --keep-daily 0").assert_code(2);
    assert!(nothing.stderr.contains("keep nothing"), "{nothing}");
    host.words("forget").assert_code(2);
    host.run(["forget", &image, "--keep-last", "1"]).assert_code(2);
    host.words("forget --keep-last many").assert_code(2);
    // All are looked up before any is forgotten.
    host.run(["forget", &image, "ffffffff"]).assert_code(3);
    assert_eq!(host.images().len(), 1);
}

#[test]
fn clean_up_marks_waits_and_deletes() {
    let host = Host::new();
    host.make("src", &Plan::new().content("f", Content::random(&mut Random::new(1), 2_000_000)));
    host.backup("src");
    host.make("other", &small());
    let kept = host.backup("other");
    let size = || packs(&host.vault()).iter().map(|pack| pack.metadata().unwrap().len()).sum::<u64>();
    let before = size();
    host.words("forget latest").assert_ok();
    assert_ne!(host.images()[0]["id"], kept.as_str());
    host.words("forget latest").assert_ok();
    let dry = host.words("cleanup --dry-run --json").assert_ok().json().unwrap();
    assert!(dry["marked"]["bytes"].as_u64().unwrap() > 1_000_000, "{dry}");
    let text = host.words("cleanup").assert_ok().text();
    assert!(text.contains("waiting to be deleted") && text.contains("`--grace 0`"), "{text}");
    assert_eq!(size(), before);
    let again = host.words("cleanup --json").assert_ok().json().unwrap();
    assert_eq!((&again["marked"]["packs"], &again["deleted"]["packs"]), (&0.into(), &0.into()), "{again}");
    let json = host.words("cleanup --grace 0 --json").assert_ok().json().unwrap();
    assert!(json["deleted"]["bytes"].as_u64().unwrap() > 1_000_000, "{json}");
    assert!(size() < 100_000, "{}", size());
    host.words("verify --read-data").assert_ok();
    host.backup("src");
    host.words("cleanup --grace soon").assert_code(2);
}
