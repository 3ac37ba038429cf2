//! A network of its own for a test: three namespaces (client, router, server), real processes in them, and a router that
//! drops, refuses, forgets, loses and slows down what the test says.
//!
//! ```text
//! client up0 ──── c0 router s0 ──── up0 server
//! 10.77.1.2     10.77.1.1   10.77.2.1     10.77.2.2
//! fd77:1::2     fd77:1::1   fd77:2::1     fd77:2::2
//! ```
//!
//! More clients, each behind a router of its own, may stand before the same server ([`Lab::beside`]): the second one's networks
//! are 10.77.3 and 10.77.4, and the server's device there is up1.
//!
//! Namespaces do not see each other's addresses, so any number of labs run side by side with the same ones. Needs root,
//! `ip`, `tc` and `nft`; an error says which is missing. What a lab made it removes when it is dropped, in a panic too;
//! what a killed run left behind is removed when the next lab is made.
//!
//! | file | question |
//! |---|---|
//! | [`namespaces`] | which namespaces are there, and how do they come and go? |
//! | [`router`] | what is done to which packets, and how many were there? |
//! | [`process`] | how is a program run in a namespace, and told what to do? |
//! | [`tools`] | how is a command run with a bound, and what is missing if it cannot be? |

pub mod namespaces;
pub mod process;
pub mod router;
pub mod tools;

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

pub use namespaces::{Host, remove_leftovers};
pub use process::{Process, Reply};
pub use router::{Answer, Flow, Then, Way};
pub use tools::{Error, Result};

use namespaces::Namespaces;

/// Where the client is reached, until it moves.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 2));
/// Where the server is reached.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 2));
/// Where the server is reached by IPv6.
pub const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 2));
/// Addresses that a host may have besides its own, from `.100`.
const EXTRA_MAX: u8 = 100;

/// The last address that a client moves to; then come the first again.
const CLIENT_LAST: u8 = 99;
/// Clients before one server.
const BESIDE_MAX: u8 = 100;

/// The network.
#[derive(Debug)]
pub struct Lab {
    spaces: Namespaces,
    /// Which of those before its server it is, from 0.
    at: u8,
    /// The last part of the client's address, and of the router's outer one.
    client: u8,
    outer: u8,
}

impl Lab {
    /// Makes it: namespaces, cables, addresses, routes, and a router that passes everything. Idle flows of the ports that
    /// are said to be forgotten ([`Lab::forget`]) are forgotten after `forget_after`, in whole seconds, at least one.
    pub fn create(forget_after: Duration) -> Result<Self> {
        tools::check()?;
        Self::of(Namespaces::create()?, 0, forget_after)
    }

    /// Another client before the same server, with a router of its own that does what it is told alone. `at` is its number, 1 to
    /// 100. The server goes with the lab that made it.
    pub fn beside(&self, at: u8, forget_after: Duration) -> Result<Self> {
        Self::of(self.spaces.beside()?, at.clamp(1, BESIDE_MAX), forget_after)
    }

    fn of(spaces: Namespaces, at: u8, forget_after: Duration) -> Result<Self> {
        let lab = Self { spaces, at, client: 2, outer: 1 };
        lab.connect()?;
        lab.load_rules(forget_after.as_secs().max(1))?;
        Ok(lab)
    }

    /// The two cables: a host, the number of its network, its device, and the router's.
    fn cables(&self) -> [(Host, u8, String, &'static str); 2] {
        let client = (Host::Client, 2 * self.at + 1, "up0".to_owned(), "c0");
        [client, (Host::Server, 2 * self.at + 2, format!("up{}", self.at), "s0")]
    }

    fn connect(&self) -> Result<()> {
        let spaces = &self.spaces;
        for host in Host::ALL {
            // Nobody else has these addresses: they are not to be asked for.
            for which in ["all", "default"] {
                self.set(host, &format!("net/ipv6/conf/{which}/accept_dad"), "0")?;
            }
        }
        for (host, net, outer, inner) in self.cables() {
            let (name, router) = (spaces.name(host), spaces.name(Host::Router));
            tools::run(
                "ip",
                &["link", "add", &outer, "netns", &name, "type", "veth", "peer", "name", inner]
                    .into_iter()
                    .chain(["netns", &router])
                    .collect::<Vec<_>>(),
            )?;
            // Otherwise IPv6 addresses go when a cable is pulled.
            self.set(Host::Router, &format!("net/ipv6/conf/{inner}/keep_addr_on_down"), "1")?;
            for (at, device, last) in [(host, outer.as_str(), 2), (Host::Router, inner, 1)] {
                spaces.ip(at, &["addr", "add", &format!("10.77.{net}.{last}/24"), "dev", device])?;
                spaces.ip(at, &["addr", "add", &format!("fd77:{net}::{last}/64"), "dev", device, "nodad"])?;
                spaces.ip(at, &["link", "set", device, "up"])?;
            }
            // The server knows one way for each client; the first is the way to everybody else.
            let is_one_of_many = host == Host::Server && self.at > 0;
            let client = 2 * self.at + 1;
            let (to, to_v6) = if is_one_of_many {
                (format!("10.77.{client}.0/24"), format!("fd77:{client}::/64"))
            } else {
                ("default".to_owned(), "default".to_owned())
            };
            spaces.ip(host, &["route", "add", &to, "via", &format!("10.77.{net}.1")])?;
            spaces.ip(host, &["-6", "route", "add", &to_v6, "via", &format!("fd77:{net}::1")])?;
        }
        if self.at > 0 {
            // By its first address too: it may name itself by that.
            let (v4, v6) = (format!("10.77.{}.2", 2 * self.at + 2), format!("fd77:{}::2", 2 * self.at + 2));
            spaces.ip(Host::Router, &["route", "add", &SERVER.to_string(), "via", &v4])?;
            spaces.ip(Host::Router, &["-6", "route", "add", &SERVER_V6.to_string(), "via", &v6])?;
        }
        self.set(Host::Router, "net/ipv4/ip_forward", "1")?;
        self.set(Host::Router, "net/ipv6/conf/all/forwarding", "1")?;
        // Otherwise only the first of many refusals is sent.
        self.set(Host::Router, "net/ipv4/icmp_ratelimit", "0")?;
        self.set(Host::Router, "net/ipv6/icmp/ratelimit", "0")?;
        self.introduce_neighbours()
    }

    /// Tells neighbours of each other by IPv6. The first question that they ask is lost, and is asked again after 1 s: that
    /// would be in every measurement.
    fn introduce_neighbours(&self) -> Result<()> {
        for (host, net, outer, inner) in self.cables() {
            let (outer, inner) = ((host, outer.as_str(), 2), (Host::Router, inner, 1));
            for ((at, device, _), (other, its, last)) in [(outer, inner), (inner, outer)] {
                let mac = self.spaces.exec(other, &["cat", &format!("/sys/class/net/{its}/address")])?;
                let address = format!("fd77:{net}::{last}");
                let known = ["neigh", "replace", &address, "lladdr", mac.trim(), "dev", device];
                self.spaces.ip(at, &known.into_iter().chain(["nud", "permanent"]).collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    /// Sets a value of the kernel under /proc/sys, for this host only (most of `net/` is).
    pub fn set(&self, host: Host, key: &str, value: &str) -> Result<()> {
        let write = ["sh", "-c", "echo \"$2\" >\"/proc/sys/$1\"", "set", key, value];
        self.spaces.exec(host, &write).map(drop)
    }

    /// Starts a program on a host; see [`Process`].
    pub fn start(&self, host: Host, program: &Path, arguments: &[&str]) -> Result<Process> {
        self.start_with(host, program, arguments, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(
        &self,
        host: Host,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<Process> {
        Process::start(&self.spaces.name(host), host.word(), program, arguments, environment)
    }

    /// Runs a command on a host to its end, at most 20 s, and returns what it printed.
    pub fn exec(&self, host: Host, command: &[&str]) -> Result<String> {
        self.spaces.exec(host, command)
    }

    /// A command that will run on a host.
    pub fn command(&self, host: Host, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces.name(host), program]);
        command
    }

    /// The ids of the processes that run on a host.
    pub fn running(&self, host: Host) -> Result<Vec<u32>> {
        self.spaces.running(host)
    }

    /// The client's address now.
    pub fn client(&self) -> IpAddr {
        Ipv4Addr::new(10, 77, 2 * self.at + 1, self.client).into()
    }

    /// Where its client reaches the server.
    pub fn server(&self) -> IpAddr {
        Ipv4Addr::new(10, 77, 2 * self.at + 2, 2).into()
    }

    /// Gives the client another address and takes the old one away, as a laptop that changes its network. Returns the new.
    pub fn move_client(&mut self) -> Result<IpAddr> {
        let old = format!("{}/24", self.client());
        self.client = if self.client < CLIENT_LAST { self.client + 1 } else { 2 };
        let new = self.client();
        self.spaces.ip(Host::Client, &["addr", "add", &format!("{new}/24"), "dev", "up0"])?;
        self.spaces.ip(Host::Client, &["addr", "del", &old, "dev", "up0"])?;
        // The second address of a network goes with the first one, and so does the route.
        self.spaces.ip(Host::Client, &["addr", "replace", &format!("{new}/24"), "dev", "up0"])?;
        self.spaces.ip(
            Host::Client,
            &["route", "replace", "default", "via", &format!("10.77.{}.1", 2 * self.at + 1)],
        )?;
        Ok(new)
    }

    /// Gives a host so many addresses (at most 100) besides its own, and says which.
    pub fn add_addresses(&self, host: Host, count: u8) -> Result<Vec<IpAddr>> {
        let net = 2 * self.at + if host == Host::Server { 2 } else { 1 };
        let addresses: Vec<IpAddr> =
            (0..count.min(EXTRA_MAX)).map(|at| Ipv4Addr::new(10, 77, net, 100 + at).into()).collect();
        for address in &addresses {
            self.spaces.ip(host, &["addr", "add", &format!("{address}/24"), "dev", "up0"])?;
        }
        Ok(addresses)
    }

    /// From now on the router hides the client behind an address of its own.
    pub fn masquerade(&self) -> Result<()> {
        self.nft("add rule inet lab nat oifname \"s0\" masquerade")
    }

    /// From now on the router hides each new flow behind another of so many addresses (at most 250) of its own, in turn: for the
    /// server as many hosts. Ends what it did before.
    pub fn masquerade_as(&self, count: u8) -> Result<()> {
        let count = count.clamp(1, 250);
        let places: Vec<String> = (0..count).map(|at| format!("{at} : 10.78.0.{}", at + 1)).collect();
        self.nft(&format!(
            "flush chain inet lab nat\nadd rule inet lab nat oifname \"s0\" meta nfproto ipv4 snat ip to numgen inc mod {count} map {{ {} }}\n",
            places.join(", ")
        ))
    }

    /// The router's outer address changes, as a dial-up line's at night: it forgets every flow that it hides, and the
    /// server sees the client come from elsewhere. Returns the new address.
    pub fn rebind(&mut self) -> Result<IpAddr> {
        let net = 2 * self.at + 2;
        let address = |last| Ipv4Addr::new(10, 77, net, last);
        let (old, new) = (address(self.outer), address(self.outer % 200 + 20));
        self.outer = new.octets()[3];
        self.spaces.ip(Host::Router, &["addr", "add", &format!("{new}/24"), "dev", "s0"])?;
        self.spaces.ip(Host::Router, &["addr", "del", &format!("{old}/24"), "dev", "s0"])?;
        // The second address of a network goes with the first one.
        self.spaces.ip(Host::Router, &["addr", "replace", &format!("{new}/24"), "dev", "s0"])?;
        Ok(new.into())
    }
}

/// Lets real time pass: an outage has a length. For waiting until something has happened there is [`Process::event`].
pub fn let_pass(time: Duration) {
    let (_nobody_sends, nothing) = channel::<()>();
    // Nothing comes: it always ends with the time.
    let _ = nothing.recv_timeout(time);
}

/// The time since the machine started, in milliseconds: the same clock in every process of it.
pub fn now_ms() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    #[allow(clippy::cast_precision_loss, reason = "52 bits of milliseconds are long ages")]
    let ms = now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6;
    ms
}
