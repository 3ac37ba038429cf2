//! For tests only: random trees and changes on a real file system, a comparison of two trees that misses nothing, the
//! `holdfast` program run as a process, and a lab of network namespaces.
//!
//! Shares no code with what it tests: a mistake in the client's walk must not hide itself in the comparison. Everything
//! random follows from a `u64` seed, so that a failure can be had again.

mod at;

pub mod classic_logs;
pub mod compare;
pub mod lab;
pub mod program;
pub mod random;
pub mod silent;
pub mod tree;

pub use compare::Compare;
pub use program::{Outcome, Program, Running};
pub use random::Random;
pub use silent::Silent;
pub use tree::{Content, Plan, mutate};
