//! Streams at once: clients that each send a tree to one media server, which has a process of its own, and then get it back, all
//! at the same time. What it needs of memory and processors.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use holdfast_testkit::lab::Lab;
use holdfast_testkit::{Compare, Content, Plan};

use super::super::case::Report;
use super::super::hosts;
use super::super::runner::side_by_side;
use super::figures::say;
use super::options::Options;
use super::site::{Member, Role, SOON, Site};
use super::{many, verdict};

const FORGET: Duration = Duration::from_secs(3_600);
/// A client's tree: bytes that do not compress.
const FILES: u64 = 1_000;
const FILE_BYTES: u64 = 300_000;
/// The media server.
const STORE: &str = "store1";
/// The target.
const MEDIA_MAX: u64 = 300 << 20;

/// A client and its network; its process goes first.
struct Client {
    member: Member,
    /// Kept until the process is gone.
    _lab: Lab,
    tree: PathBuf,
}

pub(super) fn play(options: &Options, program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let base = Lab::create(FORGET)?;
    let site = Site::new(program, dir)?;
    let mut primary = Member::primary();
    primary.start(&site, &base)?;
    let mut media = Member::new(STORE, Role::Media);
    site.enrol_as(Role::Media, &base, STORE, &site.token_for(Role::Media, 1)?)?;
    media.start(&site, &base)?;
    let mut clients = join(options, &site, &base)?;
    let trees = format!("{} of {} each", clients.len(), hosts::bytes(Some(FILES * FILE_BYTES)));
    let names: Vec<String> = clients.iter().map(|client| client.member.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (what, more) in [("backups", &[][..]), ("the same again, every file read", &["--rehash"])] {
        println!("  {what}: {trees}");
        let jobs = many::round(&site, &mut primary, &names, more)?;
        verdict::figures(&jobs);
        many::all_good(&jobs, clients.len(), report);
        say("the media server", many::shown(&media.usage()?));
    }
    restore(&site, &clients, report)?;
    say("the media server", many::shown(&media.usage()?));
    clients.iter_mut().try_for_each(|client| client.member.end())?;
    media.end()?;
    primary.end()?;
    say("the media server in all", media.account.shown());
    let peak = media.account.memory_peak;
    report.must(peak <= MEDIA_MAX, || format!("the media server needed {}", hosts::bytes(Some(peak))));
    Ok(())
}

fn join(options: &Options, site: &Site, base: &Lab) -> Result<Vec<Client>> {
    let token = site.token(usize::from(options.streams))?;
    let one = |number: u8| -> Result<Client> {
        let name = format!("client{number}");
        let lab = base.beside(number, FORGET)?;
        site.enrol(&lab, &name, &token)?;
        let tree = site.dir.join("trees").join(&name);
        std::fs::create_dir_all(&tree)?;
        let mut plan = Plan::new();
        for file in 0..FILES {
            let seed = (u64::from(number) << 32) + file;
            plan = plan.content(format!("{file:04}"), Content::Noise { seed, length: FILE_BYTES });
        }
        plan.create(&tree).with_context(|| format!("making {}", tree.display()))?;
        let mut member = Member::client(&name);
        member.start(site, &lab)?;
        Ok(Client { member, _lab: lab, tree })
    };
    let clients: Vec<Client> = (1..=options.streams).map(one).collect::<Result<_>>()?;
    site.wait_attending(clients.len(), SOON)?;
    let policies = clients.iter().map(|client| {
        let (name, tree) = (&client.member.name, client.tree.display());
        format!("[policy.{name}]\nclients = [\"{name}\"]\npaths = [\"{tree}\"]\nstorage = \"{STORE}\"\n")
    });
    site.apply(&policies.collect::<String>())?;
    Ok(clients)
}

/// All get their latest image back at once.
fn restore(site: &Site, clients: &[Client], report: &mut Report) -> Result<()> {
    let began = Instant::now();
    let names: Vec<&str> = clients.iter().map(|client| client.member.name.as_str()).collect();
    let restored = side_by_side(names, clients.len(), |name| {
        let to = site.dir.join(format!("back-{name}"));
        let to_text = to.display().to_string();
        let words = ["restore", "latest", "--client", name, "--to", &to_text, "--quiet"];
        site.ask(&words)?.good().with_context(|| format!("restoring {name}"))?;
        Ok(to)
    });
    say("restores at once", format!("{} in {:.1} s", clients.len(), began.elapsed().as_secs_f64()));
    let restored: Vec<PathBuf> = restored.into_iter().collect::<Result<_>>()?;
    for (client, to) in clients.iter().zip(restored) {
        let to = to.join(client.tree.file_name().context("the tree has a name")?);
        let differences = Compare::default().trees(&client.tree, &to)?;
        report.must(differences.is_empty(), || {
            format!("{} differences: {:?}", differences.len(), differences.first())
        });
    }
    Ok(())
}
