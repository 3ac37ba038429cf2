//! Trees: a plan says what to make, `create` makes it, `mutate` changes what is there.

mod content;
mod create;
mod mutate;
mod names;
mod plan;
mod random;

pub use content::Content;
pub use mutate::mutate;
pub use names::any_name;
pub use plan::{Attributes, Node, Plan, Segment, What};
