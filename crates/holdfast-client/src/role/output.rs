//! What a command says: read while it runs, so that it never waits for a reader, and kept as far as its end goes. Read on a
//! thread, until the command is over: what it leaves in the background may hold its output open for years.

use std::io::{self, PipeReader, PipeWriter, Read};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use tokio::sync::oneshot;

/// Bytes that are kept: the last.
const KEPT_MAX: usize = 4 << 10;
const PIECE: usize = 4 << 10;
/// Pieces that are read after the command is over: as much as a pipe holds.
const LAST_MAX: usize = 16;

/// The output of one command.
#[derive(Debug)]
pub(super) struct Output {
    /// Closed when the command is over.
    over: PipeWriter,
    said: oneshot::Receiver<Vec<u8>>,
}

impl Output {
    /// Begins, with what the command writes to.
    pub(super) fn open() -> io::Result<(Self, PipeWriter)> {
        let (output, writer) = io::pipe()?;
        let (end, over) = io::pipe()?;
        let (said_out, said) = oneshot::channel();
        let listen = move || {
            // Whoever is gone does not want it.
            let _ = said_out.send(listen(output, &end));
        };
        std::thread::Builder::new().name("command-output".into()).spawn(listen)?;
        Ok((Self { over, said }, writer))
    }

    /// The end of what was said so far.
    pub(super) async fn finish(self) -> Vec<u8> {
        drop(self.over);
        self.said.await.unwrap_or_default()
    }
}

fn listen(mut output: PipeReader, end: &PipeReader) -> Vec<u8> {
    let (mut said, mut piece, mut left) = (Vec::new(), [0; PIECE], LAST_MAX);
    while left > 0 {
        let mut fds = [PollFd::new(&output, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut fds, None)).is_err() {
            break;
        }
        let [is_there, is_over] = fds.map(|fd| !fd.revents().is_empty());
        if is_over {
            left -= 1;
        }
        match is_there.then(|| output.read(&mut piece)) {
            Some(Ok(length @ 1..)) => {
                said.extend_from_slice(&piece[..length]);
                said.drain(..said.len().saturating_sub(KEPT_MAX));
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nobody can say more, or nothing is left of what was said.
            _ => break,
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn the_end_is_kept_though_somebody_holds_it_open() {
        let (output, mut writer) = Output::open().unwrap();
        writer.write_all(&[b'a'; 100_000]).unwrap();
        writer.write_all(b"the end").unwrap();
        let said = output.finish().await;
        assert!(said.ends_with(b"the end") && said.len() == KEPT_MAX);
        drop(writer);
    }

    #[tokio::test]
    async fn of_nothing_there_is_nothing() {
        let (output, writer) = Output::open().unwrap();
        drop(writer);
        assert_eq!(output.finish().await, b"");
    }
}
