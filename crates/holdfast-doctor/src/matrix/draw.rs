//! The matrix as text and as a table: who dials stands at the left, whom at the top.

use super::facts::{Facts, Host, Outcome, Role};
use crate::report::html::{Field, Grid, Table};
use crate::report::picture::Kind;

/// Hosts for which a matrix fits a page or a terminal; of more, only the ways are listed.
pub const GRID_MAX: usize = 16;

/// What the words and signs of the matrix mean.
pub const LEGEND: &str = "open: the right host answers; refused: a reset, nothing listens there or a firewall says no; dropped: no \
                          answer at all;\nunreachable: a router says so; mute: accepted, then silence; foreign: somebody else \
                          answers;\nnot tried: there was no time; .: no address to dial; ?: not told";

/// As a picture of a page, for a site that is small enough: each field the best address that was tried, and what came.
#[must_use]
pub fn picture(facts: &Facts) -> Option<Grid> {
    if facts.hosts.len() > GRID_MAX {
        return None;
    }
    let field = |from: usize, to: usize| match facts.best(from, to) {
        _ if from == to => Field { kind: None, word: String::new(), detail: String::new() },
        Some(way) => {
            let ms =
                if way.outcome == Outcome::Untried { String::new() } else { format!(", {} ms", way.millis) };
            let detail = format!("{}{ms}", way.address);
            Field { kind: Some(kind(way.outcome)), word: way.outcome.word().into(), detail }
        }
        None => {
            let told = facts.hosts.get(from).is_some_and(|host| host.told);
            let word = if told { "no address" } else { "not told" };
            Field { kind: None, word: word.into(), detail: String::new() }
        }
    };
    let fields = |from: usize| (0..facts.hosts.len()).map(|to| field(from, to)).collect();
    Some(Grid {
        title: "Who can dial whom: from the host at the left to the host at the top".into(),
        columns: facts.hosts.iter().map(named).collect(),
        rows: facts.hosts.iter().enumerate().map(|(from, host)| (named(host), fields(from))).collect(),
    })
}

fn kind(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::Open => Kind::Good,
        Outcome::Dropped => Kind::Delay,
        Outcome::Refused | Outcome::Unreachable | Outcome::Foreign => Kind::Failure,
        Outcome::Mute | Outcome::Untried => Kind::Note,
    }
}

/// Every way that was tried, as a table of a page.
#[must_use]
pub fn table(facts: &Facts) -> Table {
    let (columns, rows) = list(facts);
    Table { title: "Every address that was tried".to_owned(), columns, rows }
}

/// As text, a line for each host.
#[must_use]
pub fn text(facts: &Facts) -> String {
    let (columns, rows) = grid(facts);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([columns[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&columns).chain(&rows) {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Columns and rows: a matrix of a small site, a list of ways for a large one.
fn grid(facts: &Facts) -> (Vec<String>, Vec<Vec<String>>) {
    if facts.hosts.len() > GRID_MAX {
        return list(facts);
    }
    let mut columns = vec!["from \\ to".to_owned()];
    columns.extend(facts.hosts.iter().map(named));
    let row = |from: usize, host: &Host| {
        let cell = |to: usize| match facts.best(from, to) {
            _ if from == to => "-".to_owned(),
            Some(way) => way.outcome.word().to_owned(),
            None if !host.told => "?".to_owned(),
            // No address to dial.
            None => ".".to_owned(),
        };
        let mut row = vec![named(host)];
        row.extend((0..facts.hosts.len()).map(cell));
        row
    };
    let rows = facts.hosts.iter().enumerate().map(|(from, host)| row(from, host)).collect();
    (columns, rows)
}

fn list(facts: &Facts) -> (Vec<String>, Vec<Vec<String>>) {
    let columns = ["from", "to", "at", "is", "ms"].map(str::to_owned).to_vec();
    let name = |index: usize| facts.hosts.get(index).map(named).unwrap_or_default();
    let row = |way: &super::facts::Way| {
        vec![
            name(way.from),
            name(way.to),
            way.address.clone(),
            way.outcome.word().to_owned(),
            way.millis.to_string(),
        ]
    };
    (columns, facts.ways.iter().map(row).collect())
}

fn named(host: &Host) -> String {
    match host.role {
        Role::Primary => format!("{} (primary)", host.name),
        Role::Media => format!("{} (media)", host.name),
        Role::Client => host.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::facts::Way;

    #[test]
    fn a_small_site_is_a_matrix() {
        let host =
            |name: &str, role, told| Host { name: name.into(), role, told, error: None, connected: false };
        let hosts = vec![
            host("p", Role::Primary, true),
            host("web1", Role::Client, true),
            host("db", Role::Client, false),
        ];
        let way = Way {
            from: 1,
            to: 0,
            address: "10.0.0.1:7556".into(),
            outcome: Outcome::Open,
            millis: 2,
            detail: String::new(),
        };
        let facts = Facts { hosts, ways: vec![way] };
        let picture = picture(&facts).unwrap();
        let (name, fields) = &picture.rows[1];
        assert_eq!(
            (name.as_str(), fields[0].kind, fields[0].detail.as_str()),
            ("web1", Some(Kind::Good), "10.0.0.1:7556, 2 ms")
        );
        assert_eq!((fields[2].kind, fields[2].word.as_str()), (None, "no address"));
        assert_eq!(table(&facts).rows.len(), 1);
        let text = text(&facts);
        let expected = "\
from \\ to    p (primary)  web1  db
p (primary)  -            .     .
web1         open         -     .
db           ?            ?     -
";
        assert_eq!(text, expected);
    }
}
