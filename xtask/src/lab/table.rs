//! The measured table, for docs/network.md.

use super::case::{Case, Column};
use super::runner::Outcome;

/// A case, and what came of it.
type Row = (&'static Case, Outcome);

/// A row for each case of sessions, with what others do in the same case; then what was found of the lab itself.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | must hold | sessions | the classic design | plain TCP |\n|---|---|---|---|---|\n",
    );
    for (case, outcome) in of(rows, Column::Session) {
        let beside = |column| {
            let same = |(other, _): &&Row| other.column == column && other.row() == case.row();
            rows.iter().find(same).map(|(_, outcome)| outcome.cell()).unwrap_or_default()
        };
        let row = [
            case.what.to_owned(),
            case.must.to_owned(),
            outcome.cell(),
            beside(Column::Classic),
            beside(Column::Plain),
        ];
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push_str("\n| the lab itself | must hold | measured |\n|---|---|---|\n");
    for (case, outcome) in of(rows, Column::Lab) {
        text.push_str(&format!("| {} | {} | {} |\n", case.what, case.must, outcome.cell()));
    }
    text
}

fn of(rows: &[Row], column: Column) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |(case, _)| case.column == column)
}
