//! Another process that has a store open: this very test program, started again to run one test only. The two talk
//! through pipes, so that nothing waits for time to pass.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use holdfast_store::{Access, LocalStore, Store, StoreExt};

use crate::key;

const DIR: &str = "HOLDFAST_STORE_TEST_DIR";
const TASK: &str = "HOLDFAST_STORE_TEST_TASK";
const READY: &str = "the other process is ready";

/// A process that has done its task and now waits to be ended.
pub(crate) struct Other {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Other {
    /// Starts a process, in a shell that first runs `setup`, and returns when its task is done.
    pub(crate) fn start(setup: &str, task: &str, dir: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{setup}\nexec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["process::other_process", "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(TASK, task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut all = String::new();
        while !line.contains(READY) {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the other process failed:\n{all}");
            all += &line;
        }
        let stdin = child.stdin.take();
        Self { child, stdin, stdout }
    }

    /// Ends it as the system would: no destructor runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it end in order.
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "the other process failed:\n{rest}");
    }
}

/// What the other process runs. In the ordinary run of the tests there is no task, and it has nothing to do.
#[test]
fn other_process() {
    let (Ok(task), Some(dir)) = (std::env::var(TASK), std::env::var_os(DIR)) else { return };
    run(&task, Path::new(&dir));
}

fn run(task: &str, dir: &Path) {
    match task {
        "write" => {
            let store = LocalStore::open(dir, Access::Write).unwrap();
            store.put(&key("packs/00/whole"), b"whole").unwrap();
            let mut writer = store.create(&key("packs/00/part")).unwrap();
            writer.write(b"a part").unwrap();
            wait_for_the_end();
            writer.finish().unwrap();
        }
        "read" => {
            let _store = LocalStore::open(dir, Access::Read).unwrap();
            wait_for_the_end();
        }
        "create" => {
            let store = LocalStore::create(dir).unwrap();
            store.put(&key("packs/00/a"), b"x").unwrap();
            let _writer = store.create(&key("config")).unwrap();
            wait_for_the_end();
        }
        "fill" => {
            fill(&LocalStore::open(dir, Access::Write).unwrap());
            wait_for_the_end();
        }
        other => panic!("no task {other}"),
    }
}

/// Writes more than the process may have in one file.
fn fill(store: &LocalStore) {
    let mut writer = store.create(&key("packs/00/large")).unwrap();
    writer.write(&[1; 1000]).unwrap();
    let error = writer.write(&[2; 100_000]).unwrap_err();
    assert!(error.to_string().starts_with("cannot write packs/00/large: "), "{error}");
    // A caller that goes on all the same must not get an object.
    writer.write(&[3; 10]).unwrap_err();
    writer.finish().unwrap_err();
    assert!(store.size(&key("packs/00/large")).unwrap_err().is_missing());
    store.put(&key("packs/00/small"), &[4; 1000]).unwrap();
}

fn wait_for_the_end() {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\n{READY}").unwrap();
    stdout.flush().unwrap();
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing).unwrap();
}
