//! The tools of other crates' tests, tested: above all that the comparison finds each kind of difference.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod compare;
mod program;
mod tree;
