//! Keys: shown, exported, imported on another machine, and what is said when one is missing or open to others.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{BINARY, Host};

fn only_key(host: &Host) -> PathBuf {
    let keys: Vec<_> = std::fs::read_dir(host.program.state().join("keys")).unwrap().collect();
    assert_eq!(keys.len(), 1);
    keys.into_iter().next().unwrap().unwrap().path()
}

#[test]
fn a_vault_moves_to_another_machine_with_its_key() {
    let (host, image) = Host::with_image();
    let other = Host::new();
    let vault = host.vault().to_str().unwrap().to_owned();
    let id = only_key(&host).file_stem().unwrap().to_str().unwrap().to_owned();

    let outcome = other.run(["ls", "latest", "--vault", &vault]).assert_code(3);
    let keys = other.program.state().join("keys");
    for part in [id.as_str(), keys.to_str().unwrap(), vault.as_str(), "holdfast key import"] {
        assert!(outcome.stderr.contains(part), "{part} in {outcome}");
    }
    assert!(!keys.exists(), "reading makes nothing");

    let text = host.words("key export").assert_ok().text();
    assert!(text.starts_with("HF1-") && text.lines().count() == 1, "{text}");
    std::fs::write(other.path("key.txt"), text.to_lowercase().replace('-', " ").replace("hf1 ", "hf1-"))
        .unwrap();
    other.run(["key", "import", &other.text("key.txt")]).assert_ok();
    let mode = keys.join(format!("{id}.key")).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let to = other.text("back");
    other.run(["restore", &image, "--vault", &vault, "--to", &to]).assert_ok();
    assert_eq!(std::fs::read(other.path("back/src/a")).unwrap(), b"first\n");
    other.run(["key", "import", &other.text("key.txt")]).assert_ok();
}

#[test]
fn import_reads_standard_input_and_refuses_slips() {
    let (host, _) = Host::with_image();
    let other = Host::new();
    let import = |text: &str| {
        let mut child = Command::new(BINARY)
            .args(["key", "import"])
            .env("HOLDFAST_STATE_DIR", other.program.state())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program stops reading what is too long for a key: then the pipe breaks, which is as it should be.
        match child.stdin.take().unwrap().write_all(text.as_bytes()) {
            Err(error) if text.len() > 1000 && error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let text = host.words("key export").assert_ok().text();
    let last = if text.as_bytes()[10] == b'7' { "8" } else { "7" };
    let slip = format!("{}{last}{}", &text[..10], &text[11..]);
    let (code, error) = import(&slip);
    assert!(code == 3 && error.contains("checksum"), "{error}");
    assert!(!error.contains(&text[20..30]), "an error never shows a part of a key: {error}");
    assert_eq!(import("").0, 3);
    assert_eq!(import(&"x".repeat(100_000)).0, 3);
    assert_eq!(std::fs::read_dir(other.program.state()).unwrap().count(), 0);
    assert_eq!(import(&text).0, 0);
    assert_eq!(other.words("key export").assert_ok().text(), text, "a host with one key and no vault");
}

#[test]
fn export_does_not_take_another_key_for_that_of_a_vault_that_is_missing() {
    let (host, _) = Host::with_image();
    host.words("key export").assert_ok();
    let outcome = host.run(["key", "export", "--vault", "/no/vault"]).assert_code(3);
    assert!(outcome.text().is_empty(), "{outcome}");
    let program = host.program.env("HOLDFAST_VAULT", "/no/vault");
    let outcome = program.run(["key", "export"]).unwrap().assert_code(3);
    assert!(outcome.text().is_empty() && outcome.stderr.contains("/no/vault"), "{outcome}");
}

#[test]
fn show_tells_which_key_is_whose_and_never_the_key() {
    let (host, _) = Host::with_image();
    let second = host.text("second");
    host.run(["vault", "init", &second]).assert_ok();
    let shown = host.words("key show").assert_ok().text();
    let vault = host.vault();
    assert_eq!(shown.lines().count(), 2);
    assert_eq!(shown.matches(&format!("opens the vault in {}", vault.display())).count(), 1, "{shown}");
    assert!(!shown.contains("HF1-"));
    let json = host.run(["key", "show", "--json", "--vault", &second]).assert_ok().json().unwrap();
    let opens: Vec<bool> =
        json.as_array().unwrap().iter().map(|key| key["vault"] == second.as_str()).collect();
    assert_eq!(opens.iter().filter(|opens| **opens).count(), 1, "{json}");
    let id = json[0]["id"].as_str().unwrap();
    host.run(["key", "export", "--key", &id[..6]]).assert_ok();
    host.run(["key", "export", "--key", "zz"]).assert_code(3);
    assert!(Host::new().words("key show").assert_ok().stderr.contains("no keys"));
    Host::new().words("key export").assert_code(3);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let (host, _) = Host::with_image();
    let key = only_key(&host);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = host.words("images").assert_code(3);
    assert!(outcome.stderr.contains("chmod 600") && outcome.stderr.contains("0644"), "{outcome}");
}

#[test]
fn a_lost_key_is_never_made_anew() {
    let (host, _) = Host::with_image();
    std::fs::remove_file(only_key(&host)).unwrap();
    let outcome = host.run(["backup", &host.text("src")]).assert_code(3);
    assert!(outcome.stderr.contains("holdfast key import"), "{outcome}");
    assert_eq!(std::fs::read_dir(host.program.state().join("keys")).unwrap().count(), 0);
    host.words("key show").assert_code(3);
}
