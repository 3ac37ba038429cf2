//! The client's tests on real file systems, one binary, a module for each theme.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, where a panic is the report")]

mod backup;
mod network;
mod restore;
mod role;
mod source;
