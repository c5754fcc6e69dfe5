//! How is work started that nobody waits for? Through here.

use std::future::Future;

use tokio::task::AbortHandle;

/// Runs `work` until it ends or the handle aborts it.
#[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(work).abort_handle()
}
