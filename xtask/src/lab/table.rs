//! The measured table, for docs/network.md.

use super::case::Column;
use super::runner::Outcome;

/// A row for each case of sessions, with what others do in the same case; then what was found of the lab itself.
pub(super) fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| case | must hold | sessions | the classic design | plain TCP |\n|---|---|---|---|---|\n",
    );
    for outcome in of(outcomes, Column::Session) {
        let beside = |column| {
            let same =
                |other: &&Outcome| other.case.column == column && other.case.row() == outcome.case.row();
            outcomes.iter().find(same).map(cell).unwrap_or_default()
        };
        let row = [
            outcome.case.what.to_owned(),
            outcome.case.must.to_owned(),
            cell(outcome),
            beside(Column::Classic),
            beside(Column::Plain),
        ];
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push_str("\n| the lab itself | must hold | measured |\n|---|---|---|\n");
    for outcome in of(outcomes, Column::Lab) {
        text.push_str(&format!("| {} | {} | {} |\n", outcome.case.what, outcome.case.must, cell(outcome)));
    }
    text
}

fn of(outcomes: &[Outcome], column: Column) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().filter(move |outcome| outcome.case.column == column)
}

fn cell(outcome: &Outcome) -> String {
    let failed = outcome.broken.iter().map(|why| format!("**does not hold**: {why}"));
    let parts: Vec<String> = std::iter::once(outcome.measured.clone()).chain(failed).collect();
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| part.replace('|', "\\|"))
        .collect::<Vec<_>>()
        .join("; ")
}
