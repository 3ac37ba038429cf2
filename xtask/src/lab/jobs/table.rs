//! The matrix as a table, for docs/reliability.md: a row for each fault, a column for each phase.

use super::super::runner::Outcome;
use super::case::{Case, Phase};

/// A cell says how long the job took, how many attempts, and what was read again.
pub(super) fn markdown(outcomes: &[(Case, Outcome)]) -> String {
    let words = Phase::ALL.map(Phase::word).join(" | ");
    let mut text = format!("| | {words} |\n|---|{}\n", "---|".repeat(Phase::ALL.len()));
    let mut faults: Vec<String> = Vec::new();
    for (case, _) in outcomes {
        let word = case.fault.word();
        if !faults.contains(&word) {
            faults.push(word);
        }
    }
    for fault in faults {
        let cell = |phase| {
            let found = outcomes.iter().find(|(case, _)| case.phase == phase && case.fault.word() == fault);
            found.map(|(_, outcome)| cell(outcome)).unwrap_or_default()
        };
        text.push_str(&format!("| `{fault}` | {} |\n", Phase::ALL.map(cell).join(" | ")));
    }
    text
}

fn cell(outcome: &Outcome) -> String {
    if !outcome.holds() {
        return format!("**does not hold**: {}", outcome.cell());
    }
    short(&outcome.measured)
}

/// Of the figures of a case what a reader looks for first.
fn short(measured: &str) -> String {
    let figures: Vec<&str> = measured.split("; ").collect();
    let of = |name: &str| figures.iter().find_map(|figure| figure.strip_prefix(name)?.strip_prefix(' '));
    let took = figures.iter().find(|figure| figure.ends_with(" s") && figure.starts_with(char::is_numeric));
    let mut text = took.copied().unwrap_or("holds").to_owned();
    if let Some(attempts) = of("attempts").filter(|attempts| *attempts != "1") {
        text.push_str(&format!(", {attempts} attempts"));
    }
    if let Some(again) = of("read again").filter(|again| *again != "0 B") {
        text.push_str(&format!(", {again} again"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_short() {
        assert_eq!(short("13.5 s; attempts 1; read again 0 B; sent 286 MiB"), "13.5 s");
        let figures =
            "image at the fault made; 9.0 s; attempts 2; read again 53 MiB; sent 295 MiB; outage of 1.0 s";
        assert_eq!(short(figures), "9.0 s, 2 attempts, 53 MiB again");
    }
}
