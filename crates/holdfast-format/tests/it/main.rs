//! The stored format through its public face: what is written is read again, what is odd is refused, and what the page
//! shows as examples is what the program does. One file per theme.

mod chunker;
mod compare;
mod content;
mod hostile_entries;
mod hostile_nodes;
mod hostile_objects;
mod manifest;
mod manifest_edits;
mod message;
mod support;
mod vectors;
