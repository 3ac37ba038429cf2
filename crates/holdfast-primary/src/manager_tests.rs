//! The manager with a real catalog and pretended hosts: what is stored, what is sent, whom it believes.

use super::*;
use crate::day_millis;
use crate::serve::Limits;
use crate::site;
use crate::work::{Backup, What};
use holdfast_catalog::{HostSeen, JobRow, PolicyRow};
use holdfast_link::net::enrolled::{Enrolled, StateFiles};
use holdfast_link::net::process::Settings;
use holdfast_proto::services::{self as wire, order::Order as Said, outcome::Kind};
use parking_lot::Mutex;
use std::time::SystemTime;
use tokio::sync::watch;
use tonic::service::Routes;

#[derive(Default)]
struct FakeMedia(Mutex<Vec<String>>);

impl LocalMedia for FakeMedia {
    fn routes(&self) -> Routes {
        Routes::default()
    }

    fn images_made(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn unsettled(&self) -> Result<Vec<wire::Committed>, String> {
        Ok(Vec::new())
    }

    fn settled(&self, job: &JobId) -> Result<(), String> {
        self.0.lock().push(format!("settled {job}"));
        Ok(())
    }

    fn fence(&self, _: &wire::Attempt) -> Result<(), String> {
        self.0.lock().push("fenced".into());
        Ok(())
    }

    fn upkeep(&self, order: &wire::Upkeep) -> wire::Upkept {
        wire::Upkept { id: order.id.clone(), ..wire::Upkept::default() }
    }

    fn holding(&self) -> Result<wire::Holding, String> {
        Ok(wire::Holding { sum: vec![0; 16], ..wire::Holding::default() })
    }

    fn inventory(&self, _: &mut dyn FnMut(wire::Held) -> bool) -> Result<(), String> {
        Ok(())
    }

    fn tidy(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Silent;

impl Notes for Silent {
    fn say(&self, _: &str) {}
}

pub(crate) struct Bench {
    pub(crate) manager: Manager,
    media: Arc<FakeMedia>,
    _state: tempfile::TempDir,
}

const POLICY: &str =
    "[policy.home]\nclients = [\"web1\", \"web2\"]\npaths = [\"/srv\"]\nschedule = [{ at = \"00:00\" }]\n";

impl Bench {
    pub(crate) async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let here = site::init(state.path(), "lab", SystemTime::now()).unwrap();
        let (enrolled, _) =
            Enrolled::start(&StateFiles::new(state.path()), "test", Settings::default()).unwrap();
        let office =
            site::open_office(state.path(), Arc::clone(&enrolled.revocations), SystemTime::now()).unwrap();
        let catalog = Catalog::open(&state.path().join("catalog.db")).await.unwrap();
        for name in ["web1", "web2"] {
            let seen = HostSeen { role: "client".into(), name: name.into(), at: 1, ..HostSeen::default() };
            catalog.saw_host(&seen).await.unwrap();
        }
        let media = Arc::new(FakeMedia::default());
        let manager = Manager {
            catalog,
            board: Arc::default(),
            orders: Orders::new(Arc::new(office), "lab"),
            media: Arc::clone(&media) as Arc<dyn LocalMedia>,
            here,
            link: Arc::clone(&enrolled.link),
            clock: Clock::of_system(),
            begun_day: day_millis(),
            incarnation: 1,
            jobs: BTreeMap::new(),
            hosts: HashMap::new(),
            inventories: HashMap::new(),
            policies: BTreeMap::new(),
            marks: BTreeMap::new(),
            limits: Limits::default(),
            forgot: None,
            plan: NextPlan::default(),
            notes: Arc::new(Silent),
        };
        Self { manager, media, _state: state }
    }

    /// A client attends. What it is told comes out of the receiver.
    async fn attends(&mut self, name: &str, running: Vec<wire::Attempt>) -> mpsc::Receiver<wire::Order> {
        let (orders, told) = mpsc::channel(16);
        let host = self.manager.client(name);
        let present = wire::Present { program: "test".into(), running };
        self.manager.attends(host, 1, present, orders).await.unwrap();
        told
    }

    pub(crate) async fn job(&mut self, client: &str) -> JobId {
        self.job_at(client, None).await
    }

    async fn job_at(&mut self, client: &str, media: Option<Identity>) -> JobId {
        let backup: Backup = serde_json::from_str(r#"{"paths":["/srv"]}"#).unwrap();
        let wish = Wish {
            client: client.into(),
            policy: None,
            label: "x".into(),
            priority: 0,
            work: Work::asked(What::Backup(backup)),
            media,
            why: "a test".into(),
            mark: None,
        };
        self.manager.make(vec![wish]).await.unwrap()[0]
    }

    async fn report(&mut self, name: &str, report: wire::report::Report) {
        let host = self.manager.client(name);
        self.manager.report(&host, 1, report).await.unwrap();
    }

    pub(crate) async fn row(&self, id: JobId) -> JobRow {
        self.manager.catalog.job(&id.to_string()).await.unwrap().unwrap()
    }
}

fn started(order: Option<wire::Order>) -> wire::Attempt {
    let start = order.and_then(|order| match order.order {
        Some(Said::Start(start)) => start.attempt,
        _ => None,
    });
    start.expect("an attempt is ordered")
}

fn ended(attempt: &wire::Attempt, kind: Kind) -> wire::report::Report {
    let outcome = wire::Outcome { kind: kind as i32, cause: "a cause".into(), ..wire::Outcome::default() };
    wire::report::Report::Ended(wire::Ended {
        attempt: Some(attempt.clone()),
        outcome: Some(outcome),
        ..wire::Ended::default()
    })
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once_for_each_client() {
    let mut bench = Bench::new().await;
    let policies = holdfast_jobs::policy::parse(POLICY, &crate::plan::zone).unwrap();
    let row = PolicyRow { name: "home".into(), text: POLICY.into(), applied: 1, by: String::new() };
    bench.manager.catalog.put_policies(&[row]).await.unwrap();
    bench.manager.policies = policies;
    // A policy that is new makes nothing up for the time before it.
    bench.manager.look_around().await.unwrap();
    assert!(bench.manager.jobs.is_empty());
    let before = day_millis() - 3 * 24 * 3_600_000;
    bench.manager.catalog.set_mark("home", crate::plan::MARK, before).await.unwrap();
    bench.manager.load().await.unwrap();
    for _ in 0..3 {
        bench.manager.look_around().await.unwrap();
        let mut clients: Vec<_> = bench.manager.jobs.values().map(|live| live.row.client.clone()).collect();
        clients.sort();
        assert_eq!(clients, ["web1", "web2"]);
    }
}

#[tokio::test]
async fn a_job_waits_for_its_client_and_is_ordered_once_it_attends() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    bench.manager.look_around().await.unwrap();
    assert_eq!(bench.row(id).await.state, "queued");
    assert!(bench.manager.board.job(&id.to_string()).unwrap().cause.contains("to attend"));
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    let row = bench.row(id).await;
    assert_eq!((row.state.as_str(), row.cause.as_str()), ("active", ""));
    // It does not run it after all, and has not said that it took it up: it is told again, in the same attempt.
    drop(told);
    let mut told = bench.attends("web1", Vec::new()).await;
    assert_eq!(started(told.recv().await), attempt);
    // It had taken it up, and has lost it: another attempt.
    bench
        .report("web1", wire::report::Report::Accepted(wire::Accepted { attempt: Some(attempt.clone()) }))
        .await;
    let mut told = bench.attends("web1", Vec::new()).await;
    let second = started(told.recv().await);
    assert!(second.epoch.unwrap().counter > attempt.epoch.unwrap().counter);
    assert_eq!(bench.row(id).await.attempts, 2);
}

#[tokio::test]
async fn a_client_is_told_again_where_to_store_when_the_media_server_attends() {
    let mut bench = Bench::new().await;
    let store = Identity::new("lab", Role::Media, "store1").unwrap();
    let attends = async |bench: &mut Bench, number: u64| {
        let (orders, told) = mpsc::channel(16);
        let present = wire::Present { program: "test".into(), running: Vec::new() };
        bench.manager.attends(store.clone(), number, present, orders).await.unwrap();
        told
    };
    let _told = attends(&mut bench, 1).await;
    let mut to_client = bench.attends("web1", Vec::new()).await;
    let id = bench.job_at("web1", Some(store.clone())).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(to_client.recv().await);
    let accepted = wire::report::Report::Accepted(wire::Accepted { attempt: Some(attempt.clone()) });
    bench.report("web1", accepted).await;
    // Another process of it, perhaps elsewhere; then the same, whose connection was away.
    let _told = attends(&mut bench, 2).await;
    assert_eq!(started(to_client.recv().await), attempt);
    bench.manager.reach(&store, 2, false).await.unwrap();
    assert!(to_client.try_recv().is_err());
    bench.manager.reach(&store, 2, true).await.unwrap();
    assert_eq!(started(to_client.recv().await), attempt);
    assert_eq!(bench.row(id).await.attempts, 1);
}

#[tokio::test]
async fn an_end_is_settled_when_it_is_stored_and_said_again_changes_nothing() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    for _ in 0..2 {
        bench.report("web1", ended(&attempt, Kind::NoFiles)).await;
        let order = told.recv().await.and_then(|order| order.order);
        assert!(matches!(order, Some(Said::Settled(_))), "{order:?}");
        let row = bench.row(id).await;
        assert_eq!((row.state.as_str(), row.status, row.cause.as_str()), ("done", Some(71), "a cause"));
    }
    let events = bench.manager.catalog.events(&id.to_string(), 0, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "done").count(), 1);
}

#[tokio::test]
async fn nobody_speaks_for_another_host() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    let _other = bench.attends("web2", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    bench.report("web2", ended(&attempt, Kind::Done)).await;
    assert_eq!(bench.row(id).await.state, "active");
    // A media server that the job is not bound to.
    let stranger = Identity::new("lab", Role::Media, "other").unwrap();
    let image = wire::Image {
        image: id.image_id().0.to_vec(),
        job: id.as_bytes().to_vec(),
        ..wire::Image::default()
    };
    let committed = wire::Committed { attempt: Some(attempt.clone()), image: Some(image.clone()) };
    bench.manager.committed(&stranger, vec![committed.clone()]).await.unwrap();
    assert_eq!(bench.row(id).await.image, None);
    // The one that it is bound to: its image is known, and it is told.
    let here = bench.manager.here.clone();
    bench.manager.committed(&here, vec![committed]).await.unwrap();
    assert_eq!(bench.row(id).await.image, Some(id.image_id().to_string()));
    assert_eq!(*bench.media.0.lock(), [format!("settled {id}")]);
}

#[tokio::test]
async fn what_cannot_be_stored_has_not_happened() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.catalog.close().await;
    assert!(bench.manager.look_around().await.is_err());
    assert!(told.try_recv().is_err(), "nothing is ordered");
    assert_eq!(bench.manager.jobs[&id].machine.state(), &State::Queued);
}

#[tokio::test]
async fn a_cancelled_attempt_is_fenced_and_told_to_whoever_still_runs_it() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    bench.manager.on(id, Event::Cancel, None).await.unwrap();
    assert_eq!(bench.row(id).await.status, Some(150));
    assert_eq!(*bench.media.0.lock(), ["fenced"]);
    assert!(matches!(told.recv().await.unwrap().order, Some(Said::Cancel(_))));
    // It was away, and comes back with it.
    let mut told = bench.attends("web1", vec![attempt]).await;
    assert!(matches!(told.recv().await.unwrap().order, Some(Said::Cancel(_))));
}

#[tokio::test]
async fn a_client_is_backed_up_once_at_a_time() {
    let mut bench = Bench::new().await;
    let (first, second) = (bench.job("web1").await, bench.job("web1").await);
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    let (done, waits) = if attempt.job == first.as_bytes() { (first, second) } else { (second, first) };
    let shown = bench.manager.board.job(&waits.to_string()).unwrap();
    assert_eq!((shown.state.as_str(), shown.cause.contains("another backup of web1")), ("queued", true));
    bench.report("web1", ended(&attempt, Kind::NoFiles)).await;
    bench.manager.look_around().await.unwrap();
    assert_eq!((bench.row(done).await.state, bench.row(waits).await.state), ("done".into(), "active".into()));
}

#[tokio::test]
async fn a_host_whose_report_cannot_be_stored_is_to_attend_anew() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    let catalog = bench.manager.catalog.clone();
    catalog.close().await;
    let host = bench.manager.client("web1");
    assert!(bench.manager.report(&host, 1, ended(&attempt, Kind::NoFiles)).await.is_err());
    // The way for orders is closed: that ends the attendance.
    assert!(told.recv().await.is_none());
    bench.manager.catalog = Catalog::open(&bench._state.path().join("catalog.db")).await.unwrap();
    // What it says in the old one is not heard; in the next one it is.
    bench.report("web1", ended(&attempt, Kind::NoFiles)).await;
    assert_eq!(bench.row(id).await.state, "active");
    let mut told = bench.attends("web1", vec![attempt.clone()]).await;
    bench.report("web1", ended(&attempt, Kind::NoFiles)).await;
    assert!(matches!(told.recv().await.unwrap().order, Some(Said::Settled(_))));
    assert_eq!(bench.row(id).await.status, Some(71));
}

#[tokio::test]
async fn that_a_host_is_away_is_seen_though_nobody_told() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let _told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let without = |bench: &Bench| match bench.manager.jobs[&id].machine.state() {
        State::Active(active) => active.without[0],
        state => panic!("{state:?}"),
    };
    assert_eq!(without(&bench), None);
    let host = bench.manager.client("web1");
    bench.manager.hosts.remove(&host);
    bench.manager.look_around().await.unwrap();
    assert!(without(&bench).is_some());
}

#[tokio::test]
async fn no_job_begins_on_a_host_that_is_out_of_reach() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    let host = bench.manager.client("web1");
    bench.manager.reach(&host, 1, false).await.unwrap();
    bench.manager.look_around().await.unwrap();
    assert_eq!(bench.row(id).await.state, "queued");
    bench.manager.reach(&host, 1, true).await.unwrap();
    bench.manager.look_around().await.unwrap();
    started(told.recv().await);
}

#[tokio::test]
async fn nights_do_not_pile_up_for_a_client_that_is_away() {
    let mut bench = Bench::new().await;
    let row = PolicyRow { name: "home".into(), text: POLICY.into(), applied: 1, by: String::new() };
    bench.manager.catalog.put_policies(&[row]).await.unwrap();
    let policies = holdfast_jobs::policy::parse(POLICY, &crate::plan::zone).unwrap();
    bench.manager.take_policies(policies.clone()).await.unwrap();
    let key = ("home".to_owned(), crate::plan::MARK.to_owned());
    for _ in 0..3 {
        bench.manager.marks.insert(key.clone(), day_millis() - 3 * 24 * 3_600_000);
        bench.manager.plan = NextPlan::default();
        bench.manager.look_around().await.unwrap();
        assert_eq!(bench.manager.jobs.len(), 2, "one for each client");
    }
    // A schedule that is changed makes nothing up for the time before.
    bench.manager.jobs.clear();
    bench.manager.marks.insert(key.clone(), day_millis() - 3 * 24 * 3_600_000);
    let changed = POLICY.replace("at = \"00:00\"", "at = \"00:01\"");
    let changed = holdfast_jobs::policy::parse(&changed, &crate::plan::zone).unwrap();
    bench.manager.take_policies(changed).await.unwrap();
    bench.manager.look_around().await.unwrap();
    assert!(bench.manager.jobs.is_empty());
    // And one that is deleted leaves nothing behind.
    bench.manager.take_policies(BTreeMap::new()).await.unwrap();
    assert!(bench.manager.marks.is_empty());
}

#[tokio::test]
async fn a_client_cannot_say_that_a_backup_is_done_without_its_image_nor_name_it_for_another() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    bench.report("web1", ended(&attempt, Kind::Done)).await;
    let row = bench.row(id).await;
    assert!(row.status != Some(0) && row.image.is_none(), "{row:?}");
    let image = wire::Image {
        image: id.image_id().0.to_vec(),
        job: id.as_bytes().to_vec(),
        host: "web2".into(),
        name: "\u{1b}]52;".into(),
        started_millis: u64::MAX >> 1,
        ..wire::Image::default()
    };
    let mut report = ended(&attempt, Kind::Done);
    if let wire::report::Report::Ended(ended) = &mut report {
        ended.image = Some(image);
    }
    bench.report("web1", report).await;
    let row = bench.manager.catalog.image(&id.image_id().to_string()).await.unwrap().unwrap();
    assert_eq!((row.client.as_str(), row.name.as_str(), row.started), ("web1", "x", id.created_millis()));
}

#[tokio::test]
async fn an_image_that_is_told_again_is_settled_and_the_job_is_not_stored_again() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let attempt = started(told.recv().await);
    let image =
        wire::Image { image: id.image_id().0.to_vec(), host: "web1".into(), ..wire::Image::default() };
    let mut report = ended(&attempt, Kind::Done);
    if let wire::report::Report::Ended(ended) = &mut report {
        ended.image = Some(image.clone());
    }
    let committed = wire::Committed { attempt: Some(attempt), image: Some(image) };
    let here = bench.manager.here.clone();
    bench.manager.committed(&here, vec![committed.clone()]).await.unwrap();
    bench.report("web1", report).await;
    let row = bench.row(id).await;
    assert_eq!((row.state.as_str(), row.status), ("done", Some(0)));
    for _ in 0..3 {
        bench.manager.committed(&here, vec![committed.clone()]).await.unwrap();
    }
    // Its version would be another one.
    assert_eq!(bench.row(id).await, row);
    assert_eq!(bench.media.0.lock().len(), 4, "each is settled");
}

#[tokio::test]
async fn jobs_of_one_wish_differ_in_the_form_that_lists_show() {
    let mut bench = Bench::new().await;
    let backup: Backup = serde_json::from_str(r#"{"paths":["/srv"]}"#).unwrap();
    let wish = |_| Wish {
        client: "web1".into(),
        policy: None,
        label: "x".into(),
        priority: 0,
        work: Work::asked(What::Backup(backup.clone())),
        media: None,
        why: "a test".into(),
        mark: None,
    };
    let made = bench.manager.make((0..100).map(wish).collect()).await.unwrap();
    let short: std::collections::HashSet<String> =
        made.iter().map(|id| id.to_string()[..18].to_owned()).collect();
    assert_eq!(short.len(), 100);
}

#[tokio::test]
async fn a_job_tells_of_the_new_process_of_the_primary_server_and_of_hosts_that_were_away() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    drop(told);
    bench.manager.jobs.clear();
    bench.manager.load().await.unwrap();
    let events = bench.manager.catalog.events(&id.to_string(), 0, 100).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.kind.as_str(), last.text.contains("another process")), ("taken-up", true));
    // The client is not there: after a while that is an outage, until it is.
    let now = Now { run_millis: bench.manager.now().run_millis + 20_000, day_millis: 50_000 };
    let mut live = bench.manager.jobs.remove(&id).unwrap();
    let before = live.machine.clone();
    let actions = live.machine.on(Event::Tick, now);
    let [Action::Note(note)] = &actions[..] else { panic!("{actions:?}") };
    note_outage(&mut live.progress, note, &before, now);
    let outage = live.progress.outages[0].clone();
    assert!(outage.since <= 30_000 && outage.until.is_none() && outage.cause.contains("the client"));
    live.progress.goes_on(60_000);
    assert_eq!(live.progress.outages[0].until, Some(60_000));
}

#[tokio::test]
async fn a_job_that_stood_still_is_shown_as_what_it_is_when_it_is_taken_up() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let _told = bench.attends("web1", Vec::new()).await;
    bench.manager.look_around().await.unwrap();
    let row = bench.row(id).await;
    let stalled =
        JobRow { state: "stalled".into(), cause: "nothing moves".into(), version: row.version + 1, ..row };
    bench.manager.catalog.store_job(&stalled, &[]).await.unwrap();
    bench.manager.jobs.clear();
    bench.manager.load().await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state.as_str(), row.cause.as_str()), ("active", ""));
}

#[tokio::test]
async fn no_process_shows_a_version_of_a_waiting_job_that_one_before_has_shown() {
    let mut bench = Bench::new().await;
    let id = bench.job("web1").await;
    let mut seen = 0;
    for _ in 0..3 {
        bench.manager.jobs.clear();
        bench.manager.load().await.unwrap();
        assert!(bench.manager.jobs[&id].row.version > seen);
        bench.manager.look_around().await.unwrap();
        seen = bench.manager.jobs[&id].row.version;
    }
}
