//! A parser that is wrong on purpose: this fuzzer must fail within seconds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_format::fuzzing::run("canary", bytes));
