//! Fuzzes the target "header" of holdfast-format: see its module `fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_format::fuzzing::run("header", bytes));
