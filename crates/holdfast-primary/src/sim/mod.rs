//! A whole site by seed: the real manager on a real catalog, and models of its hosts, in a time that is made up. Messages take
//! time, cables are cut, processes end and begin, clocks are set, the catalog's disk is full; whatever follows from the seed
//! follows again. What must hold is in `checks`.
//!
//! Not here: sessions (they are simulated in holdfast-link, over a pretended network) and how a client reads or a media server
//! stores. SQLite works on threads of its own, in real time; a paused clock of tokio's would run ahead of it. So no clock of
//! tokio's is used: the manager is given the time.
//!
//! | file | question |
//! |---|---|
//! | `world` | what happens when, and what is in the way? |
//! | `primary` | how is the primary server's process driven, and how does it end? |
//! | `host`, `vault` | what do a client and a media server do? |
//! | `work` | how does an attempt go on? |
//! | `plan` | which jobs and faults follow from a seed? |
//! | `checks` | what must hold? |
//! | `seeds`, `writes` | the tests |

mod checks;
mod host;
mod plan;
mod primary;
mod seeds;
mod vault;
mod work;
mod world;
mod writes;
