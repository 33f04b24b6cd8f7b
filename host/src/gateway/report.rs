//! One line of the log for every call that the gateway makes: what was asked for, by whom, and how it ended. Never the arguments.

use rig_specs::rtp::{CallContext, ErrorKind};

use crate::call::{Called, Decider, Request};

/// What of a request stands in the log.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) does: &'static str,
    /// As it was asked for; decisions do not say.
    tool: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) actor: Option<String>,
}

impl Asked {
    pub(super) fn call(request: &Request) -> Self {
        let CallContext { tenant_id, actor, .. } = request.context.clone();
        Self { does: "call", tool: Some(request.tool.clone()), tenant: tenant_id, actor }
    }

    pub(super) fn decision(does: &'static str, decider: &Decider) -> Self {
        Self { does, tool: None, tenant: decider.tenant.clone(), actor: Some(decider.by.clone()) }
    }

    /// The tool, as far as it is known.
    pub(super) fn tool<'a>(&'a self, called: &'a Called) -> Option<&'a str> {
        called.record.tool.as_deref().or(self.tool.as_deref())
    }

    pub(super) fn log(&self, called: &Called) {
        let (record, answer) = (&called.record, &called.answer);
        // The level must be known when this is compiled, the fields are the same.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    tool = self.tool(called).unwrap_or_default(),
                    pack = %answer.pack,
                    outcome = record.outcome.as_str(),
                    error_type = record.error.map(ErrorKind::as_str),
                    duration_ms = record.duration.as_secs_f64() * 1e3,
                    tenant = self.tenant.as_deref(),
                    actor = self.actor.as_deref(),
                    correlation_id = %answer.correlation_id,
                    "{}",
                    self.does
                )
            };
        }
        // What went well is in the audit log; a line for each call would cost more than the call.
        if record.error.is_none() {
            line!(debug);
        } else {
            line!(info);
        }
        if let Some(error) = &record.unrecorded {
            tracing::error!(correlation_id = %answer.correlation_id, reason = %error, hint = error.hint(), "a call has no row in the audit log");
        }
    }
}
