//! The parsers of stored bytes, each behind one function of a byte string: what fuzzers call, here in the ordinary tests
//! and in `fuzz/`. A function that returns is content; what is wrong panics. Not part of the library: built only for
//! tests and with the feature `fuzzing`.
//!
//! What stands behind authentication is sealed here first, so that the input reaches the parser.

mod manifests;
mod objects;
mod samples;
#[cfg(test)]
mod tests;

/// A parser, or some that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the fuzzer in `fuzz/`.
    pub name: &'static str,
    /// Feeds it.
    pub run: fn(&[u8]),
    /// Good inputs, to begin from.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "header", run: objects::header, samples: samples::header },
    Target { name: "config", run: objects::config, samples: samples::config },
    Target { name: "key_text", run: objects::key_text, samples: samples::key_text },
    Target { name: "group", run: objects::group, samples: samples::group },
    Target { name: "pack_footer", run: objects::pack_footer, samples: samples::pack_footer },
    Target { name: "index", run: objects::index, samples: samples::index },
    Target { name: "filter", run: objects::filter, samples: samples::filter },
    Target { name: "node", run: manifests::node, samples: samples::node },
    Target { name: "piece_list", run: manifests::piece_list, samples: samples::piece_list },
    Target { name: "record", run: objects::record, samples: samples::record },
    Target { name: "mark", run: objects::mark, samples: samples::mark },
];

/// A parser that is wrong on purpose: it believes a length. Whatever runs the targets must find it out.
pub const CANARY: Target = Target {
    name: "canary",
    run: |bytes| {
        if let [length, rest @ ..] = bytes {
            let body = &rest[..usize::from(*length)];
            assert!(body.len() < 256);
        }
    },
    samples: || vec![vec![3, 1, 2, 3, 4]],
};

/// Runs the target with this name.
pub fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().chain([&CANARY]).find(|target| target.name == name);
    assert!(found.is_some(), "no target {name}");
    if let Some(target) = found {
        (target.run)(bytes);
    }
}
