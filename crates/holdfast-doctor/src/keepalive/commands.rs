//! What to type: to show the settings of a system, to change them now, and to keep them over a restart; with values that meet
//! the goals. What the values mean is `detect`'s.

use serde::Serialize;

use super::Goals;
use super::values::System;

/// Probes, where their number can be set: enough that an outage of minutes is ridden out.
const PROBES: u64 = 20;
/// Windows has so many, for good.
const WINDOWS_PROBES: u64 = 10;
/// More seconds between probes, or before the first, than anyone needs; all systems take them.
const INTERVAL_MAX: u64 = 75;
const IDLE_MAX: u64 = 7_200;
/// Solaris takes no more.
const SOLARIS_ABORT_MAX: u64 = 480;
/// Solaris and its kind take no less.
const IDLE_MIN: u64 = 10;

/// What to type on a system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Commands {
    /// Shows the settings.
    pub show: Vec<String>,
    /// Changes them until the next restart.
    pub now: Vec<String>,
    /// Changes them for good.
    pub keep: Vec<String>,
    /// What is to be known of these.
    pub remarks: Vec<String>,
    /// The values in them.
    pub recommended: Recommended,
}

/// Values that meet the goals, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Recommended {
    /// Until the first probe.
    pub idle_s: u64,
    /// Between probes.
    pub interval_s: u64,
    /// Probes without an answer.
    pub probes: u64,
}

impl Recommended {
    /// First probe: a third of the time in which a loss is to be noticed, and at most half of that after which a firewall
    /// forgets. The rest is for probing, so that an outage has time to pass.
    fn of(system: System, goals: &Goals) -> Self {
        let (detect, forgets) = (goals.detect.as_secs(), goals.idle_timeout.as_secs());
        let least = if system == System::Solaris { IDLE_MIN } else { 1 };
        // Where the number of probes is fixed, they need a second each.
        let room = if system == System::Windows { detect.saturating_sub(WINDOWS_PROBES) } else { detect };
        let idle_s = (detect / 3).min(forgets / 2).min(room).clamp(least, IDLE_MAX);
        let rest = detect.saturating_sub(idle_s).max(1);
        let probes = if system == System::Windows { WINDOWS_PROBES } else { PROBES.min(rest) };
        Self { idle_s, interval_s: (rest / probes).clamp(1, INTERVAL_MAX), probes }
    }

    /// In how many seconds a loss is noticed with them.
    #[must_use]
    pub fn noticed_s(&self) -> u64 {
        self.idle_s + self.probing_s()
    }

    /// How long probing lasts.
    #[must_use]
    pub fn probing_s(&self) -> u64 {
        self.interval_s * self.probes
    }
}

impl Commands {
    /// For this system and these goals.
    #[must_use]
    pub fn of(system: System, goals: &Goals) -> Self {
        let values = Recommended::of(system, goals);
        let (show, now, keep, remarks) = match system {
            System::Linux => linux(&values),
            System::Aix => aix(&values),
            System::HpUx => hpux(&values, goals),
            System::Solaris => solaris(&values),
            System::Windows => windows(&values),
            System::MacOs => bsd(&values, MACOS_KEEP),
            System::FreeBsd => bsd(&values, FREEBSD_KEEP),
        };
        Self { show, now, keep, remarks, recommended: values }
    }
}

type Four = (Vec<String>, Vec<String>, Vec<String>, Vec<String>);

fn linux(values: &Recommended) -> Four {
    let three = [
        format!("net.ipv4.tcp_keepalive_time={}", values.idle_s),
        format!("net.ipv4.tcp_keepalive_intvl={}", values.interval_s),
        format!("net.ipv4.tcp_keepalive_probes={}", values.probes),
    ];
    let show = "sysctl net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_retries2 net.ipv4.tcp_syn_retries";
    (
        vec![show.to_owned()],
        three.iter().map(|one| format!("sysctl -w {one}")).collect(),
        vec![
            format!("printf '%s\\n' {} > /etc/sysctl.d/90-tcp-keepalive.conf", three.join(" ")),
            "sysctl --system".to_owned(),
        ],
        vec!["Settings hold for one network namespace: a container has its own.".to_owned()],
    )
}

fn aix(values: &Recommended) -> Four {
    let three = [
        format!("tcp_keepidle={}", values.idle_s * 2),
        format!("tcp_keepintvl={}", values.interval_s * 2),
        format!("tcp_keepcnt={}", values.probes),
    ];
    (
        vec!["no -a | grep tcp_keep".to_owned()],
        three.iter().map(|one| format!("no -o {one}")).collect(),
        three.iter().map(|one| format!("no -p -o {one}")).collect(),
        vec![format!(
            "tcp_keepidle and tcp_keepintvl count half-seconds: {} is {} s.",
            values.idle_s * 2,
            values.idle_s
        )],
    )
}

fn hpux(values: &Recommended, goals: &Goals) -> Four {
    // Data uses the same limit: it is not lowered further than the goal asks.
    let abort_s = goals.detect.as_secs().saturating_sub(values.idle_s).clamp(1, 600);
    let two = [("tcp_keepalive_interval", values.idle_s * 1_000), ("tcp_ip_abort_interval", abort_s * 1_000)];
    let keep = two.iter().zip(0..).flat_map(|((name, value), at)| {
        [
            format!("TRANSPORT_NAME[{at}]=tcp"),
            format!("NDD_NAME[{at}]={name}"),
            format!("NDD_VALUE[{at}]={value}"),
        ]
    });
    (
        two.iter().map(|(name, _)| format!("ndd -get /dev/tcp {name}")).collect(),
        two.iter().map(|(name, value)| format!("ndd -set /dev/tcp {name} {value}")).collect(),
        keep.collect(),
        vec![
            "The lines to keep go into /etc/rc.config.d/nddconf, with the next free numbers in the brackets; `ndd -c` reads it.".to_owned(),
            "tcp_ip_abort_interval bounds probes and data alike.".to_owned(),
        ],
    )
}

fn solaris(values: &Recommended) -> Four {
    let abort_s = values.probing_s().min(SOLARIS_ABORT_MAX);
    let two =
        [("_keepalive_interval", values.idle_s * 1_000), ("_keepalive_abort_interval", abort_s * 1_000)];
    (
        vec![
            "ipadm show-prop -p _keepalive_interval,_keepalive_abort_interval,_ip_abort_interval tcp".to_owned(),
            "Solaris 10: for p in tcp_keepalive_interval tcp_keepalive_abort_interval tcp_ip_abort_interval; do echo \"$p = `ndd -get /dev/tcp $p`\"; done".to_owned(),
        ],
        two.iter()
            .map(|(name, value)| format!("ipadm set-prop -t -p {name}={value} tcp"))
            .chain(two.iter().map(|(name, value)| format!("Solaris 10: ndd -set /dev/tcp tcp{name} {value}")))
            .collect(),
        two.iter().map(|(name, value)| format!("ipadm set-prop -p {name}={value} tcp")).collect(),
        vec!["On Solaris 10, what ndd sets is gone after a restart: the same lines belong into a script that runs at boot.".to_owned()],
    )
}

fn windows(values: &Recommended) -> Four {
    const KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
    let two = [("KeepAliveTime", values.idle_s * 1_000), ("KeepAliveInterval", values.interval_s * 1_000)];
    (
        vec![
            format!("reg query {KEY}"),
            r"PowerShell: Get-ItemProperty HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters".to_owned(),
        ],
        Vec::new(),
        two.iter()
            .map(|(name, value)| format!("reg add {KEY} /v {name} /t REG_DWORD /d {value} /f"))
            .collect(),
        vec![
            "The number of probes is 10 and cannot be changed (since Vista and Server 2008).".to_owned(),
            "Plan a restart of the system for the values to hold; whether every version needs it is not certain.".to_owned(),
        ],
    )
}

const MACOS_KEEP: (&str, &str) = (
    "sysctl -w ",
    "A launchd job that runs these commands at boot keeps them; whether /etc/sysctl.conf is read depends on the release, and that is not certain.",
);
const FREEBSD_KEEP: (&str, &str) = ("", "The lines to keep go into /etc/sysctl.conf.");

fn bsd(values: &Recommended, (keep, remark): (&str, &str)) -> Four {
    let three = [
        format!("net.inet.tcp.keepidle={}", values.idle_s * 1_000),
        format!("net.inet.tcp.keepintvl={}", values.interval_s * 1_000),
        format!("net.inet.tcp.keepcnt={}", values.probes),
    ];
    let set = if keep.is_empty() { "sysctl " } else { keep };
    (
        vec!["sysctl net.inet.tcp.keepidle net.inet.tcp.keepintvl net.inet.tcp.keepcnt".to_owned()],
        three.iter().map(|one| format!("{set}{one}")).collect(),
        three.iter().map(|one| format!("{keep}{one}")).collect(),
        vec![remark.to_owned()],
    )
}
