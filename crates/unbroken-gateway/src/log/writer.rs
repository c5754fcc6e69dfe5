//! How do log lines leave without making a call wait? A thread of their own writes them, many at
//! once.
//!
//! A reader of stderr that stands still costs lines, never calls: beyond the bound lines are left
//! out, and the next one that fits says how many.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written take no more than this, in bytes.
const WAITING_MAX: usize = 4 << 20;
/// Lines are gathered this long before they are written: a thread that is woken for each costs
/// more than the line.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of the program waits for a reader that stands still.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Takes lines; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    left_out: u64,
    is_writing: bool,
}

impl Lines {
    /// Starts the thread that writes to `out`. Without a thread lines are written at once.
    pub(super) fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::default();
        let shared = lines.0.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            loop {
                shared.next(&mut batch);
                // Nobody is left to tell that nobody reads.
                drop(out.write_all(&batch).and_then(|()| out.flush()));
            }
        })?;
        Ok(lines)
    }

    /// Waits until everything is written, within bounds.
    pub(super) fn flush(&self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.bytes.is_empty();
        drop(self.0.written.wait_timeout_while(self.0.lock(), FLUSH_MAX, is_busy));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and takes them all; the batch before counts as written.
    fn next(&self, batch: &mut Vec<u8>) {
        batch.clear();
        let mut waiting = self.lock();
        waiting.is_writing = false;
        self.written.notify_all();
        let came = self.came.wait_while(waiting, |waiting| waiting.bytes.is_empty());
        drop(came);
        std::thread::sleep(GATHER);
        let mut waiting = self.lock();
        std::mem::swap(&mut waiting.bytes, batch);
        waiting.is_writing = true;
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > WAITING_MAX {
            waiting.left_out += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        if waiting.left_out > 0 {
            let count = std::mem::take(&mut waiting.left_out);
            let note = format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines left out: nobody read them\",\"count\":{count}}}\n"
            );
            waiting.bytes.extend_from_slice(note.as_bytes());
        }
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.came.notify_one();
        }
    }
}

/// One line at a time; the subscriber writes each with one call.
pub(super) struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A reader that takes one write after the other, when it is let.
    struct Slow(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_their_order_and_the_end_waits_for_them() {
        let ((go, may_go), (sends, gets)) = (channel(), channel());
        let lines = Lines::to(Slow(may_go, sends)).unwrap();
        let mut expected = Vec::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            lines.make_writer().write_all(line.as_bytes()).unwrap();
            expected.extend(line.into_bytes());
            go.send(()).unwrap();
        }
        lines.flush();
        assert_eq!(gets.try_iter().flatten().collect::<Vec<u8>>(), expected);
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_the_next_one_says_how_many() {
        let ((go, may_go), (sends, gets)) = (channel(), channel());
        let lines = Lines::to(Slow(may_go, sends)).unwrap();
        let long = vec![b'x'; WAITING_MAX / 2];
        lines.0.add(b"first\n");
        // The first line is taken and stands still; two more fit, three do not.
        while !lines.0.lock().is_writing {
            std::thread::yield_now();
        }
        for _ in 0..5 {
            lines.0.add(&long);
        }
        assert_eq!(lines.0.lock().left_out, 3);
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        assert_eq!(gets.recv_timeout(FLUSH_MAX).unwrap(), b"first\n");
        assert_eq!(gets.recv_timeout(FLUSH_MAX).unwrap().len(), 2 * long.len());
        lines.0.add(b"last\n");
        let last = String::from_utf8(gets.recv_timeout(FLUSH_MAX).unwrap()).unwrap();
        assert!(last.contains("\"count\":3") && last.ends_with("last\n"), "{last}");
    }
}
