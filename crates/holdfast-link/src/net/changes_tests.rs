//! In a network of its own, which needs root: without, the tests say on the terminal that they were skipped.

use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use tokio::time::timeout;

use super::*;

/// Far more than any of this takes; for a test that would otherwise hang.
const LONG: Duration = Duration::from_secs(20);

/// Runs a test on a thread that has a network of its own.
fn in_own_network<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let run = move || {
        match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => {}
            Err(Errno::EPERM) => return skipped("it needs root"),
            Err(error) => panic!("{error}"),
        }
        if Command::new("ip").arg("-V").output().is_err() {
            return skipped("there is no `ip` command");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { timeout(LONG, test()).await.unwrap() });
    };
    std::thread::Builder::new().name(name).spawn(run).unwrap().join().unwrap();
}

/// Not by `println`, which is shown of tests that fail only.
fn skipped(why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    writeln!(io::stderr(), "SKIPPED: watching addresses and routes ({name}): {why}").unwrap();
}

/// Runs `ip` once for each of these.
#[track_caller]
fn ip(commands: &[&str]) {
    for command in commands {
        let output = Command::new("ip").args(command.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Two links that are each other's end, the first with 192.0.2.1/24. It runs when this returns: the kernel takes its time.
async fn links() {
    let mut watcher = Watcher::open().unwrap();
    ip(&["link add v0 type veth peer name v1", "link set v0 up", "address add 192.0.2.1/24 dev v0"]);
    watcher.settle().await;
    ip(&["link set v1 up"]);
    while !watcher.changes_with(b"v0\0").await {}
}

impl Watcher {
    /// Reads until the answers are there.
    async fn settle(&mut self) {
        self.ask().unwrap();
        while !self.own.is_settled() {
            self.next().await.unwrap();
        }
    }

    /// Reads until there is a change, and asks again as `run` does: whether the notice has these bytes.
    async fn changes_with(&mut self, bytes: &[u8]) -> bool {
        loop {
            self.ask().unwrap();
            let Notice::Datagram(length) = self.notices.next().await.unwrap() else { return false };
            let datagram = self.notices.datagram(length);
            if self.own.take(datagram) {
                self.own.ask_again();
                let has = datagram.windows(bytes.len()).any(|window| window == bytes);
                if !has {
                    // For whoever wonders why a test has failed.
                    println!("a change by {datagram:02x?}");
                }
                return has;
            }
        }
    }
}

#[test]
fn a_change_is_told_and_a_burst_is_one() {
    in_own_network(|| async {
        links().await;
        let watcher = Watcher::open().unwrap();
        let (count, mut seen) = watch::channel(0);
        let changes = async {
            // What is running now is not polled until the first wait below.
            ip(&[
                "address add 198.51.100.1/24 dev v0",
                "address add 203.0.113.1/24 dev v0",
                "route add default via 192.0.2.254",
            ]);
            seen.changed().await.unwrap();
            assert_eq!(*seen.borrow_and_update(), 1);
            for (number, change) in (2..).zip([
                "route replace default via 192.0.2.253",
                "route del default",
                "address del 203.0.113.1/24 dev v0",
            ]) {
                ip(&[change]);
                seen.changed().await.unwrap();
                assert_eq!(*seen.borrow_and_update(), number, "{change}");
            }
            drop(seen);
        };
        let (ended, ()) = tokio::join!(watcher.run(&count), changes);
        // Nobody looks any more.
        ended.unwrap();
    });
}

#[test]
fn what_only_renews_or_concerns_others_is_no_change() {
    in_own_network(|| async {
        links().await;
        ip(&[
            "address add 2001:db8::1/64 dev v0 nodad valid_lft 400 preferred_lft 300",
            "route add default via 192.0.2.254",
        ]);
        let mut watcher = Watcher::open().unwrap();
        watcher.settle().await;
        ip(&[
            "address change 192.0.2.1/24 dev v0 valid_lft 300 preferred_lft 200",
            "-6 address change 2001:db8::1/64 dev v0 valid_lft 300 preferred_lft 200",
            "route replace default via 192.0.2.254",
            "neighbour add 192.0.2.9 lladdr 00:11:22:33:44:55 dev v0",
            "link set v0 mtu 1400",
            "link add w0 type veth peer name w1",
            "link set w0 up",
            "link set w1 up",
            "link del w0",
            // The first that counts.
            "address add 198.51.100.77/32 dev v0",
        ]);
        assert!(watcher.changes_with(&[198, 51, 100, 77]).await, "something else counted before");
    });
}

#[test]
fn what_vanished_with_its_link_is_new_when_it_comes_back() {
    in_own_network(|| async {
        links().await;
        ip(&["route add default via 192.0.2.254"]);
        let mut watcher = Watcher::open().unwrap();
        watcher.settle().await;
        ip(&["link set v0 down"]);
        while !watcher.changes_with(b"v0\0").await {}
        watcher.settle().await;
        ip(&["link set v0 up", "route add default via 192.0.2.254"]);
        while !watcher.changes_with(&[192, 0, 2, 254]).await {}
    });
}

#[test]
fn more_than_the_socket_holds_is_a_change() {
    in_own_network(|| async {
        links().await;
        let mut watcher = Watcher::open().unwrap();
        watcher.settle().await;
        let batch: String = (0..4_000)
            .map(|number| format!("route add 10.{}.{}.0/24 via 192.0.2.2\n", number / 250, number % 250))
            .collect();
        let path = std::env::temp_dir().join(format!("holdfast-routes-{}", std::process::id()));
        std::fs::write(&path, batch).unwrap();
        let output = Command::new("ip").arg("-batch").arg(&path).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut lost = false;
        while !lost {
            match watcher.notices.next().await.unwrap() {
                Notice::Lost => lost = true,
                Notice::Datagram(length) => drop(watcher.own.take(watcher.notices.datagram(length))),
            }
        }
        // All is asked for again, and from then on what is there counts as known.
        watcher.own.ask_again();
        watcher.ask().unwrap();
        watcher.settle().await;
        ip(&["route replace 10.15.249.0/24 via 192.0.2.2", "route del 10.15.248.0/24 via 192.0.2.2"]);
        assert!(watcher.changes_with(&[10, 15, 248, 0]).await, "the route was known, and counted");
    });
}
