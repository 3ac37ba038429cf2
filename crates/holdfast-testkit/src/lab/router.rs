//! What the router does to packets, changed while it runs; and what it counts. The rules stand in `rules.nft`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::namespaces::Host;
use super::tools::{self, Error, Result};
use super::{CLIENT, Lab};

const RULES: &str = include_str!("rules.nft");
/// In /proc/net/tcp.
const ESTABLISHED: &str = "01";
/// Flows that are read from the router's table.
const FLOWS_MAX: usize = 10_000;

/// Which packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// All.
    Both,
}

impl Way {
    fn devices(self) -> &'static [&'static str] {
        match self {
            Self::Up => &["c0"],
            Self::Down => &["s0"],
            Self::Both => &["c0", "s0"],
        }
    }
}

/// How the router refuses a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// RST, as the host itself would if nothing listened.
    Reset,
    /// ICMP: port unreachable.
    PortUnreachable,
    /// ICMP: host unreachable; by IPv6 address unreachable.
    HostUnreachable,
    /// ICMP: network unreachable; by IPv6 no route.
    NetUnreachable,
    /// ICMP: administratively prohibited.
    AdminProhibited,
}

impl Answer {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Reset,
        Self::PortUnreachable,
        Self::HostUnreachable,
        Self::NetUnreachable,
        Self::AdminProhibited,
    ];

    fn set(self) -> &'static str {
        match self {
            Self::Reset => "with_reset",
            Self::PortUnreachable => "port_unreachable",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
            Self::AdminProhibited => "admin_prohibited",
        }
    }
}

/// What becomes of packets of a flow that was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// They are dropped.
    Silence,
    /// Their sender gets an RST.
    Reset,
}

impl Then {
    fn set(self) -> &'static str {
        match self {
            Self::Silence => "forgets_silently",
            Self::Reset => "forgets_with_reset",
        }
    }
}

/// Sets of ports, all that [`Lab::pass`] takes a port out of.
const PORT_SETS: [&str; 9] = [
    "hole_up",
    "hole_down",
    "with_reset",
    "port_unreachable",
    "host_unreachable",
    "net_unreachable",
    "admin_prohibited",
    "forgets_silently",
    "forgets_with_reset",
];

/// A TCP flow in the router's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Who dialled.
    pub from: (IpAddr, u16),
    /// Who was dialled.
    pub to: (IpAddr, u16),
    /// Its state, as ESTABLISHED.
    pub state: String,
    /// Seconds until it is forgotten.
    pub left: u64,
}

impl Lab {
    pub(super) fn load_rules(&self, forget_seconds: u64) -> Result<()> {
        self.nft(&RULES.replace("FORGET_SECONDS", &forget_seconds.to_string()))
    }

    /// Gives the router commands of nft; all of them take effect at one moment, or none does.
    pub fn nft(&self, commands: &str) -> Result<()> {
        self.spaces.exec_with(Host::Router, &["nft", "-f", "-"], commands).map(drop)
    }

    fn add(&self, set: &str, port: u16) -> Result<()> {
        self.nft(&format!("add element inet lab {set} {{ {port} }}"))
    }

    /// Drops packets from and to this port that go this way, silently.
    pub fn drop_port(&self, port: u16, way: Way) -> Result<()> {
        if way != Way::Down {
            self.add("hole_up", port)?;
        }
        if way != Way::Up {
            self.add("hole_down", port)?;
        }
        Ok(())
    }

    /// Refuses packets to this port so.
    pub fn refuse(&self, port: u16, answer: Answer) -> Result<()> {
        self.add(answer.set(), port)
    }

    /// Flows to this port are forgotten when they were idle for as long as the lab was made with. Later packets of them
    /// are dropped or reset. Holds for flows that begin from now on.
    pub fn forget(&self, port: u16, then: Then) -> Result<()> {
        self.add(then.set(), port)
    }

    /// Nothing is done to this port any more.
    pub fn pass(&self, port: u16) -> Result<()> {
        // Adding first: deleting what is not there is an error.
        let one = |set| {
            format!("add element inet lab {set} {{ {port} }}\ndelete element inet lab {set} {{ {port} }}\n")
        };
        self.nft(&PORT_SETS.map(one).concat())
    }

    /// Drops everything that goes this way, as a cable that is cut beyond the router: neither end's link goes down.
    pub fn cut(&self, way: Way) -> Result<()> {
        let rule = |device: &&str| {
            let counter = if *device == "c0" { "dropped_up" } else { "dropped_down" };
            format!("add rule inet lab cable iifname \"{device}\" counter name \"{counter}\" drop\n")
        };
        self.nft(&way.devices().iter().map(rule).collect::<String>())
    }

    /// Loses this share of the packets that go this way, at random.
    pub fn lose(&self, percent: u8, way: Way) -> Result<()> {
        let rule = |device: &&str| {
            format!(
                "add rule inet lab at_random iifname \"{device}\" numgen random mod 100 < {percent} counter name \"lost\" drop\n"
            )
        };
        self.nft(&way.devices().iter().map(rule).collect::<String>())
    }

    /// Ends [`Lab::cut`] and [`Lab::lose`].
    pub fn mend(&self) -> Result<()> {
        self.nft("flush chain inet lab cable\nflush chain inet lab at_random\n")
    }

    /// Pulls the cable between client and router: the client sees its link go.
    pub fn unplug(&self) -> Result<()> {
        self.spaces.ip(Host::Router, &["link", "set", "c0", "down"]).map(drop)
    }

    /// Puts it back.
    pub fn plug(&self) -> Result<()> {
        self.spaces.ip(Host::Router, &["link", "set", "c0", "up"]).map(drop)
    }

    /// Both ways together are no faster than this, each; what is too much waits in a queue of 128 KiB, as in a router.
    pub fn slow_down(&self, bytes_per_second: u64) -> Result<()> {
        let rate = format!("{}bit", bytes_per_second.saturating_mul(8));
        for device in ["c0", "s0"] {
            let shaped = ["qdisc", "replace", "dev", device, "root", "tbf", "rate", &rate];
            self.tc(&shaped.into_iter().chain(["burst", "32k", "limit", "128k"]).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// A long way: no faster than this, and packets are this long under way, each way.
    pub fn far_away(&self, bytes_per_second: u64, each_way: Duration) -> Result<()> {
        let rate = format!("{}bit", bytes_per_second.saturating_mul(8));
        let delay = format!("{}ms", each_way.as_millis());
        for device in ["c0", "s0"] {
            let line = ["qdisc", "replace", "dev", device, "root", "netem", "delay", &delay, "rate", &rate];
            self.tc(&line.into_iter().chain(["limit", "20000"]).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Ends [`Lab::slow_down`] and [`Lab::far_away`].
    pub fn full_speed(&self) -> Result<()> {
        ["c0", "s0"].iter().try_for_each(|device| self.tc(&["qdisc", "del", "dev", device, "root"]))
    }

    fn tc(&self, arguments: &[&str]) -> Result<()> {
        let router = self.spaces.name(Host::Router);
        let words: Vec<&str> = ["-n", &router].iter().chain(arguments).copied().collect();
        tools::run("tc", &words).map(drop)
    }

    /// The router's counters of packets, by name: `up`, `down`, `dropped_up`, `dropped_down`, `answered`, `forgotten`,
    /// `lost`.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.spaces.exec(Host::Router, &["nft", "-j", "list", "counters"])?;
        let unreadable = |said: String| Error::Tool { command: "nft -j list counters".into(), said };
        let parsed: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let counters = parsed["nftables"].as_array().ok_or_else(|| unreadable(text.clone()))?;
        let one = |entry: &Value| {
            let counter = &entry["counter"];
            Some((counter["name"].as_str()?.to_owned(), counter["packets"].as_u64()?))
        };
        Ok(counters.iter().filter_map(one).collect())
    }

    /// One of [`Lab::counters`]; 0 if there is none of that name.
    pub fn counted(&self, name: &str) -> Result<u64> {
        Ok(self.counters()?.get(name).copied().unwrap_or(0))
    }

    /// The TCP flows that the router knows, at most 10,000.
    pub fn flows(&self) -> Result<Vec<Flow>> {
        let table = self.spaces.exec(Host::Router, &["cat", "/proc/net/nf_conntrack"])?;
        Ok(table.lines().filter_map(flow).take(FLOWS_MAX).collect())
    }

    /// The established flows between client and server, whoever dialled.
    pub fn established(&self) -> Result<Vec<Flow>> {
        let mut flows = self.flows()?;
        flows.retain(|flow| flow.state == "ESTABLISHED");
        Ok(flows)
    }

    /// From now on each end of these flows gets an RST for what it sends. Other flows, and new ones, are left alone.
    pub fn reset(&self, flows: &[Flow]) -> Result<()> {
        let one = |flow: &Flow| format!("add element inet lab reset_flows {{ {} }}\n", flow.from.1);
        self.nft(&flows.iter().map(one).collect::<String>())
    }

    /// From now on what belongs to these flows is dropped silently, as by a firewall that has forgotten them. Other flows, and
    /// new ones, are left alone.
    pub fn forget_flows(&self, flows: &[Flow]) -> Result<()> {
        let one = |flow: &Flow| format!("add element inet lab silent_flows {{ {} }}\n", flow.from.1);
        self.nft(&flows.iter().map(one).collect::<String>())
    }

    /// Ends all [`Lab::forget_flows`]: the ports may be used again by others.
    pub fn remember_flows(&self) -> Result<()> {
        self.nft("flush set inet lab silent_flows\n")
    }

    /// Ends all [`Lab::reset`]: the ports may be used again by others.
    pub fn stop_resets(&self) -> Result<()> {
        self.nft("flush set inet lab reset_flows\n")
    }

    /// How many established TCP connections a host has, as its own kernel knows them.
    pub fn connections(&self, host: Host) -> Result<usize> {
        let table = self.spaces.exec(host, &["cat", "/proc/net/tcp", "/proc/net/tcp6"])?;
        let state = |line: &str| line.split_whitespace().nth(3) == Some(ESTABLISHED);
        Ok(table.lines().filter(|line| state(line)).count())
    }

    /// How many bytes a host has received by TCP that no program of it has read yet.
    pub fn unread(&self, host: Host) -> Result<u64> {
        let table = self.spaces.exec(host, &["cat", "/proc/net/tcp", "/proc/net/tcp6"])?;
        Ok(table.lines().filter_map(waiting_to_be_read).sum())
    }

    /// Waits, at most this long, until the router knows no established flow. False if it still does.
    pub fn wait_forgotten(&self, within: Duration) -> bool {
        tools::until(within, || self.established().is_ok_and(|flows| flows.is_empty()).then_some(()))
            .is_some()
    }
}

/// Of an established connection's line of /proc/net/tcp: `N: LOCAL REMOTE STATE SENDING:RECEIVED ...`, in hexadecimal.
fn waiting_to_be_read(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip(3);
    let (state, queues) = (words.next()?, words.next()?);
    let received = queues.split_once(':')?.1;
    if state == ESTABLISHED { u64::from_str_radix(received, 16).ok() } else { None }
}

/// A line of /proc/net/nf_conntrack: `ipv4 2 tcp 6 LEFT STATE src=A dst=B sport=C dport=D ...`, then the way back.
fn flow(line: &str) -> Option<Flow> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if *words.get(2)? != "tcp" {
        return None;
    }
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let end = |address, port| Some((value(address)?.parse().ok()?, value(port)?.parse().ok()?));
    Some(Flow {
        from: end("src", "sport")?,
        to: end("dst", "dport")?,
        state: (*words.get(5)?).to_owned(),
        left: words.get(4)?.parse().ok()?,
    })
}

impl Flow {
    /// Whether the client dialled.
    pub fn is_from_client(&self) -> bool {
        let net =
            |address: IpAddr| address.to_string().rsplit_once(['.', ':']).map(|(net, _)| net.to_owned());
        net(self.from.0) == net(CLIENT) || self.from.0.to_string().starts_with("fd77:1:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_understood() {
        let line = "ipv4     2 tcp      6 24 ESTABLISHED src=10.77.1.2 dst=10.77.2.2 sport=40000 dport=7556 src=10.77.2.2 dst=10.77.1.2 sport=7556 dport=40000 [ASSURED] mark=0 use=2";
        let found = flow(line).unwrap();
        assert_eq!(found.from, ("10.77.1.2".parse().unwrap(), 40000));
        assert_eq!(found.to, ("10.77.2.2".parse().unwrap(), 7556));
        assert_eq!((found.state.as_str(), found.left, found.is_from_client()), ("ESTABLISHED", 24, true));
        assert_eq!(flow("ipv4 2 udp 17 24 src=10.77.1.2 dst=10.77.2.2 sport=1 dport=2"), None);
        assert_eq!(flow(""), None);
    }

    #[test]
    fn what_waits_in_a_connection_is_understood() {
        let line =
            "   0: 0201014D:9C40 0202024D:1D84 01 00000000:000001A4 00:00000000 00000000     0        0 1 1";
        assert_eq!(waiting_to_be_read(line), Some(420));
        assert_eq!(waiting_to_be_read(&line.replace(" 01 ", " 0A ")), None);
        assert_eq!(waiting_to_be_read("  sl  local_address rem_address   st tx_queue rx_queue tr"), None);
    }

    #[test]
    fn every_set_of_ports_is_in_the_rules() {
        assert!(PORT_SETS.iter().all(|set| RULES.contains(&format!("set {set} {{"))));
    }
}
