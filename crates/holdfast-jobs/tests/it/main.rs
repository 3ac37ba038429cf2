//! Jobs through the crate's public face, a file per theme. `world` is a small world around one job: a primary server, a client
//! and a media server that send each other messages. `explore` goes through every order of its steps, `histories` through
//! random ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod budget;
mod calm;
mod explore;
mod histories;
mod rules;
mod times;
mod world;
