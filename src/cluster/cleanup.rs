//! What has to be done although the command that it belongs to was broken off: pods that are deleted after Ctrl-C.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

static UNDER_WAY: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Begins something that goes on when whoever began it is dropped. Outside of the runtime, where nothing can go on, it
/// does nothing.
pub fn begin(work: impl Future<Output = ()> + Send + 'static) {
    if let (Ok(runtime), Ok(mut under_way)) = (Handle::try_current(), UNDER_WAY.lock()) {
        under_way.push(runtime.spawn(work));
    }
}

/// Waits until all that was begun is done, but no longer than this.
pub async fn finish(limit: Duration) {
    let under_way = UNDER_WAY.lock().map(|mut under_way| std::mem::take(&mut *under_way)).unwrap_or_default();
    // Who does not get through in time leaves the pod to its own deadline.
    let _ = tokio::time::timeout(limit, futures::future::join_all(under_way)).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_was_begun_outlives_its_owner() {
        let done = Arc::new(AtomicBool::new(false));
        let inner = Arc::clone(&done);
        begin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            inner.store(true, Ordering::Relaxed);
        });
        finish(Duration::from_secs(5)).await;
        assert!(done.load(Ordering::Relaxed));
    }
}
