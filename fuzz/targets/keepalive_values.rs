//! Pasted output of a system's own command: the first byte chooses the system.
#![no_main]

use holdfast_doctor::keepalive::values::System;
use holdfast_doctor::keepalive::{Goals, examine, read};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let system = System::ALL[usize::from(*first) % System::ALL.len()];
    let report = examine(read::read(system, text, "input"), Goals::default());
    assert!(report.unknown.len() < 40);
    assert!(report.text().len() + report.facts.text().len() < 100_000);
});
