//! Calls that a tool makes to other tools: the same pipeline again, on behalf of the same caller and inside the same deadline.

use std::{sync::Arc, time::Instant};

use rig_specs::{
    manifest::InvokeDecl,
    rtp::{self, CallContext},
};
use tokio_util::sync::CancellationToken;

use super::{Caller, Request};
use crate::sandbox::{ErrorKind, InnerCall, Invoke, InvokeFuture, ToolError};

/// How deep calls may nest. Two is a helper tool, three is rare, more is a circle.
pub(super) const MAX_DEPTH: u32 = 4;

/// What one call's inner calls share.
pub(super) struct InnerCalls {
    pub(super) caller: Arc<Caller>,
    pub(super) pack: String,
    pub(super) granted: InvokeDecl,
    pub(super) context: CallContext,
    pub(super) depth: u32,
    pub(super) cancel: CancellationToken,
}

impl Invoke for InnerCalls {
    fn call(&self, call: InnerCall) -> InvokeFuture<'_> {
        Box::pin(async move {
            let InnerCall { tool, args, deadline, client } = call;
            if !self.granted.tools.contains(&tool) {
                let tool = tool.escape_debug().take(128).collect::<String>();
                return Err(refused(
                    ErrorKind::PermissionError,
                    format!("the pack `{}` may not call `{tool}`", self.pack),
                ));
            }
            if self.depth >= MAX_DEPTH {
                return Err(refused(ErrorKind::PolicyBlocked, format!("calls nest deeper than {MAX_DEPTH}")));
            }
            let context = CallContext { request_id: None, ..self.context.clone() };
            let timeout = Some(deadline.saturating_duration_since(Instant::now()));
            let request = Request { tool, args, context, timeout, depth: self.depth + 1, client };
            self.caller.call(request, self.cancel.clone()).await.answer.ended.map_err(passed_on)
        })
    }
}

fn refused(kind: ErrorKind, message: String) -> ToolError {
    let hint = "the pack names the tools it calls under [invoke] in its manifest".to_owned();
    ToolError { kind, message, retryable: false, upstream_code: None, remediation_hints: vec![hint] }
}

fn passed_on(error: rtp::ToolError) -> ToolError {
    let rtp::ToolError { kind, message, retryable, upstream_code, remediation_hints, correlation_id: _ } = error;
    ToolError { kind: kind.into(), message, retryable, upstream_code, remediation_hints }
}
