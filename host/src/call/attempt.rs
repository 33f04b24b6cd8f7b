//! From checked arguments to a checked output: secrets, the sandbox, and further attempts where they are safe.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rig_specs::rtp::ErrorKind;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    CallError, Caller, Record, Request,
    catalog::{Pack, Tool},
    contract::Breach,
    inner::InnerCalls,
    reach::{self, PackReach},
};
use crate::{
    egress::{CallEgress, Redactor},
    install::store,
    sandbox::{CallInput, CallReach, Context, Failure, Invoke, Logged, Program},
    secrets::CallSecrets,
};

/// The pause before the second attempt; it doubles from attempt to attempt and is cut by up to half at random.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

impl Caller {
    pub(super) async fn attempts(
        self: &Arc<Self>,
        tool: &Tool,
        request: &Request,
        id: &str,
        cancel: CancellationToken,
        started: Instant,
        record: &mut Record,
    ) -> Result<String, CallError> {
        let pack = &tool.pack;
        let reach = self.reach(pack)?;
        let secrets = Arc::new(self.secrets(tool, record)?);
        if !reach.network.is_empty() {
            // A proxy or an authority that cannot be used is the project's fault, and not that of a service.
            self.gate.prepare().map_err(|error| CallError::settings(&error))?;
        }
        let program = self.program(pack).await?;
        // A timeout in the grant was consented to and replaces the policy's, up or down; a caller can only shorten it.
        let allowed = reach.timeout.unwrap_or(self.policy.timeout);
        let timeout = request.timeout.map_or(allowed, |asked| asked.min(allowed));
        let deadline = started + timeout;
        let repeatable = tool.tool.idempotent || tool.tool.def.risk_class == rig_specs::rtp::RiskClass::Read;
        let attempts = if repeatable { self.policy.retries + 1 } else { 1 };
        let egress =
            Arc::new(CallEgress::new(Arc::clone(&self.gate), Arc::clone(&reach.network), Arc::clone(&secrets)));
        // Most calls have no secrets, and nothing to look for in what comes out.
        let redactor = (!secrets.is_empty()).then(|| egress.redactor());
        loop {
            record.attempts += 1;
            let ended = self
                .attempt(
                    &program,
                    tool,
                    request,
                    id,
                    reach,
                    &egress,
                    redactor,
                    record,
                    deadline,
                    timeout,
                    cancel.clone(),
                )
                .await;
            let answer = match ended {
                Ok(output) => checked_output(tool, output, redactor.filter(|_| !secrets.is_empty())),
                Err(error) => Err(redacted(error, redactor)),
            };
            match answer {
                Err(error) if error.retryable && record.attempts < attempts && !cancel.is_cancelled() => {
                    let pause = pause(&error, record.attempts);
                    if Instant::now() + pause >= deadline {
                        record.egress = egress.records();
                        return Err(error);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = cancel.cancelled() => {}
                    }
                }
                answer => {
                    record.egress = egress.records();
                    return answer;
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one attempt, each used once")]
    async fn attempt(
        self: &Arc<Self>,
        program: &Program,
        tool: &Tool,
        request: &Request,
        id: &str,
        reach: &PackReach,
        egress: &Arc<CallEgress>,
        redactor: Option<&Redactor>,
        record: &mut Record,
        deadline: Instant,
        timeout: Duration,
        cancel: CancellationToken,
    ) -> Result<String, CallError> {
        let context = Context {
            request_id: id.to_owned(),
            tenant_id: request.context.tenant_id.clone().unwrap_or_default(),
            actor: request.context.actor.clone().unwrap_or_default(),
            attempt: record.attempts,
            idempotency_key: id.to_owned(),
            deadline_ms: wall_clock_ms(deadline),
        };
        let invoke = tool.pack.verified.locked.granted.invoke.clone().map(|granted| {
            let inner = InnerCalls {
                caller: Arc::clone(self),
                pack: tool.pack.id().to_string(),
                granted,
                context: request.context.clone(),
                depth: request.depth,
                deadline: deadline,
                cancel: cancel.clone(),
            };
            Arc::new(inner) as Arc<dyn Invoke>
        });
        let input = CallInput {
            tool: tool.tool.def.name.clone(),
            args: request.args.clone(),
            context,
            deadline: deadline,
            cancel,
            limits: reach.limits,
            reach: CallReach {
                egress: Some(Arc::clone(egress)),
                config: Arc::clone(&reach.config),
                storage: reach.storage.clone(),
                invoke,
            },
        };
        let outcome = program.call(input).await;
        keep_log(record, outcome.log, redactor);
        match outcome.result {
            Ok(output) => Ok(output),
            Err(Failure::Tool(error)) => Err(CallError::tool(error)),
            Err(Failure::Stopped(stop)) => Err(CallError::stopped(&stop, timeout.as_secs())),
        }
    }

    fn reach<'a>(&self, pack: &'a Pack) -> Result<&'a PackReach, CallError> {
        let compiled = pack.reach.get_or_init(|| {
            let granted = &pack.verified.locked.granted;
            let is_slot = |name: &str| self.snapshot.is_slot(name);
            reach::compile(pack.id().as_str(), granted, &self.config, &self.provider, &is_slot, &self.storage_root)
        });
        compiled.as_ref().map_err(|error| {
            let kind = match error {
                reach::ReachError::MissingSetting { .. } => ErrorKind::AuthError,
                _ => ErrorKind::InternalError,
            };
            CallError::new(kind, error.to_string()).with_hint(&error.hint())
        })
    }

    /// The secrets of the tool's own slots; others of the pack stay out of the call.
    fn secrets(&self, tool: &Tool, record: &mut Record) -> Result<CallSecrets, CallError> {
        let slots = &tool.tool.def.auth_slots;
        if slots.is_empty() {
            return Ok(CallSecrets::none());
        }
        let granted = &tool.pack.verified.locked.granted.secrets;
        let mut secrets = CallSecrets::none();
        for slot in slots {
            let Some(declared) = granted.get(slot) else {
                let message =
                    format!("`{}` needs the secret `{slot}`, which was not granted to this pack", tool.tool.def.name);
                return Err(CallError::new(ErrorKind::PermissionError, message)
                    .with_hint(&format!("grant it: rig install {}", tool.pack.id())));
            };
            let found = self
                .provider
                .secret(slot)
                .map_err(|error| CallError::new(ErrorKind::AuthError, error.to_string()).with_hint(&error.hint()))?;
            let Some((secret, marker)) = found else {
                let what = declared.description.trim().trim_end_matches('.');
                let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
                return Err(CallError::new(ErrorKind::AuthError, format!("the secret `{slot}`{what} is not set"))
                    .with_hint(&format!(
                        "set it in the environment (export {slot}=…), or add a line {slot}=… to .env beside rig.yaml"
                    )));
            };
            record.auth.push(marker.to_string());
            secrets = secrets.with(slot, secret, marker);
        }
        Ok(secrets)
    }

    /// The pack's program: read from the store, checked, and compiled or taken from the cache, once a process.
    async fn program(&self, pack: &Pack) -> Result<Program, CallError> {
        let load = || async {
            let (sandbox, home, digest) = (self.sandbox.clone(), self.home.clone(), pack.verified.digest);
            let loaded = tokio::task::spawn_blocking(move || {
                let bytes = store::read(&home, &digest).map_err(|error| CallError::store(&error))?;
                sandbox.load(&digest, &bytes).map_err(|error| CallError::load(&error))
            });
            match loaded.await {
                Ok(program) => program,
                Err(_) => Err(CallError::broken_pack("compiling it failed")),
            }
        };
        pack.program.get_or_try_init(load).await.cloned()
    }
}

/// The output as the caller gets it. Text is passed on as it is unless there are secrets to look for.
fn checked_output(tool: &Tool, text: String, redactor: Option<&Redactor>) -> Result<String, CallError> {
    let name = &tool.tool.def.name;
    let broken = |breach| match breach {
        Breach::NotAnObject(why) => {
            CallError::broken_pack(format!("`{name}` did not answer with a JSON object: {why}"))
        }
        Breach::Refused(problems) => {
            CallError::broken_pack(format!("the output of `{name}` breaks its own schema: {}", problems.join("; ")))
        }
        Breach::Unusable(why) => CallError::broken_pack(format!("its output schema cannot be used: {why}")),
    };
    let Some(redactor) = redactor else {
        return tool.output.check(&text).map(|()| text).map_err(broken);
    };
    let object = tool.output.read(&text).map_err(|breach| redacted(broken(breach), Some(redactor)))?;
    let mut value = Value::Object(object);
    redact_strings(&mut value, redactor);
    Ok(value.to_string())
}

fn redact_strings(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(redacted) = redactor.text(text) {
                *text = redacted;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact_strings(item, redactor)),
        Value::Object(object) => {
            let dirty = object.keys().any(|key| matches!(redactor.text(key), std::borrow::Cow::Owned(_)));
            if dirty {
                let entries = std::mem::take(object);
                *object = entries.into_iter().map(|(key, value)| (redactor.text(&key).into_owned(), value)).collect();
            }
            object.values_mut().for_each(|value| redact_strings(value, redactor));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redacted(error: CallError, redactor: Option<&Redactor>) -> CallError {
    let Some(redactor) = redactor else { return error };
    let clean = |text: String| redactor.text(&text).into_owned();
    CallError {
        message: clean(error.message),
        upstream_code: error.upstream_code.map(clean),
        hints: error.hints.into_iter().map(clean).collect(),
        ..error
    }
}

fn keep_log(record: &mut Record, mut log: Logged, redactor: Option<&Redactor>) {
    if let Some(redactor) = redactor {
        for line in &mut log.lines {
            if let std::borrow::Cow::Owned(redacted) = redactor.text(&line.message) {
                line.message = redacted;
            }
        }
    }
    record.log.dropped += log.dropped;
    record.log.lines.append(&mut log.lines);
}

/// What the service asked for, else a doubling pause, cut at random so that many callers do not come back together.
fn pause(error: &CallError, attempt: u32) -> Duration {
    let asked = error.hints.iter().find_map(|hint| {
        let rest = hint.split_once("retry after ")?.1;
        rest.split(' ').next()?.parse().ok().map(Duration::from_secs)
    });
    asked.unwrap_or_else(|| {
        let full = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(6));
        let mut byte = [0];
        // Without random numbers the pause is merely not spread.
        let _ = getrandom::fill(&mut byte);
        full.mul_f64(1.0 - f64::from(byte[0]) / 512.0)
    })
}

fn wall_clock_ms(deadline: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = now + deadline.saturating_duration_since(Instant::now());
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
