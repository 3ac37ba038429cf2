//! Words that only some crates may use. To add a rule, add a row.

use super::Problem;
use super::repository::Repository;
use super::source::{crate_of, has_word, lines};

/// Where words may stand.
enum Place {
    /// Only in the code of these crates, or in these files.
    Only(&'static [&'static str]),
    /// Not in the code of these crates, or of files whose paths begin so; their tests excepted.
    Except(&'static [&'static str]),
    /// Nowhere.
    Nowhere,
}

struct Rule {
    words: &'static [&'static str],
    place: Place,
    why: &'static str,
}

/// Machines, plans and formats: no I/O, no tasks, no clock.
const PURE: &[&str] = &[
    "holdfast-types",
    "holdfast-format",
    "holdfast-proto",
    "holdfast-jobs",
    "holdfast-doctor",
    "crates/holdfast-link/src/connection/",
    "crates/holdfast-link/src/route/",
    "crates/holdfast-link/src/session/",
    "crates/holdfast/src/retention.rs",
];

const RULES: &[Rule] = &[
    Rule {
        words: &["object_store", "aws_sdk_s3", "aws_config", "rusoto_s3", "s3::", "opendal"],
        place: Place::Only(&["holdfast-store"]),
        why: "only holdfast-store knows how an object storage is spoken to",
    },
    Rule {
        words: &["aws_lc_rs", "ring::", "aes_gcm"],
        place: Place::Only(&[
            "holdfast-format",
            "crates/holdfast-link/src/identity/verify.rs",
            "crates/holdfast-link/src/identity/primitives.rs",
        ]),
        why: "only holdfast-format seals and opens; TLS and what belongs to it use the same library",
    },
    Rule {
        words: &["keyed_hash", "new_keyed"],
        place: Place::Only(&["holdfast-format"]),
        why: "only holdfast-format names chunks",
    },
    Rule {
        words: &["derive_key", "new_derive_key"],
        place: Place::Only(&["holdfast-format", "crates/holdfast-types/src/ids.rs"]),
        why: "only holdfast-format derives keys; the id of a job's image is no key",
    },
    Rule {
        words: &["gearhash", "fastcdc"],
        place: Place::Only(&["holdfast-format"]),
        why: "only holdfast-format decides where a file is cut",
    },
    Rule {
        words: &["rustls", "socket2", "setsockopt", "native_tls", "openssl"],
        place: Place::Only(&["holdfast-link"]),
        why: "only holdfast-link knows TLS and sets socket options",
    },
    Rule {
        words: &["tokio::net", "TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"],
        place: Place::Only(&["holdfast-link", "holdfast-testkit"]),
        why: "only holdfast-link opens connections",
    },
    Rule {
        words: &["rusqlite", "sqlx", "tokio_postgres"],
        place: Place::Only(&["holdfast-catalog"]),
        why: "only holdfast-catalog opens the database",
    },
    Rule {
        words: &["prost_build", "tonic_build", "tonic_prost_build", "protox"],
        place: Place::Only(&["holdfast-proto"]),
        why: "only holdfast-proto runs the protobuf compiler",
    },
    Rule {
        words: &[
            "std::fs",
            "TcpStream",
            "TcpListener",
            "tokio",
            "std::thread",
            "std::process",
            "std::env",
            "rustix",
            "nix",
        ],
        place: Place::Except(PURE),
        why: "this is pure: it decides, others act",
    },
    Rule {
        words: &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"],
        place: Place::Except(PURE),
        why: "this reads no clock: it takes `now`",
    },
    Rule {
        words: &["holdfast_client", "holdfast_jobs", "holdfast_link"],
        place: Place::Except(&["holdfast-vault", "holdfast-store", "holdfast-format"]),
        why: "a vault knows nothing of jobs, clients or the network",
    },
    Rule {
        words: &["sleep(", "sleep_until("],
        // The kernel has no wait for a file lock with a bound. Drivers wait for deadlines, and tests hold their clock.
        place: Place::Only(&[
            "crates/holdfast-store/src/local/lock.rs",
            "crates/holdfast-link/src/net/clock.rs",
        ]),
        why: "wait for the event with a bound; a fixed sleep is too long or too short",
    },
    Rule {
        words: &["#[ignore"],
        place: Place::Nowhere,
        why: "assert today's wrong answer with a note instead",
    },
    Rule {
        words: &["todo!", "unimplemented!"],
        place: Place::Nowhere,
        why: "leave out what is not there yet",
    },
    Rule { words: &["dbg!"], place: Place::Nowhere, why: "was for a moment" },
];

/// The checks hold the words that they look for.
const LEFT_OUT: &str = "xtask/src/tidy/";

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in repository.ending(".rs").filter(|(path, _)| !path.starts_with(LEFT_OUT)) {
        for line in lines(path, text) {
            for rule in RULES.iter().filter(|rule| !rule.allows(path, line.is_test)) {
                for word in rule.words.iter().filter(|word| has_word(line.code, word)) {
                    problems.push(Problem::new(path, line.number, format!("`{word}`: {}", rule.why)));
                }
            }
        }
    }
    problems
}

impl Rule {
    fn allows(&self, path: &str, is_test: bool) -> bool {
        let owner = crate_of(path);
        match self.place {
            Place::Only(owners) => owners.contains(&owner) || owners.contains(&path),
            Place::Except(owners) => {
                let is_meant = |place: &&str| {
                    if place.contains('/') { path.starts_with(place) } else { *place == owner }
                };
                is_test || !owners.iter().any(is_meant)
            }
            Place::Nowhere => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Repository::of(&[(path, text)])).into_iter().map(|problem| problem.message).collect()
    }

    /// Every row of the table finds each of its words where it is not allowed.
    #[test]
    fn every_rule_can_fail() {
        for rule in RULES {
            let (bad, good) = match rule.place {
                Place::Only(owners) => ("holdfast-console", owners),
                Place::Except(owners) => (owners[0], ["holdfast-console"].as_slice()),
                Place::Nowhere => ("holdfast-console", [].as_slice()),
            };
            for word in rule.words {
                assert!(is_found(rule, word, bad), "{word} is not found in {bad}");
                for good in good {
                    assert!(!is_found(rule, word, good), "{word} is found in {good}");
                }
            }
        }
    }

    /// Whether the word, in a crate or a file, breaks this rule.
    fn is_found(rule: &Rule, word: &str, place: &str) -> bool {
        let path = if place.contains('/') { place.to_owned() } else { format!("crates/{place}/src/a.rs") };
        found(&path, &format!("x {word} y\n")).iter().any(|problem| problem.ends_with(rule.why))
    }

    #[test]
    fn tests_and_comments_of_a_pure_crate_may_say_more() {
        assert!(
            found("crates/holdfast-format/src/a.rs", "// std::fs\n#[cfg(test)]\nuse std::fs;").is_empty()
        );
        assert!(found("crates/holdfast-format/tests/a.rs", "use std::fs;").is_empty());
        assert_eq!(found("crates/holdfast-format/src/a.rs", "use std::fs;").len(), 1);
    }

    #[test]
    fn sleeping_and_ignoring_are_found_in_tests_too() {
        assert_eq!(found("crates/holdfast-vault/tests/a.rs", "std::thread::sleep(x);").len(), 1);
        assert_eq!(found("crates/holdfast-vault/tests/a.rs", "#[ignore = \"slow\"]").len(), 1);
    }
}
