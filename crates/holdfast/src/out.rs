//! Standard output: the only way to it. A reader that goes away (`| head`) ends the command quietly.

use std::io::{BufWriter, ErrorKind, IsTerminal, Stdout, Write};

use holdfast_types::terminal::steers;
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::ser::{Formatter, Serializer};

use crate::errors::{Failure, Result, Status};

/// Buffered standard output.
pub(crate) struct Out(BufWriter<Stdout>);

/// What a failed write to standard output means.
pub(crate) fn failed(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::Closed(Status::Done),
        _ => Failure::plain(format!("cannot write the output: {error}")),
    }
}

impl Out {
    /// Standard output.
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, std::io::stdout()))
    }

    /// Whether a person is likely to be looking at it.
    pub(crate) fn is_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.text(text.as_ref())?;
        self.text("\n")
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.0.write_all(text.as_bytes()).map_err(|error| failed(&error))
    }

    /// Writes one JSON value as a line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.line(to_json(value))
    }

    /// Writes what is buffered.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(|error| failed(&error))
    }
}

/// A JSON list on one line that is written item by item, so that a long one takes no memory.
pub(crate) struct List {
    out: Out,
    count: u64,
}

impl List {
    /// Begins a list on standard output.
    pub(crate) fn new(out: Out) -> Self {
        Self { out, count: 0 }
    }

    /// Adds an item.
    pub(crate) fn item(&mut self, value: &impl Serialize) -> Result<()> {
        let before = if self.count == 0 { "[" } else { "," };
        self.count += 1;
        self.out.text(before)?;
        self.out.text(&to_json(value))
    }

    /// Ends the list.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.out.line(if self.count == 0 { "[]" } else { "]" })?;
        self.out.finish()
    }
}

/// A value as one line of JSON that is safe on a terminal.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Guarded));
    let text = written.and_then(|()| String::from_utf8(bytes).map_err(serde_json::Error::custom));
    // Our own structs always serialise: they have no maps with odd keys.
    text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

/// Compact JSON, in which characters that steer terminals are escaped (JSON itself asks for those below 0x20 only).
struct Guarded;

impl Formatter for Guarded {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut plain_from = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| steers(*character)) {
            writer.write_all(&fragment.as_bytes()[plain_from..at])?;
            // All are below U+10000: one escape is enough.
            write!(writer, "\\u{:04x}", u32::from(character))?;
            plain_from = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_never_steers_a_terminal_and_reads_back() {
        for text in ["plain", "é\u{9b}2J\u{7f}", "\u{202e}txt\u{2066}", "\u{1b}[2J\n\"\\", ""] {
            let json = to_json(&text);
            assert!(!json.chars().any(steers), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
