//! Operators elsewhere: a machine that belongs to no site asks the primary server over TLS, with a token.

use std::os::unix::fs::PermissionsExt;

use holdfast_link::identity::OperatorToken;
use holdfast_link::rpc::operator;
use holdfast_testkit::{Outcome, Plan};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::{Role, Site, Store, same, slow};
use crate::{Host, small};

/// A token that is made on the primary server's host.
#[track_caller]
fn token(site: &Site, more: &str) -> String {
    let made = site.server.words(&format!("token create --role operator {more}")).assert_ok();
    let text = made.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim().to_owned()
}

fn log_in(site: &Site, token: &str) -> (Host, Outcome) {
    let desk = Host::new();
    let primary = format!("127.0.0.1:{}", site.port);
    let outcome = desk.run(["login", "--primary", &primary, "--token", token]);
    (desk, outcome)
}

/// A machine on which an operator is logged in.
#[track_caller]
fn desk(site: &Site, more: &str) -> Host {
    let (desk, outcome) = log_in(site, &token(site, more));
    outcome.assert_ok();
    desk
}

/// A policy of the client's `src`, applied from the operator's machine.
#[track_caller]
fn apply(site: &Site, desk: &Host, lines: &str) -> Outcome {
    let file = desk.path("home.toml");
    let src = site.client.text("src");
    std::fs::write(&file, format!("[policy.home]\nclients = [\"web1\"]\npaths = [{src:?}]\n{lines}"))
        .unwrap();
    desk.run(["policy", "apply", file.to_str().unwrap()])
}

#[test]
fn an_operator_elsewhere_does_what_one_on_the_primary_servers_host_does() {
    let site = Site::new();
    site.client.make("src", &small());
    let desk = desk(&site, "--name alice");
    let stored = desk.program.state().join("login");
    assert_eq!(stored.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(apply(&site, &desk, "").assert_ok().text(), "home: new\n");
    let run = desk.run(["policy", "run", "home", "--wait", "--json"]).assert_ok().json().unwrap();
    assert_eq!(run["status"], 0, "{run}");
    let (id, image) = (run["job"].as_str().unwrap(), run["image"].as_str().unwrap());
    let jobs = desk.words("jobs --json").assert_ok().json().unwrap();
    assert_eq!((jobs.as_array().unwrap().len(), &jobs[0]["id"]), (1, &Value::from(id)));
    let hosts = desk.words("hosts --json").assert_ok().json().unwrap();
    assert_eq!(hosts[0]["name"], "web1");
    // Who did it can be told afterwards.
    let log = desk.run(["jobs", "log", id]).assert_ok();
    assert!(log.text().contains("run by the operator alice"), "{log}");
    let policies = desk.words("policy list --json").assert_ok().json().unwrap();
    assert_eq!(policies[0]["by"], "the operator alice", "{policies}");

    let src = site.client.text("src");
    let images = desk.words("images --json").assert_ok().json().unwrap();
    assert_eq!(images[0]["id"], image);
    assert_eq!(
        desk.run(["ls", "latest", &src, "--json"]).assert_ok().json().unwrap().as_array().unwrap().len(),
        3
    );
    assert_eq!(desk.run(["cat", "latest", &format!("{src}/a")]).assert_ok().text(), "first\n");
    desk.run(["find", "b", "--json"]).assert_ok();
    desk.run(["diff", image, "latest"]).assert_ok();
    // On the client by a job; without a client, where the operator is.
    let back = site.client.text("back");
    desk.run(["restore", image, "--client", "web1", "--to", &back]).assert_ok();
    same(&site.client.path("src"), &site.client.path("back/src"));
    desk.run(["restore", image, "--to", &desk.text("back")]).assert_ok();
    same(&site.client.path("src"), &desk.path("back/src"));
    let outcome = desk.run(["backup", &desk.text("back")]).assert_code(2);
    assert!(outcome.stderr.contains("--client"), "{outcome}");

    desk.words("logout").assert_ok();
    assert!(!stored.exists());
    desk.words("jobs").assert_code(3);
}

#[test]
fn the_environment_is_enough_and_stores_nothing() {
    let site = Site::new();
    let mut desk = Host::new();
    desk.program = desk.program.env("HOLDFAST_TOKEN", &token(&site, ""));
    let outcome = desk.words("hosts").assert_code(2);
    assert!(outcome.stderr.contains("$HOLDFAST_PRIMARY is not"), "{outcome}");
    desk.program = desk.program.env("HOLDFAST_PRIMARY", &format!("127.0.0.1:{}", site.port));
    let hosts = desk.words("hosts --json").assert_ok().json().unwrap();
    assert_eq!(hosts[0]["name"], "web1");
    assert_eq!(std::fs::read_dir(desk.program.state()).unwrap().count(), 0);
}

#[test]
fn a_stored_login_that_others_may_read_or_that_is_damaged_is_not_used() {
    let desk = Host::new();
    let file = desk.program.state().join("login");
    std::fs::write(&file, "127.0.0.1:1\nhfo1-AAAA\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = desk.words("jobs").assert_code(3);
    assert!(outcome.stderr.contains("mode 0644"), "{outcome}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = desk.words("jobs").assert_code(3);
    assert!(outcome.stderr.contains("is not what `holdfast login` writes"), "{outcome}");
    desk.words("logout").assert_ok();
    assert!(!file.exists());
}

#[test]
fn a_client_on_which_an_operator_is_logged_in_stays_a_client() {
    let site = Site::new();
    site.client.make("src", &small());
    let (primary, token) = (format!("127.0.0.1:{}", site.port), token(&site, ""));
    site.client.run(["login", "--primary", &primary, "--token", &token]).assert_ok();
    let job = site.client.run(["backup", &site.client.text("src"), "--wait", "--json"]).assert_ok();
    assert_eq!(job.json().unwrap()["client"], "web1");
    // What a client may not.
    site.client.words("policy list").assert_ok();
}

#[test]
fn a_token_that_is_taken_back_is_good_for_nothing() {
    let site = Site::new();
    let (alice, bob) = (desk(&site, "--name alice"), desk(&site, "--name bob"));
    // There is one alice.
    let again = site.server.words("token create --role operator --name alice").assert_code(2);
    assert!(again.stderr.contains("alice"), "{again}");
    let names = |host: &Host| -> Vec<String> {
        let tokens = host.words("token list --json").assert_ok().json().unwrap();
        tokens
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|token| token["name"].as_str().map(str::to_owned))
            .collect()
    };
    assert_eq!(names(&alice).len(), 2);
    site.server.words("token revoke bob").assert_ok();
    let outcome = bob.words("jobs").assert_code(3);
    assert!(outcome.stderr.contains("the token of the operator bob was revoked"), "{outcome}");
    assert!(outcome.stderr.contains("127.0.0.1") && outcome.stderr.contains("token create"), "{outcome}");
    assert_eq!(names(&alice), ["alice"]);
    site.server.words("token revoke bob").assert_code(3);
    // Whoever takes his own back is told that it is done.
    alice.words("token revoke alice").assert_ok();
    alice.words("jobs").assert_code(3);
    // Enrolment tokens too.
    let enrolment = site.token();
    let tokens = site.server.words("token list --json").assert_ok().json().unwrap();
    let id = tokens.as_array().unwrap().iter().find(|token| token["role"] == "client").unwrap()["id"].clone();
    site.server.run(["token", "revoke", id.as_str().unwrap()]).assert_ok();
    let primary = format!("127.0.0.1:{}", site.port);
    Host::new().run(["client", "enroll", "--primary", &primary, "--token", &enrolment]).assert_code(3);
}

#[test]
fn a_read_only_token_changes_nothing() {
    let site = Site::new();
    site.client.make("src", &small());
    site.policy("home", "src", "");
    let desk = desk(&site, "--name eye --read-only");
    for line in ["jobs", "hosts", "policy list", "policy show home", "images", "token list"] {
        desk.words(line).assert_ok();
    }
    let changes = [
        "policy run home",
        "policy delete home",
        "token create",
        "token revoke eye",
        "hosts label web1 a=b",
        "cat latest /x",
    ];
    for line in changes {
        let outcome = desk.words(line).assert_code(3);
        assert!(outcome.stderr.contains("read-only"), "{line}: {outcome}");
    }
    let outcome = apply(&site, &desk, "").assert_code(3);
    assert!(outcome.stderr.contains("read-only"), "{outcome}");
    assert_eq!(site.server.words("jobs --json").assert_ok().json().unwrap(), Value::Array(Vec::new()));
}

#[test]
fn a_server_that_is_not_the_tokens_is_refused() {
    let (site, other) = (Site::new(), Host::new());
    other.words("primary init --site lab").assert_ok();
    let (_running, port) = Role::listening(&other.program, "primary run --listen 127.0.0.1:0");
    let (desk, primary) = (Host::new(), format!("127.0.0.1:{port}"));
    let outcome = desk.run(["login", "--primary", &primary, "--token", &token(&site, "")]).assert_code(3);
    assert!(outcome.stderr.contains("not certified by the authority that the token names"), "{outcome}");
    assert!(outcome.stderr.contains(&primary), "{outcome}");
    assert!(!desk.program.state().join("login").exists());
}

#[test]
fn what_is_no_operators_token_is_told_before_it_is_sent() {
    let site = Site::new();
    let (_, outcome) = log_in(&site, &site.token());
    assert!(outcome.assert_code(2).stderr.contains("begins with hfo1-"));
    let mut cut = token(&site, "");
    cut.truncate(cut.len() - 5);
    let (_, outcome) = log_in(&site, &cut);
    assert!(outcome.assert_code(2).stderr.contains("copy it again"));
}

#[test]
fn an_operator_reads_from_a_media_server_of_its_own_by_way_of_the_primary_server() {
    let site = Site::new();
    let _store = Store::new(&site, "store1");
    site.client.make("src", &Plan::random(5, 60));
    site.policy("home", "src", "");
    let job = site.run("home");
    assert_eq!(job["media"], "holdfast://lab/media/store1");
    let desk = desk(&site, "");
    desk.run(["restore", "latest", "--to", &desk.text("back")]).assert_ok();
    same(&site.client.path("src"), &desk.path("back/src"));
}

#[test]
fn a_command_that_waits_survives_the_death_of_the_primary_server() {
    let mut site = Site::new();
    site.client.make("src", &slow());
    let desk = desk(&site, "");
    apply(&site, &desk, "bandwidth = \"8MB/s\"\n").assert_ok();
    let mut waiting = desk.program.start(["policy", "run", "home", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    let jobs = desk.words("jobs --active --json").assert_ok().json().unwrap();
    let id = jobs[0]["id"].as_str().unwrap();
    let watching = desk.program.start(["jobs", "watch", id]).unwrap();
    site.primary.take().unwrap().kill();
    assert!(waiting.wait_for(|line| line.contains("no answer")).unwrap());
    site.start_primary();
    for command in [waiting, watching] {
        let outcome = command.wait().unwrap().assert_ok();
        assert!(outcome.text().contains("status 0"), "{outcome}");
    }
}

/// What the exchange answers to this head of a request, by a connection that trusts it as this token says.
async fn ask(port: u16, pin: &OperatorToken, head: &str) -> String {
    let places = [format!("127.0.0.1:{port}").parse().unwrap()];
    let mut stream = operator::connect(&places, pin, false).await.unwrap();
    let request = format!("{head}host: x\r\n\r\n");
    let mut answer = Vec::new();
    // What is too long is answered, and the connection closed, before all of it was read: the rest cannot be written then.
    let _ = stream.write_all(request.as_bytes()).await;
    // It closes the connection without TLS's goodbye if there was more to read.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn who_shows_no_token_gets_nothing_whatever_he_asks() {
    let site = Site::new();
    let text = token(&site, "");
    let good: OperatorToken = text.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // A token with the pin of the site and a secret of nobody.
    let forged = OperatorToken::draw("lab", good.expires(), good.authority()).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", forged.to_text().as_str());
    let heads = [
        "GET /api/v1/status HTTP/1.1\r\n".to_owned(),
        "POST /api/v1/tokens HTTP/1.1\r\n".to_owned(),
        "GET / HTTP/1.1\r\n".to_owned(),
        "POST /holdfast.v1.Media/Images HTTP/1.1\r\n".to_owned(),
        format!("GET /api/v1/jobs HTTP/1.1\r\n{bearer}"),
        "GET /api/v1/jobs HTTP/1.1\r\nauthorization: Basic YTpi\r\n".to_owned(),
        format!("GET /api/v1/jobs HTTP/1.1\r\nauthorization: Bearer {}\r\n", "x".repeat(8_000)),
    ];
    for head in heads {
        let answer = runtime.block_on(ask(site.port, &good, &head));
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("{\"error\":"), "{head}: {answer}");
        assert!(!answer.contains(forged.to_text().as_str()));
    }
    let long = format!("GET /api/v1/jobs HTTP/1.1\r\nx: {}\r\n", "x".repeat(100_000));
    let answer = runtime.block_on(ask(site.port, &good, &long));
    assert!(!answer.contains(" 200 "), "{answer}");
    let bearer = format!("authorization: Bearer {text}\r\n");
    let answer = runtime.block_on(ask(
        site.port,
        &good,
        &format!("GET /api/v1/jobs HTTP/1.1\r\nconnection: close\r\n{bearer}"),
    ));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("[]"), "{answer}");
}

#[test]
fn a_flood_of_strangers_keeps_nobody_out() {
    let site = Site::new();
    let text = token(&site, "");
    let pin: OperatorToken = text.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // More than have a place, all past TLS, and all mute.
    let flood: Vec<_> = runtime.block_on(async {
        let mut flood = Vec::new();
        for _ in 0..40 {
            let places = [format!("127.0.0.1:{}", site.port).parse().unwrap()];
            flood.push(operator::connect(&places, &pin, false).await.unwrap());
        }
        flood
    });
    let (desk, outcome) = log_in(&site, &text);
    outcome.assert_ok();
    let hosts = desk.words("hosts --json").assert_ok().json().unwrap();
    assert_eq!((&hosts[0]["attending"], &hosts[0]["connected"]), (&Value::from(true), &Value::from(true)));
    drop(flood);
}
