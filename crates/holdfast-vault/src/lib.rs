//! The vault engine.
