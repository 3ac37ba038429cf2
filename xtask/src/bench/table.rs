//! The table: for each corpus and step a line of wall time, processor time, memory and size, with the ratio to the
//! best of the others on that line.

use super::measure::{Sample, median};
use super::rounds::{CP, DD, Results, Step};
use super::tools::{Tool, ToolKind};

/// A line's name, what of a sample it shows, and whether that is a time.
type Figure = (&'static str, fn(&Sample) -> f64, bool);

/// Prints what was measured with what.
pub(super) fn print_head(tools: &[Tool], runs: usize) {
    let versions: Vec<_> =
        tools.iter().map(|tool| format!("{} {}", tool.kind.name(), tool.version)).collect();
    println!("{}. Medians of {runs}.", versions.join(", "));
    println!(
        "Ratios are to the best of the others on the same line: times faster; for memory and size, the share of it."
    );
}

/// Prints the table of one corpus.
pub(super) fn print(corpus: &str, tools: &[Tool], results: &Results) {
    let mib = mib(results.source_bytes);
    println!("\n{corpus}: {} files, {mib:.0} MiB\n", results.source_files);
    print!("{}", render(tools, results));
}

/// Prints what went wrong.
pub(super) fn print_notes(failures: &[String]) {
    for failure in failures {
        println!("\nFAILED: {failure}");
    }
}

fn render(tools: &[Tool], results: &Results) -> String {
    let names: Vec<_> = tools.iter().map(|tool| tool.kind.name()).collect();
    let mut text = format!("| step | | {} | ratio | reference |\n", names.join(" | "));
    text += &format!("|---|---|{}---|---|\n", "---|".repeat(names.len()));
    for step in Step::ALL.into_iter().filter(|step| results.samples.iter().any(|(other, ..)| other == step)) {
        let lines: [Figure; 3] = [
            ("wall, s", |sample| sample.wall_seconds, true),
            ("CPU, s", |sample| sample.cpu_seconds, true),
            ("peak memory, MiB", |sample| sample.peak_mib, false),
        ];
        for (what, figure, is_time) in lines {
            let values: Vec<_> = names.iter().map(|name| median_of(results, step, name, figure)).collect();
            let reference = if what.starts_with("wall") { reference(results, step) } else { String::new() };
            text += &line(step, what, &names, &values, is_time, &reference);
        }
        let sizes: Vec<_> = names.iter().map(|name| size_of(results, step, name)).collect();
        if sizes.iter().any(Option::is_some) {
            text += &line(step, "vault, MiB", &names, &sizes, false, "");
        }
    }
    text
}

fn line(
    step: Step,
    what: &str,
    names: &[&str],
    values: &[Option<f64>],
    is_time: bool,
    reference: &str,
) -> String {
    let cell = |value: &Option<f64>| match value {
        Some(value) if is_time => format!("{value:.2}"),
        Some(value) => format!("{value:.1}"),
        None => "-".to_owned(),
    };
    let cells: Vec<_> = values.iter().map(cell).collect();
    format!(
        "| {} | {what} | {} | {} | {reference} |\n",
        step.name(),
        cells.join(" | "),
        ratio(names, values, is_time)
    )
}

/// Holdfast against the best of the others.
fn ratio(names: &[&str], values: &[Option<f64>], is_time: bool) -> String {
    let ours = names
        .iter()
        .zip(values)
        .find(|(name, _)| **name == ToolKind::Holdfast.name())
        .and_then(|(_, value)| *value);
    let others = names.iter().zip(values).filter(|(name, _)| **name != ToolKind::Holdfast.name());
    let best = others.filter_map(|(name, value)| Some((name, (*value)?))).min_by(|a, b| a.1.total_cmp(&b.1));
    match (ours, best) {
        (Some(ours), Some((name, best))) if is_time => format!("{:.2} × {name}", best / ours.max(0.001)),
        (Some(ours), Some((name, best))) => format!("{:.3} of {name}", ours / best.max(0.001)),
        _ => "-".to_owned(),
    }
}

/// What the machine itself takes: the wall time of a reference command.
fn reference(results: &Results, step: Step) -> String {
    let found = [CP, DD].into_iter().filter_map(|name| {
        let seconds = median_of(results, step, name, |sample| sample.wall_seconds)?;
        Some(format!("{name} {seconds:.2}"))
    });
    found.collect::<Vec<_>>().join(", ")
}

fn median_of(results: &Results, step: Step, name: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
    let matching = results.samples.iter().filter(|(other, owner, _)| *other == step && owner == name);
    median(&matching.map(|(.., sample)| figure(sample)).collect::<Vec<_>>())
}

fn size_of(results: &Results, step: Step, name: &str) -> Option<f64> {
    let matching = results.sizes.iter().filter(|(other, owner, _)| *other == step && owner == name);
    median(&matching.map(|(.., bytes)| mib(*bytes)).collect::<Vec<_>>())
}

#[allow(clippy::cast_precision_loss, reason = "sizes of vaults fit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_best_of_the_others() {
        let names = ["holdfast", "restic", "borg"];
        assert_eq!(ratio(&names, &[Some(2.0), Some(8.0), Some(6.0)], true), "3.00 × borg");
        assert_eq!(ratio(&names, &[Some(82.0), Some(100.0), None], false), "0.820 of restic");
        assert_eq!(ratio(&names, &[Some(82.0), None, None], false), "-");
        assert_eq!(ratio(&names[1..], &[Some(1.0), Some(2.0)], true), "-");
    }

    #[test]
    fn references_stand_beside_the_wall_time() {
        let sample = |seconds| Sample { wall_seconds: seconds, cpu_seconds: 1.0, peak_mib: 1.0 };
        let samples =
            vec![(Step::Full, DD.to_owned(), sample(1.0)), (Step::Full, DD.to_owned(), sample(3.0))];
        let text = render(&[], &Results { samples, ..Results::default() });
        assert!(text.contains("| full | wall, s |") && text.contains("`dd conv=fsync` 2.00"), "{text}");
    }
}
