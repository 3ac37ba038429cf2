//! The doctor from what it is given to its findings: one test binary, a file for each examination.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, where a panic is the report"
)]

mod idle;
mod logs;
