//! How is work started that nobody waits for? Through here, so that a panic in it is seen.

use std::future::Future;

use tokio::task::JoinHandle;

/// Runs `work` in the background. If it panics, an `error` line names it.
#[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
pub fn spawn(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let running = tokio::spawn(work);
        let abort = AbortOnDrop(running.abort_handle());
        if let Err(error) = running.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a background task panicked");
        }
        drop(abort);
    })
}

/// Aborting the wrapper aborts the work.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
