//! Finds what the network does to backups. Probes and parsers gather facts, rules that are pure turn facts into findings, and
//! reporters print them. What is not known stays unknown, and is said.
//!
//! | module | question it answers |
//! |---|---|
//! | [`finding`] | what was found, how bad is it, what shows it, and what is to be done? |
//! | [`code`] | which kinds of findings are there, and what does each mean? |
//! | [`connect`] | what becomes of connections to a host, and what does that cost? |
//! | [`idle`] | after how long does a path forget a connection on which nothing is sent? |
//! | [`keepalive`] | do the settings of a system notice a lost connection in time? |
//! | [`logs`] | what do the logs of the classic system say about last night? |
//! | [`matrix`] | who reaches whom in a site? |
//! | [`report`] | what did an examination give as a whole, and how is it told? |

pub mod code;
pub mod connect;
pub mod finding;
pub mod idle;
pub mod keepalive;
pub mod logs;
pub mod matrix;
pub mod report;
