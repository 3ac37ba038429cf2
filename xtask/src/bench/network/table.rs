//! The table of the network mode: a line for each figure of each step, with the ratio of every other program to Holdfast.

use super::super::measure::median;
use super::super::rounds::Step;
use super::options::Kind;
use super::rounds::{Figures, Results, STEPS};

/// A line's name, what it shows, and with how many digits.
type Line = (&'static str, fn(&Figures) -> Option<f64>, usize);

const LINES: [Line; 5] = [
    ("wall, s", |figures| Some(figures.wall_seconds), 2),
    ("CPU of all, s", |figures| Some(figures.cpu_seconds), 2),
    ("start of the job, s", |figures| figures.start_seconds, 3),
    ("peak memory, sum, MiB", |figures| Some(figures.peaks_mib.iter().map(|(_, mib)| mib).sum()), 1),
    ("vault, MiB", |figures| figures.vault_bytes.map(mib), 1),
];

/// Says what the figures are.
pub(super) fn print_head(kinds: &[Kind], versions: &[String], runs: usize) {
    println!("{}. Medians of {runs}, over the loopback of one machine.", versions.join(", "));
    println!("Ratios are the others' figures, divided by Holdfast's: above 1 is more than Holdfast takes.");
    println!(
        "CPU and memory are those of the command and of all daemons; start is until the first contents are stored."
    );
    let others = kinds.iter().filter_map(|kind| match kind {
        Kind::Holdfast => None,
        Kind::Embedded => Some("embedded: Holdfast without daemons, vault in a directory"),
        Kind::Restic => Some("restic: repository over SFTP"),
        Kind::Bacula => {
            Some("bacula: neither encrypted nor compressed, no digests; the second backup is incremental")
        }
    });
    others.for_each(|line| println!("{line}."));
}

/// The table of one corpus.
pub(super) fn render(kinds: &[Kind], results: &Results) -> String {
    let names = |kinds: &[Kind]| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" | ");
    let compared = compared(kinds);
    let ratios: String = compared.iter().map(|kind| format!(" {} / holdfast |", kind.name())).collect();
    let mut text = format!("| step | | {} |{ratios}\n|---|---|", names(kinds));
    text += &"---:|".repeat(kinds.len() + compared.len());
    text.push('\n');
    for step in STEPS {
        for (what, figure, digits) in LINES {
            let values: Vec<_> = kinds.iter().map(|kind| median_of(results, step, *kind, figure)).collect();
            if values.iter().any(Option::is_some) {
                text += &line(step, what, digits, kinds, &values);
            }
        }
        text += &peaks_line(step, kinds, results);
    }
    text
}

/// With whom Holdfast is compared.
fn compared(kinds: &[Kind]) -> Vec<Kind> {
    let has_ours = kinds.contains(&Kind::Holdfast);
    kinds.iter().copied().filter(|kind| has_ours && *kind != Kind::Holdfast).collect()
}

fn line(step: Step, what: &str, digits: usize, kinds: &[Kind], values: &[Option<f64>]) -> String {
    let of = |kind: Kind| kinds.iter().position(|other| *other == kind).and_then(|at| values[at]);
    let cells = values.iter().map(|value| value.map_or("-".to_owned(), |value| format!("{value:.digits$}")));
    let ratios = compared(kinds).into_iter().map(|kind| ratio(of(Kind::Holdfast), of(kind)));
    let cells: Vec<String> = cells.chain(ratios).collect();
    format!("| {} | {what} | {} |\n", step.name(), cells.join(" | "))
}

fn ratio(ours: Option<f64>, other: Option<f64>) -> String {
    match (ours, other) {
        (Some(ours), Some(other)) if ours > 0.0 => format!("{:.2}", other / ours),
        _ => "-".to_owned(),
    }
}

/// Whose memory the sum is of.
fn peaks_line(step: Step, kinds: &[Kind], results: &Results) -> String {
    let cells: Vec<_> = kinds.iter().map(|kind| peaks_of(results, step, *kind)).collect();
    let empty = " |".repeat(compared(kinds).len());
    format!("| {} | peak memory of each, MiB | {} |{empty}\n", step.name(), cells.join(" | "))
}

fn peaks_of(results: &Results, step: Step, kind: Kind) -> String {
    let all = figures_of(results, step, kind);
    let names = all.first().map(|figures| figures.peaks_mib.as_slice()).unwrap_or_default();
    let peaks = names.iter().enumerate().filter_map(|(at, (name, _))| {
        let values: Vec<f64> = all.iter().filter_map(|figures| Some(figures.peaks_mib.get(at)?.1)).collect();
        median(&values).map(|value| format!("{name} {value:.0}"))
    });
    peaks.collect::<Vec<_>>().join(", ")
}

fn figures_of(results: &Results, step: Step, kind: Kind) -> Vec<&Figures> {
    let matching = results.figures.iter().filter(|(other, owner, _)| *other == step && *owner == kind);
    matching.map(|(.., figures)| figures).collect()
}

fn median_of(results: &Results, step: Step, kind: Kind, figure: fn(&Figures) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = figures_of(results, step, kind).into_iter().filter_map(figure).collect();
    median(&values)
}

#[allow(clippy::cast_precision_loss, reason = "sizes of vaults fit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(wall_seconds: f64, peaks: &[(&'static str, f64)], start: Option<f64>) -> Figures {
        let (peaks_mib, start_seconds) = (peaks.to_vec(), start);
        Figures { wall_seconds, cpu_seconds: 1.0, peaks_mib, start_seconds, vault_bytes: None }
    }

    #[test]
    fn every_other_program_has_its_ratio() {
        let peaks = [("command", 10.0), ("primary", 30.0)];
        let kinds = [Kind::Holdfast, Kind::Embedded, Kind::Restic];
        let rows = vec![
            (Step::Full, Kind::Holdfast, figures(2.0, &peaks, Some(0.25))),
            (Step::Full, Kind::Holdfast, figures(4.0, &peaks, Some(0.75))),
            (Step::Full, Kind::Embedded, figures(1.5, &peaks[..1], None)),
        ];
        let text = render(&kinds, &Results { figures: rows, failures: vec![] });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "| step | | holdfast | embedded | restic | embedded / holdfast | restic / holdfast |"
        );
        assert_eq!(lines[1], "|---|---|---:|---:|---:|---:|---:|");
        assert_eq!(lines[2], "| full | wall, s | 3.00 | 1.50 | - | 0.50 | - |");
        assert_eq!(lines[4], "| full | start of the job, s | 0.500 | - | - | - | - |");
        assert_eq!(lines[5], "| full | peak memory, sum, MiB | 40.0 | 10.0 | - | 0.25 | - |");
        assert!(
            text.contains(
                "| full | peak memory of each, MiB | command 10, primary 30 | command 10 |  | | |\n"
            ),
            "{text}"
        );
        assert!(!text.contains("vault, MiB"), "{text}");
    }

    #[test]
    fn without_holdfast_there_are_no_ratios() {
        let rows = vec![(Step::Same, Kind::Bacula, figures(1.0, &[], None))];
        let text = render(&[Kind::Bacula], &Results { figures: rows, failures: vec![] });
        assert!(text.contains("| same | wall, s | 1.00 |\n") && !text.contains('/'), "{text}");
    }
}
