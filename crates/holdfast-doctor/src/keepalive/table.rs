//! Settings, worst cases and commands as text for a person.

use std::fmt::Write;

use super::Facts;
use super::values::{Origin, Setting, Unit, seconds};

/// Settings and worst cases.
pub(super) fn before(facts: &Facts) -> String {
    let mut text = format!(
        "TCP keepalive of {}; a loss is to be noticed within {} s, firewalls forget idle connections after {} s\n\n",
        facts.values.system, facts.detect_goal_s, facts.idle_timeout_s
    );
    let rows: Vec<[String; 5]> = facts.values.settings.iter().map(row).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for [what, name, value, time, source] in &rows {
        let line = format!(
            "  {what:0$}  {name:1$}  {value:>2$}  {time:>3$}  {source}",
            widths[0], widths[1], widths[2], widths[3]
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("\nA loss is noticed at the latest\n");
    let detection = &facts.detection;
    let idle = match (&detection.idle, detection.never) {
        (Some(worst), _) => worst.formula.clone(),
        (None, true) => "never: probing has no end".to_owned(),
        (None, false) => "not known".to_owned(),
    };
    let data = detection
        .data
        .as_ref()
        .map_or_else(|| "not known".to_owned(), |worst| format!("{:.1} s", worst.time.as_secs_f64()));
    // Writing to a string does not fail.
    let _ = writeln!(text, "  idle connection, keepalive on   {idle}");
    let _ = writeln!(text, "  data under way                  {data}");
    let _ = writeln!(text, "  the other program hangs         never by TCP: its system still answers\n");
    text
}

fn row(setting: &Setting) -> [String; 5] {
    let value = match setting.value {
        None => "unknown".to_owned(),
        Some(value) => format!("{value} {}", setting.unit.words()),
    };
    let time = match setting.time() {
        Some(time) if setting.unit != Unit::Seconds => format!("= {} s", seconds(time)),
        _ => String::new(),
    };
    let source = match (setting.origin, setting.default) {
        (Origin::Set, Some(default)) => format!("{} (default {default})", setting.read_from),
        (Origin::Default, _) => format!("{} (the default)", setting.read_from),
        (Origin::NotSet, _) => format!("{}: the default", setting.read_from),
        _ => setting.read_from.clone(),
    };
    let clean = source.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    [setting.role.words().to_owned(), setting.name.to_owned(), value, time, clean]
}

/// The commands.
pub(super) fn after(facts: &Facts) -> String {
    let commands = &facts.commands;
    let mut text = format!("Commands on {}, with values that meet the goals\n", facts.values.system);
    for (what, lines) in [("show", &commands.show), ("change now", &commands.now), ("keep", &commands.keep)] {
        for (at, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "  {:10}  {line}", if at == 0 { what } else { "" });
        }
    }
    for remark in &commands.remarks {
        let _ = writeln!(text, "  {remark}");
    }
    text
}
