//! Lines of JSON on standard output, each with the time.

use std::io::Write;

use holdfast_testkit::lab::now_ms;
use serde_json::{Value, json};

/// What a command comes to, or why not.
pub(crate) type Answer = Result<Value, Failure>;

/// Why a command failed: in words, and the system's number if it has one.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) errno: Option<i32>,
    /// More, for the one who asked.
    pub(crate) more: Value,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), errno: None, more: Value::Null }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { text: error.to_string(), errno: error.raw_os_error(), more: Value::Null }
    }
}

/// Answers a command.
pub(crate) fn answer(id: &Value, answer: Answer) {
    let mut line = match answer {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(other) => json!({ "value": other }),
        Err(failure) => json!({ "error": failure.text, "errno": failure.errno, "more": failure.more }),
    };
    line["id"] = id.clone();
    say(line);
}

/// Tells something that nobody has asked for.
pub(crate) fn event(name: &str, mut what: Value) {
    what["event"] = name.into();
    say(what);
}

fn say(mut line: Value) {
    if line.get("ms").is_none() {
        line["ms"] = now_ms().into();
    }
    let mut text = line.to_string();
    text.push('\n');
    // Nobody listens any more: the input ends too, and so does the program.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Tells a person.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
