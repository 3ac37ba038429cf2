//! restic with its repository behind an SFTP server: an sshd of our own on a port of the loopback, with keys of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::super::files::text;
use super::super::measure::{MEASURE, Task, parse};
use super::super::rounds::Step;
use super::super::tools::{Place, Tool, ToolKind};
use super::daemon::Daemon;
use super::proc;
use super::service::{Service, Setting};

/// Where distributions put the program that serves one session; it is in no `PATH`.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];
/// Said by an sshd of root whose empty directory is missing; what follows is its path.
const NO_EMPTY_DIRECTORY: &str = "Missing privilege separation directory: ";

/// restic and its sshd.
pub(super) struct Sftp {
    tool: Tool,
    /// As restic names it.
    place: Place,
    /// The `ssh` command that restic starts.
    ssh: String,
    dir: PathBuf,
    source: PathBuf,
    target: PathBuf,
    daemons: Vec<Daemon>,
    _made: Option<EmptyDirectory>,
}

/// What is needed, or what is missing.
pub(super) fn missing() -> Option<&'static str> {
    let programs =
        [super::find("restic"), super::find("sshd"), super::find("ssh"), super::find("ssh-keygen")];
    match programs {
        [None, ..] => Some("restic"),
        _ if programs.iter().any(Option::is_none) => Some("OpenSSH's server and client"),
        _ if sftp_server().is_none() => Some("sftp-server"),
        _ => None,
    }
}

fn sftp_server() -> Option<&'static str> {
    SFTP_SERVERS.into_iter().find(|path| Path::new(path).is_file())
}

impl Sftp {
    /// Makes keys, starts the server, and makes the repository through it.
    pub(super) fn start(setting: &Setting<'_>) -> Result<Self> {
        let tool = Tool::find(ToolKind::Restic, Path::new("")).context("restic is not installed")?;
        let dir = &setting.dir;
        for key in ["host_key", "user_key"] {
            let words = ["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", &text(&dir.join(key))];
            Task::new("ssh-keygen", &words).run(&setting.log())?;
        }
        let [port] = proc::free_ports()?;
        let ours = text(&std::env::current_exe()?);
        let server = sftp_server().context("no sftp-server is installed")?;
        let subsystem = format!("{} {MEASURE} {} {server}", quoted(&ours), quoted(&text(&figures(dir))));
        let config = dir.join("sshd_config");
        std::fs::write(&config, server_config(&text(dir), port, &subsystem))?;
        let sshd = text(&super::find("sshd").context("sshd is not installed")?);
        let made = EmptyDirectory::if_wanted(&sshd, &config)?;
        let mut daemon = Daemon::start("sshd", &Task::new(&sshd, &["-D", "-e", "-f", &text(&config)]), dir)?;
        daemon.listens(port)?;
        let user = setting.ask(&Task::new("id", &["-un"]))?.trim().to_owned();
        let place = Place {
            repository: PathBuf::from(format!("sftp:{user}@127.0.0.1:{}", text(&dir.join("repository")))),
            state: dir.join("state"),
        };
        std::fs::create_dir_all(&place.state)?;
        let ssh = client_command(&text(dir), port, &user);
        let (source, target) = (setting.source.to_owned(), setting.target.to_owned());
        let daemons = vec![daemon];
        let service = Self { tool, place, ssh, dir: dir.clone(), source, target, daemons, _made: made };
        for task in service.tool.prepare(&service.place) {
            service.over_ssh(task).run(&setting.log())?;
        }
        Ok(service)
    }

    fn over_ssh(&self, mut task: Task) -> Task {
        let option = format!("sftp.command={}", self.ssh);
        task.arguments.splice(0..0, ["-o".to_owned(), option]);
        task
    }
}

impl Service for Sftp {
    fn daemons(&mut self) -> &mut [Daemon] {
        &mut self.daemons
    }

    fn command(&mut self, step: Step) -> Result<Task> {
        let task = match step {
            Step::Restore => self.tool.restore(&self.place, &self.target, ""),
            _ => self.tool.backup(&self.place, &self.source, ""),
        };
        Ok(self.over_ssh(task))
    }

    fn passing(&self) -> Result<Vec<(&'static str, f64)>> {
        // Its processor time is in that of sshd, which has waited for it.
        Ok(vec![("sftp-server", parse(&std::fs::read_to_string(figures(&self.dir))?)?.peak_mib)])
    }

    fn vault(&self) -> PathBuf {
        self.dir.join("repository")
    }

    fn contents(&self) -> PathBuf {
        self.vault().join("data")
    }

    fn restored(&self, target: &Path, source: &Path) -> PathBuf {
        self.tool.restored(target, source)
    }
}

/// What the session of a step took.
fn figures(dir: &Path) -> PathBuf {
    dir.join("sftp-server.figures")
}

/// For words that a shell reads.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// One user's server: it knows one key and serves files only. Ciphers are its defaults.
fn server_config(dir: &str, port: u16, subsystem: &str) -> String {
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey \"{dir}/host_key\"\n\
         AuthorizedKeysFile \"{dir}/user_key.pub\"\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         AllowTcpForwarding no\nX11Forwarding no\nSubsystem sftp {subsystem}\n"
    )
}

fn client_command(dir: &str, port: u16, user: &str) -> String {
    let key = quoted(&format!("{dir}/user_key"));
    format!(
        "ssh -F /dev/null -p {port} -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {user}@127.0.0.1 -s sftp"
    )
}

/// An sshd of root wants an empty directory, which the system's start of its own sshd makes. Made by us, it goes with us.
struct EmptyDirectory(PathBuf);

impl EmptyDirectory {
    fn if_wanted(sshd: &str, config: &Path) -> Result<Option<Self>> {
        let output = std::process::Command::new(sshd).args(["-t", "-f"]).arg(config).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(None);
        }
        let path = said.lines().find_map(|line| line.strip_prefix(NO_EMPTY_DIRECTORY));
        ensure!(path.is_some(), "sshd does not take its configuration: {}", said.trim());
        let path = PathBuf::from(path.unwrap_or_default().trim());
        std::fs::create_dir_all(&path).with_context(|| format!("making {} for sshd", path.display()))?;
        Ok(Some(Self(path)))
    }
}

impl Drop for EmptyDirectory {
    fn drop(&mut self) {
        // Not if it is not empty: then it is somebody else's by now.
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_for_the_loopback_and_one_key() {
        let text = server_config("/w", 20_022, "'/x' m '/f' /s");
        assert!(text.starts_with("ListenAddress 127.0.0.1\nPort 20022\nHostKey \"/w/host_key\"\n"), "{text}");
        assert!(
            text.contains("\nPasswordAuthentication no\n")
                && text.ends_with("\nSubsystem sftp '/x' m '/f' /s\n")
        );
    }

    #[test]
    fn words_for_shells_are_quoted() {
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        let command = client_command("/w x", 9, "ann");
        assert!(command.contains("-i '/w x/user_key'") && command.ends_with(" ann@127.0.0.1 -s sftp"));
    }
}
