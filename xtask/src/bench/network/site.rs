//! Holdfast as a site: a primary server with its media server, and an enrolled client, each a process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::files::text;
use super::super::measure::Task;
use super::super::rounds::Step;
use super::daemon::Daemon;
use super::service::{Service, Setting};

const CLIENT: &str = "client";
const POLICY: &str = "bench";

/// The site.
pub(super) struct Site {
    program: String,
    dir: PathBuf,
    source: PathBuf,
    target: PathBuf,
    daemons: Vec<Daemon>,
}

#[derive(Clone, Copy)]
enum Role {
    Primary,
    Client,
}

impl Site {
    /// Makes the site, runs its roles, waits until the client attends, and applies the policy.
    pub(super) fn start(holdfast: &Path, setting: &Setting<'_>) -> Result<Self> {
        let (source, target) = (setting.source.to_owned(), setting.target.to_owned());
        let mut site =
            Self { program: text(holdfast), dir: setting.dir.clone(), source, target, daemons: vec![] };
        for role in [Role::Primary, Role::Client] {
            std::fs::create_dir_all(site.state(role))?;
        }
        setting.ask(&site.task(Role::Primary, &["primary", "init", "--site", "bench"]))?;
        let run = site.task(Role::Primary, &["primary", "run", "--listen", "127.0.0.1:0"]);
        let mut primary = Daemon::start("primary", &run, &setting.dir)?;
        let address = primary.says("listening at ")?;
        primary.says("is ready")?;
        site.daemons.push(primary);
        site.join(setting, &address)?;
        let file = setting.dir.join("policy.toml");
        std::fs::write(&file, policy(&text(setting.source))?)?;
        setting.ask(&site.task(Role::Primary, &["policy", "apply", &text(&file)]))?;
        Ok(site)
    }

    fn join(&mut self, setting: &Setting<'_>, address: &str) -> Result<()> {
        let token = setting.ask(&self.task(Role::Primary, &["token", "create"]))?;
        let token = token.lines().next_back().unwrap_or_default().trim();
        let enroll = ["client", "enroll", "--primary", address, "--token", token, "--name", CLIENT];
        setting.ask(&self.task(Role::Client, &enroll))?;
        let run = self.task(Role::Client, &["client", "run"]);
        let mut client = Daemon::start("client", &run, &setting.dir)?;
        client.says("is ready")?;
        let hosts = self.task(Role::Primary, &["hosts", "--json"]);
        client.until("its attendance", || Ok(attends(&setting.ask(&hosts)?).then_some(())))?;
        self.daemons.push(client);
        Ok(())
    }

    fn state(&self, role: Role) -> PathBuf {
        self.dir.join(match role {
            Role::Primary => "primary",
            Role::Client => "client",
        })
    }

    fn task(&self, role: Role, words: &[&str]) -> Task {
        let mut task = Task::new(&self.program, words);
        task.environment.push(("HOLDFAST_STATE_DIR", text(&self.state(role))));
        task
    }
}

impl Service for Site {
    fn daemons(&mut self) -> &mut [Daemon] {
        &mut self.daemons
    }

    fn command(&mut self, step: Step) -> Result<Task> {
        Ok(match step {
            Step::Restore => {
                self.task(Role::Client, &["restore", "latest", "--to", &text(&self.target), "--json"])
            }
            _ => self.task(Role::Primary, &["policy", "run", POLICY, "--wait", "--json"]),
        })
    }

    fn vault(&self) -> PathBuf {
        self.state(Role::Primary).join("vault")
    }

    fn contents(&self) -> PathBuf {
        self.vault().join("packs")
    }

    fn restored(&self, target: &Path, _source: &Path) -> PathBuf {
        target.join(self.source.file_name().unwrap_or_default())
    }
}

/// The policy's file. A text of JSON is a text of TOML.
fn policy(source: &str) -> Result<String> {
    let path = serde_json::to_string(source).context("the path of the source")?;
    Ok(format!("[policy.{POLICY}]\nclients = [\"{CLIENT}\"]\npaths = [{path}]\n"))
}

/// Whether the client is among the hosts that attend.
fn attends(hosts: &str) -> bool {
    let hosts: Value =
        hosts.lines().next_back().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
    let is_there = |host: &Value| host["name"] == CLIENT && host["attending"] == true;
    hosts.as_array().is_some_and(|hosts| hosts.iter().any(is_there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_hold_any_path() {
        let text = policy("/a \"b\"").unwrap();
        assert_eq!(text, "[policy.bench]\nclients = [\"client\"]\npaths = [\"/a \\\"b\\\"\"]\n");
    }

    #[test]
    fn only_a_client_that_attends_is_there() {
        assert!(attends("note\n[{\"name\":\"client\",\"attending\":true}]\n"));
        assert!(!attends(
            "[{\"name\":\"client\",\"attending\":false},{\"name\":\"x\",\"attending\":true}]\n"
        ));
        assert!(!attends("") && !attends("{}"));
    }
}
