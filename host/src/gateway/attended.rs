//! A call and whoever waits for it. The call runs in the task of the one who waits, without a task of its own and its wake-ups; when
//! nobody waits any more it is cancelled, and goes on in a task of its own until it has its row in the audit log.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A call that is waited for. Dropping it cancels the call.
pub(super) struct Attended<T: Send + 'static> {
    call: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    cancel: CancellationToken,
    calls: TaskTracker,
}

impl<T: Send + 'static> Attended<T> {
    /// `cancel` is what the call looks at; `calls` are those that the gateway waits for before it ends.
    pub(super) fn new(
        calls: &TaskTracker,
        cancel: CancellationToken,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self { call: Some(Box::pin(calls.track_future(call))), cancel, calls: calls.clone() }
    }
}

impl<T: Send + 'static> Future for Attended<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place while it runs: a call that panics is gone, and not run again.
        let Some(mut call) = self.call.take() else { return Poll::Pending };
        let polled = call.as_mut().poll(context);
        if polled.is_pending() {
            self.call = Some(call);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Attended<T> {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        self.cancel.cancel();
        // Without a runtime the process is ending, and the call with it.
        if let Ok(runtime) = Handle::try_current() {
            let ended = self.calls.token();
            runtime.spawn(async move {
                let _ = call.await;
                drop(ended);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    #[tokio::test]
    async fn an_answer_comes_through() {
        let calls = TaskTracker::new();
        assert_eq!(Attended::new(&calls, CancellationToken::new(), async { 7 }).await, 7);
        calls.close();
        calls.wait().await;
    }

    #[tokio::test]
    async fn a_call_that_is_left_is_cancelled_and_ends_by_itself() {
        let (calls, cancel) = (TaskTracker::new(), CancellationToken::new());
        let recorded = Arc::new(AtomicBool::new(false));
        let call = {
            let (cancel, recorded) = (cancel.clone(), Arc::clone(&recorded));
            async move {
                cancel.cancelled().await;
                tokio::task::yield_now().await;
                recorded.store(true, Ordering::SeqCst);
            }
        };
        let waiting = Attended::new(&calls, cancel, call);
        let left = tokio::time::timeout(Duration::from_millis(5), waiting).await;
        assert!(left.is_err() && !recorded.load(Ordering::SeqCst));
        calls.close();
        calls.wait().await;
        assert!(recorded.load(Ordering::SeqCst), "it ended after it was left, and the tracker waited for that");
    }
}
