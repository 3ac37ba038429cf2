//! Fuzzes the examination of logs: whatever stands in a file, in two pieces of two hosts, it gives a report that can be printed.
#![no_main]

use holdfast_doctor::logs::{Gatherer, Source, coverage, examine, naming};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut gatherer = Gatherer::new(None, None);
    for (host, program, piece) in [("a", "bpcd", first), ("b", "vnetd", second)] {
        let path = format!("{host}/{program}/log.060311");
        let named = naming::read(&path);
        let source = Source {
            file: path,
            host: host.to_owned(),
            program: named.program,
            day: named.day,
            is_day_assumed: false,
        };
        gatherer.read(&source, piece);
    }
    let report = examine(gatherer.finish());
    let text = coverage::text(&report.facts) + &report.text();
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'));
});
