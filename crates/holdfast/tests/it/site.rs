//! A site: the primary server with its media server, a client, and commands to both, all as processes of their own on the
//! loopback. What networks do to them is the lab's (`cargo xtask lab jobs`).

use std::path::Path;

use holdfast_testkit::{Compare, Content, Plan, Program, Random, Running};
use serde_json::Value;

use crate::{Host, small};

/// A role that runs. Its process is killed with this.
pub(super) struct Role {
    running: Running,
}

impl Role {
    /// Starts it and waits until it says that it is ready.
    #[track_caller]
    pub(super) fn start(program: &Program, line: &str) -> Self {
        let mut running = program.start(line.split_whitespace()).unwrap();
        assert!(running.wait_for(|line| line.ends_with("is ready")).unwrap(), "{line}");
        Self { running }
    }

    /// The same for one that says at which port it listens.
    #[track_caller]
    pub(super) fn listening(program: &Program, line: &str) -> (Self, u16) {
        let mut running = program.start(line.split_whitespace()).unwrap();
        let port = std::cell::Cell::new(None);
        let seen = running.wait_for(|line| {
            let at = line.split("listening at 127.0.0.1:").nth(1);
            port.set(port.get().or_else(|| at?.parse().ok()));
            line.ends_with("is ready")
        });
        assert!(seen.unwrap(), "{line}");
        (Self { running }, port.get().expect("a port is told"))
    }

    pub(super) fn kill(self) {
        drop(self.running);
    }
}

/// The primary server's host, a client's, and what runs on them.
pub(super) struct Site {
    pub(super) server: Host,
    pub(super) client: Host,
    pub(super) port: u16,
    pub(super) primary: Option<Role>,
    web1: Option<Role>,
}

impl Site {
    /// A site with a client that attends.
    pub(super) fn new() -> Self {
        let (server, client) = (Host::new(), Host::new());
        server.words("primary init --site lab").assert_ok();
        let (primary, port) = Role::listening(&server.program, "primary run --listen 127.0.0.1:0");
        let mut site = Self { server, client, port, primary: Some(primary), web1: None };
        let token = site.token();
        site.enroll(&token).assert_ok();
        site.start_client();
        site
    }

    #[track_caller]
    pub(super) fn token(&self) -> String {
        self.server.words("token create").assert_ok().text().trim().to_owned()
    }

    fn enroll(&self, token: &str) -> holdfast_testkit::Outcome {
        let primary = format!("127.0.0.1:{}", self.port);
        self.client.run(["client", "enroll", "--primary", &primary, "--token", token, "--name", "web1"])
    }

    fn start_client(&mut self) {
        self.web1 = Some(Role::start(&self.client.program, "client run"));
        self.wait_until("hosts --json", |hosts| {
            hosts.as_array().unwrap().iter().any(|host| host["name"] == "web1" && host["attending"] == true)
        });
    }

    pub(super) fn start_primary(&mut self) {
        let line = format!("primary run --listen 127.0.0.1:{}", self.port);
        self.primary = Some(Role::start(&self.server.program, &line));
    }

    /// Asks until the answer is as it should be. Each question is a process: it does not spin.
    #[track_caller]
    pub(super) fn wait_until(&self, question: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = |_| self.server.words(question).assert_ok().json().unwrap();
        (0..2_000).map(ask).find(wanted).expect("what is waited for never comes")
    }

    /// Applies a policy of this client, with these lines besides the paths.
    #[track_caller]
    pub(super) fn policy(&self, name: &str, path: &str, lines: &str) {
        let path = self.client.text(path);
        let text = format!("[policy.{name}]\nclients = [\"web1\"]\npaths = [{path:?}]\n{lines}");
        let file = self.server.path(&format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        self.server.run(["policy", "apply", file.to_str().unwrap()]).assert_ok();
    }

    #[track_caller]
    pub(super) fn run(&self, policy: &str) -> Value {
        self.server.run(["policy", "run", policy, "--wait", "--json"]).assert_ok().json().unwrap()
    }

    /// The job restores on the client, and what it gives is what is there.
    #[track_caller]
    fn check_restore(&self, image: &str, name: &str) {
        let to = self.client.text("back");
        self.client.run(["restore", image, "--to", &to]).assert_ok();
        same(&self.client.path(name), &self.client.path("back").join(name));
    }
}

#[track_caller]
pub(super) fn same(first: &Path, second: &Path) {
    let differences = Compare::default().trees(first, second).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A tree that takes some seconds at 8 MB/s.
pub(super) fn slow() -> Plan {
    let mut random = Random::new(7);
    small()
        .content("large", Content::random(&mut random, 24_000_000))
        .content("more", Content::random(&mut random, 9_000_000))
}

#[test]
fn a_policy_backs_a_client_up_and_the_client_gets_its_files_back() {
    let site = Site::new();
    site.client.make("src", &Plan::random(11, 200));
    site.policy("home", "src", "");
    let first = site.run("home");
    assert_eq!((&first["status"], &first["attempts"]), (&Value::from(0), &Value::from(1)), "{first}");
    let image = first["image"].as_str().unwrap();
    site.check_restore(image, "src");

    let second = site.run("home");
    // Files that were written just before the first may be read again; nothing of them is sent.
    assert!(second["bytes_sent"].as_u64().unwrap() < 200_000, "nothing has changed: {second}");
    assert_ne!(second["image"], first["image"]);
    let images = site.client.words("images --json").assert_ok().json().unwrap();
    assert_eq!(images.as_array().unwrap().len(), 2);
    let jobs = site.server.words("jobs --json").assert_ok().json().unwrap();
    // Two backups and a restore.
    assert_eq!(jobs.as_array().unwrap().len(), 3, "{jobs}");
    assert!(jobs.as_array().unwrap().iter().all(|job| job["status"] == 0));
}

#[test]
fn a_client_backs_itself_up_by_a_job_of_the_site() {
    let site = Site::new();
    site.client.make("src", &small());
    let job = site.client.run(["backup", &site.client.text("src"), "--wait", "--json"]).assert_ok();
    let job = job.json().unwrap();
    assert_eq!((&job["status"], &job["policy"]), (&Value::from(0), &Value::Null));
    site.check_restore(job["image"].as_str().unwrap(), "src");
    // Without --wait it goes on by itself.
    let begun = site.client.run(["backup", &site.client.text("src"), "--json"]).assert_ok().json().unwrap();
    let watched = site.client.run(["jobs", "watch", begun["job"].as_str().unwrap(), "--json"]).assert_ok();
    assert_eq!(watched.json().unwrap()["status"], 0);
}

#[test]
fn a_client_that_is_killed_goes_on_with_the_same_job() {
    let mut site = Site::new();
    site.client.make("src", &slow());
    site.policy("slow", "src", "bandwidth = \"8MB/s\"\n");
    let mut waiting = site.server.program.start(["policy", "run", "slow", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    site.web1.take().unwrap().kill();
    site.start_client();
    let outcome = waiting.wait().unwrap().assert_ok();
    assert!(outcome.text().contains("status 0"), "{outcome}");
    check_one_job(&site, 2);
}

#[test]
fn a_primary_server_that_is_killed_takes_the_same_job_up_again() {
    let mut site = Site::new();
    site.client.make("src", &slow());
    site.policy("slow", "src", "bandwidth = \"8MB/s\"\n");
    let mut waiting = site.server.program.start(["policy", "run", "slow", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    site.primary.take().unwrap().kill();
    site.start_primary();
    // The command that waits survives it too.
    let outcome = waiting.wait().unwrap().assert_ok();
    assert!(outcome.text().contains("status 0"), "{outcome}");
    check_one_job(&site, 2);
}

#[test]
fn a_large_file_is_read_on_from_its_last_checkpoint_after_a_kill() {
    const LARGE: u64 = 48_000_000;
    let mut site = Site::new();
    let plan = Plan::new().content("large", Content::random(&mut Random::new(7), LARGE));
    site.client.make("src", &plan);
    // A ctime that is young when the file is opened says nothing about later changes.
    let large = site.client.path("src/large");
    site.wait_until("hosts --json", |_| {
        large.metadata().unwrap().modified().unwrap().elapsed().unwrap() > YOUNG
    });
    let lines = "bandwidth = \"8MB/s\"\ncheckpoint = { bytes = \"4MiB\" }\n";
    site.policy("slow", "src", lines);
    let waiting = site.server.program.start(["policy", "run", "slow", "--wait", "--json"]).unwrap();
    site.wait_until("jobs --json", |jobs| jobs[0]["checkpoints"].as_u64() >= Some(3));
    site.web1.take().unwrap().kill();
    site.start_client();
    let job = waiting.wait().unwrap().assert_ok().json().unwrap();
    let read = job["this_attempt"]["bytes_read"].as_u64().unwrap();
    // Three checkpoints lie 4 MiB apart, and one more may have been under way.
    assert!((1..LARGE - 8_000_000).contains(&read), "{job}");
    check_one_job(&site, 2);
}

/// The program's margin for ctimes, and a little.
const YOUNG: std::time::Duration = std::time::Duration::from_millis(3_100);

/// One job, so many attempts at most, one image, and that is whole.
#[track_caller]
fn check_one_job(site: &Site, attempts: u64) {
    let jobs = site.server.words("jobs --json").assert_ok().json().unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    let job = &jobs[0];
    assert_eq!(job["status"], 0, "{job}");
    assert!(job["attempts"].as_u64().unwrap() <= attempts, "{job}");
    let images = site.server.words("images --json").assert_ok().json().unwrap();
    assert_eq!(images.as_array().unwrap().len(), 1, "{images}");
    assert_eq!(images[0]["id"], job["image"]);
    site.check_restore(job["image"].as_str().unwrap(), "src");
}

#[test]
fn a_job_that_is_cancelled_ends_though_its_client_is_gone() {
    let mut site = Site::new();
    site.client.make("src", &slow());
    site.policy("slow", "src", "bandwidth = \"1MB/s\"\n");
    let mut waiting = site.server.program.start(["policy", "run", "slow", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    site.web1.take().unwrap().kill();
    let jobs = site.server.words("jobs --active --json").assert_ok().json().unwrap();
    let id = jobs[0]["id"].as_str().unwrap();
    let cancelled = site.server.run(["jobs", "cancel", id, "--json"]).assert_ok().json().unwrap();
    assert_eq!((&cancelled["state"], &cancelled["status"]), (&Value::from("done"), &Value::from(150)));
    let outcome = waiting.wait().unwrap().assert_code(3);
    assert!(outcome.text().contains("status 150"), "{outcome}");
    // It stays so when the client is there again.
    site.start_client();
    let job = site.server.run(["jobs", "show", id, "--json"]).assert_ok().json().unwrap();
    assert_eq!((&job["status"], &job["image"]), (&Value::from(150), &Value::Null));
}

#[test]
fn what_is_not_there_ends_a_job_at_once_with_a_cause() {
    let site = Site::new();
    site.policy("home", "nowhere", "");
    let outcome = site.server.run(["policy", "run", "home", "--wait", "--json"]).assert_code(3);
    let job = outcome.json().unwrap();
    assert_eq!((&job["status"], &job["attempts"]), (&Value::from(71), &Value::from(1)), "{job}");
}

#[test]
fn a_token_is_good_once() {
    let site = Site::new();
    let token = site.token();
    // The host is enrolled already: its own directory says so before the token is shown to anybody.
    let outcome = site.enroll(&token).assert_code(3);
    assert!(outcome.stderr.contains("already"), "{outcome}");
    let other = Host::new();
    let primary = format!("127.0.0.1:{}", site.port);
    let enroll = |host: &Host, name: &str| {
        host.run(["client", "enroll", "--primary", &primary, "--token", &token, "--name", name])
    };
    enroll(&other, "web2").assert_ok();
    let outcome = enroll(&Host::new(), "web3").assert_code(3);
    assert!(outcome.stderr.contains("token"), "{outcome}");
}

#[test]
fn a_client_sees_and_restores_what_is_its_own_and_nothing_else() {
    let site = Site::new();
    site.client.make("src", &small());
    site.policy("home", "src", "");
    let image = site.run("home")["image"].as_str().unwrap().to_owned();
    let other = Host::new();
    let (primary, token) = (format!("127.0.0.1:{}", site.port), site.token());
    let enroll = ["client", "enroll", "--primary", &primary, "--token", &token, "--name", "web2"];
    other.run(enroll).assert_ok();
    let _running = Role::start(&other.program, "client run");
    let images = other.words("images --json").assert_ok().json().unwrap();
    assert_eq!(images, Value::Array(Vec::new()));
    let jobs = other.words("jobs --json").assert_ok().json().unwrap();
    assert_eq!(jobs, Value::Array(Vec::new()));
    let outcome = other.run(["restore", &image, "--to", &other.text("back")]).assert_code(3);
    assert!(outcome.stderr.contains("no image"), "{outcome}");
    for forbidden in ["token create", "hosts", "policy list", "policy run home"] {
        let outcome = other.words(forbidden).assert_code(3);
        assert!(outcome.stderr.contains("only an operator"), "{forbidden}: {outcome}");
    }
}

#[test]
fn the_latest_image_is_that_of_the_client_that_it_is_restored_to() {
    let site = Site::new();
    site.client.make("src", &small());
    site.policy("home", "src", "");
    let mine = site.run("home")["image"].as_str().unwrap().to_owned();
    let other = Host::new();
    other.make("src", &Plan::random(3, 20));
    let (primary, token) = (format!("127.0.0.1:{}", site.port), site.token());
    other.run(["client", "enroll", "--primary", &primary, "--token", &token, "--name", "web2"]).assert_ok();
    let _running = Role::start(&other.program, "client run");
    site.wait_until("hosts --json", |hosts| {
        hosts.as_array().unwrap().iter().any(|host| host["name"] == "web2" && host["attending"] == true)
    });
    let theirs = other.run(["backup", &other.text("src"), "--wait", "--json"]).assert_ok().json().unwrap();
    let theirs = theirs["image"].as_str().unwrap().to_owned();
    let restore = |to: &str, more: &[&str]| {
        let to = site.client.text(to);
        let words = ["restore", "latest", "--client", "web1", "--to", &to, "--json"];
        let outcome = site.server.run(words.iter().chain(more)).assert_ok();
        outcome.json().unwrap()["work"]["what"]["restore"]["image"].clone()
    };
    assert_eq!(restore("mine", &[]), Value::from(mine));
    same(&site.client.path("src"), &site.client.path("mine/src"));
    assert_eq!(restore("theirs", &["--from", "web2"]), Value::from(theirs));
    same(&other.path("src"), &site.client.path("theirs/src"));
}

#[test]
fn a_policy_that_names_a_client_that_is_not_there_does_not_end_well() {
    let site = Site::new();
    site.client.make("src", &small());
    let path = site.client.text("src");
    let text = format!("[policy.two]\nclients = [\"web1\", \"web9\"]\npaths = [{path:?}]\n");
    let file = site.server.path("two.toml");
    std::fs::write(&file, text).unwrap();
    site.server.run(["policy", "apply", file.to_str().unwrap()]).assert_ok();
    let outcome = site.server.words("policy run two --wait --json").assert_code(3);
    assert!(outcome.stderr.contains("web9"), "{outcome}");
    assert_eq!(outcome.json().unwrap()["status"], 0, "{outcome}");
}

#[test]
fn images_are_looked_at_over_the_network() {
    let site = Site::new();
    site.client.make("src", &small());
    site.policy("home", "src", "");
    let first = site.run("home")["image"].as_str().unwrap().to_owned();
    std::fs::write(site.client.path("src/new"), "more").unwrap();
    let second = site.run("home")["image"].as_str().unwrap().to_owned();
    for host in [&site.client, &site.server] {
        let src = site.client.text("src");
        let listed = host.run(["ls", "latest", &src, "--json"]).assert_ok().json().unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 4, "{listed}");
        let found = host.run(["find", "new", "--json"]).assert_ok().json().unwrap();
        assert_eq!((found.as_array().unwrap().len(), &found[0]["image"]), (1, &Value::from(second.as_str())));
        let changed = host.run(["diff", &first, "latest:home", "--json"]).assert_code(1).json().unwrap();
        let paths: Vec<_> = changed.as_array().unwrap().iter().map(|change| change["path"].clone()).collect();
        assert!(paths.contains(&Value::from(site.client.text("src/new"))), "{changed}");
        let content = host.run(["cat", "latest", &site.client.text("src/new")]).assert_ok();
        assert_eq!(content.text(), "more");
        let stream = host.run(["restore", &first, "--tar"]).assert_ok();
        assert!(stream.stdout.len() > 100_000, "{} bytes", stream.stdout.len());
    }
    // What was not backed up, and what is nobody's.
    site.client.words("ls latest /nowhere").assert_code(3);
    site.client.words("ls 00000000").assert_code(3);
}

#[test]
fn a_vault_is_freed_while_its_media_server_runs() {
    let site = Site::new();
    site.client.make("src", &slow());
    site.policy("home", "src", "");
    let first = site.run("home")["image"].as_str().unwrap().to_owned();
    std::fs::remove_file(site.client.path("src/large")).unwrap();
    let second = site.run("home")["image"].as_str().unwrap().to_owned();
    check_freeing(&site, &first, &second, "");
    // Again, by a media server of its own.
    let store = Store::new(&site, "store1");
    site.client.make("src2", &slow());
    site.policy("own", "src2", "storage = \"store1\"\n");
    let third = site.run("own")["image"].as_str().unwrap().to_owned();
    std::fs::remove_file(site.client.path("src2/large")).unwrap();
    let fourth = site.run("own")["image"].as_str().unwrap().to_owned();
    check_freeing(&site, &third, &fourth, "--media store1");
    // Clients delete nothing, and what is not there says so.
    let outcome = site.client.run(["forget", &fourth]).assert_code(3);
    assert!(outcome.stderr.contains("only an operator"), "{outcome}");
    site.server.words("cleanup --media nobody").assert_code(3);
    site.server.run(["forget", &first]).assert_code(3);
    drop(store);
    site.wait_until("hosts --json", |hosts| {
        hosts.as_array().unwrap().iter().any(|host| host["name"] == "store1" && host["connected"] == false)
    });
    let outcome = site.server.words("cleanup --media store1").assert_code(3);
    assert!(outcome.stderr.contains("does not attend"), "{outcome}");
}

/// The first goes, and its room with it; the second is still whole.
#[track_caller]
fn check_freeing(site: &Site, first: &str, second: &str, media: &str) {
    let would = site.server.run(["forget", first, "--dry-run", "--json"]).assert_ok().json().unwrap();
    assert_eq!(would["forgotten"][0], first);
    let forgot = site.server.run(["forget", first, "--json"]).assert_ok().json().unwrap();
    assert_eq!(forgot["forgotten"], Value::from(vec![first]));
    let images = site.server.words("images --json").assert_ok().json().unwrap();
    assert!(images.as_array().unwrap().iter().all(|image| image["id"] != first), "{images}");
    let done = site.server.words(&format!("cleanup --grace 0 --json {media}")).assert_ok().json().unwrap();
    let freed = done["deleted"]["bytes"].as_u64().unwrap();
    assert!(freed > 20_000_000, "{done}");
    let to = site.client.text(second);
    site.client.run(["restore", second, "--to", &to]).assert_ok();
}

#[test]
fn settings_are_checked_and_obeyed() {
    let host = Host::new();
    host.words("primary init --site lab").assert_ok();
    let file = host.program.state().join("primary.toml");
    std::fs::write(&file, "listn = [\"127.0.0.1:0\"]\n").unwrap();
    for line in ["config check", "primary run"] {
        let outcome = host.words(line).assert_code(2);
        assert!(outcome.stderr.contains("did you mean `listen`?"), "{line}: {outcome}");
    }
    std::fs::write(&file, "listen = [\"127.0.0.1:0\"]\n").unwrap();
    host.words("config check").assert_ok();
    let mut running = host.program.start(["primary", "run"]).unwrap();
    assert!(running.wait_for(|line| line.contains("listening at 127.0.0.1:")).unwrap());
}

/// A media server of its own. Its port stays the same when it is started again.
pub(super) struct Store {
    host: Host,
    port: u16,
    role: Option<Role>,
}

impl Store {
    pub(super) fn new(site: &Site, name: &str) -> Self {
        let host = Host::new();
        let token = site.server.words("token create --role media").assert_ok().text().trim().to_owned();
        let primary = format!("127.0.0.1:{}", site.port);
        host.run(["media", "enroll", "--primary", &primary, "--token", &token, "--name", name]).assert_ok();
        let (role, port) = Role::listening(&host.program, "media run --listen 127.0.0.1:0");
        let store = Self { host, port, role: Some(role) };
        store.attends(site, name);
        store
    }

    fn attends(&self, site: &Site, name: &str) {
        site.wait_until("hosts --json", |hosts| {
            hosts.as_array().unwrap().iter().any(|host| host["name"] == name && host["attending"] == true)
        });
    }

    fn start(&mut self) {
        let line = format!("media run --listen 127.0.0.1:{}", self.port);
        self.role = Some(Role::start(&self.host.program, &line));
    }
}

#[test]
fn a_media_server_of_its_own_stores_and_gives_out() {
    let site = Site::new();
    let store = Store::new(&site, "store1");
    site.client.make("src", &Plan::random(5, 100));
    // The first that is enrolled is the default.
    site.policy("home", "src", "");
    let job = site.run("home");
    assert_eq!(
        (&job["status"], &job["media"]),
        (&Value::from(0), &Value::from("holdfast://lab/media/store1"))
    );
    let image = job["image"].as_str().unwrap();
    site.check_restore(image, "src");
    let vault = store.host.vault().to_str().unwrap().to_owned();
    let stored = store.host.run(["images", "--json", "--vault", &vault]).assert_ok().json().unwrap();
    assert_eq!(stored[0]["id"], image, "{stored}");
    for host in [&site.client, &site.server] {
        let listed = host.run(["ls", image, "--recursive", "--json"]).assert_ok().json().unwrap();
        assert!(listed.as_array().unwrap().len() > 100);
    }
}

#[test]
fn a_media_server_that_is_killed_takes_the_same_job_up_again() {
    let site = Site::new();
    let mut store = Store::new(&site, "store1");
    site.client.make("src", &slow());
    site.policy("slow", "src", "bandwidth = \"8MB/s\"\nstorage = \"store1\"\n");
    let mut waiting = site.server.program.start(["policy", "run", "slow", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    store.role.take().unwrap().kill();
    store.start();
    let outcome = waiting.wait().unwrap().assert_ok();
    assert!(outcome.text().contains("status 0"), "{outcome}");
    check_one_job(&site, 2);
}

#[test]
fn a_job_goes_on_when_all_hosts_were_killed_and_its_media_server_comes_back_last() {
    let mut site = Site::new();
    let mut store = Store::new(&site, "store1");
    site.client.make("src", &slow());
    site.policy("slow", "src", "bandwidth = \"8MB/s\"\nstorage = \"store1\"\n");
    let mut waiting = site.server.program.start(["policy", "run", "slow", "--wait"]).unwrap();
    assert!(waiting.wait_for(|line| line.contains("transfer")).unwrap());
    for role in [&mut site.primary, &mut site.web1, &mut store.role] {
        role.take().unwrap().kill();
    }
    site.start_primary();
    site.start_client();
    // It is told to begin anew by somebody who does not know yet where the media server listens.
    site.wait_until("jobs --json", |jobs| jobs[0]["attempts"] == 2 && jobs[0]["phase"] == "connect");
    store.start();
    let outcome = waiting.wait().unwrap().assert_ok();
    assert!(outcome.text().contains("status 0"), "{outcome}");
    check_one_job(&site, 2);
}

#[test]
fn a_job_ends_well_though_the_primary_server_is_away_until_after_the_commit() {
    let mut site = Site::new();
    let _store = Store::new(&site, "store1");
    site.client.make("src", &slow());
    // The command after the backup waits until the test says so: by then the image is made.
    let (done, go) = (site.client.text("done"), site.client.text("go"));
    let script = site.client.path("after.sh");
    std::fs::write(&script, format!("#!/bin/sh\necho > {done}\nread line < {go}\n")).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for pipe in [&done, &go] {
        let made = std::process::Command::new("mkfifo").arg(pipe).status().unwrap();
        assert!(made.success());
    }
    let after = format!("storage = \"store1\"\nafter = {{ run = {:?} }}\n", script.to_str().unwrap());
    site.policy("home", "src", &after);
    let waiting = site.server.program.start(["policy", "run", "home", "--wait", "--json"]).unwrap();
    std::fs::read(&done).unwrap();
    site.primary.take().unwrap().kill();
    std::fs::write(&go, "go\n").unwrap();
    site.start_primary();
    let job = waiting.wait().unwrap().assert_ok().json().unwrap();
    assert_eq!((&job["status"], &job["attempts"]), (&Value::from(0), &Value::from(1)), "{job}");
    check_one_job(&site, 1);
}
