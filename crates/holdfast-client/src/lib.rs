//! The client: reads file systems into images and writes images back.
//!
//! | module | question it answers |
//! |---|---|
//! | [`source`] | what is on this file system, in the order of a manifest, and what do its files hold? |
//! | [`backup`] | how does that become an image, reading only what changed? |
//! | [`restore`] | how does an image become files again, or a tar stream? |
//! | [`embedded`] | how is all of this done with a vault in this process? |
//! | [`network`] | how with a media server? |
//! | [`depot`] | what does the client ask of the place where images lie? |
//! | [`remote`] | how does a media server answer that? |
//! | [`role`] | how does a host of a site take orders, and report? |
//! | [`progress`], [`places`] | how far is a run, and where? |
//! | [`cancel`] | how is a run told to end? |
//!
//! It does not choose policies, print, or know how a vault stores what it takes.

pub mod backup;
pub mod cancel;
pub mod depot;
pub mod embedded;

pub mod network;
pub mod places;
pub mod progress;
pub mod remote;

pub mod restore;
pub mod role;
pub mod source;
