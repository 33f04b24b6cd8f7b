//! From checked arguments to a checked output: secrets, the sandbox, and further attempts where they are safe.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rig_specs::{
    Sha256,
    rtp::{ErrorKind, RiskClass},
};
use serde_json::Value;

use super::{
    CallError, Caller, Record, Running, Services,
    catalog::{Pack, Runnable, Tool},
    client::CallClient,
    contract::Breach,
    inner::InnerCalls,
    reach::{self, PackReach},
};
use crate::{
    egress::{CallEgress, Redactor},
    install::{legacy, store},
    runner::{self, RunnerCall},
    sandbox::{CallInput, CallReach, Client, Context, Failure, Invoke, Logged, Outcome},
    secrets::CallSecrets,
};

/// The pause before the second attempt; it doubles from attempt to attempt and is cut by up to half at random.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What all attempts of one call share.
struct Prepared<'a> {
    program: Runnable,
    reach: &'a PackReach,
    egress: Arc<CallEgress>,
    /// None when the call has no secrets, and so nothing to look for in what comes out: most calls.
    secrets: Option<Arc<CallSecrets>>,
    client: Option<Arc<dyn Client>>,
    timeout: Duration,
    deadline: Instant,
    idempotency_key: String,
}

impl Prepared<'_> {
    fn redactor(&self) -> Option<Arc<Redactor>> {
        self.secrets.as_ref().map(|_| self.egress.redactor())
    }
}

impl<'a> Running<'a> {
    /// Runs the tool, again where that is safe and helps, and checks what comes out.
    pub(super) async fn attempts(&mut self) -> Result<String, CallError> {
        let prepared = self.prepare().await?;
        self.intend().await?;
        let repeatable = self.tool.tool.idempotent || self.tool.tool.def.risk_class == RiskClass::Read;
        let attempts = if repeatable { self.caller.policy.retries + 1 } else { 1 };
        let answer = loop {
            self.record.attempts += 1;
            let ended = self.attempt(&prepared).await;
            let redactor = prepared.redactor();
            let answer = match ended {
                Ok(output) => checked_output(self.tool, output, redactor.as_deref()),
                Err(error) => Err(redacted(error, redactor.as_deref())),
            };
            let Some(error) = answer.as_ref().err().filter(|error| error.retryable) else { break answer };
            let pause = pause(error, self.record.attempts);
            let late = Instant::now() + pause >= prepared.deadline;
            if self.record.attempts >= attempts || late || self.cancel.is_cancelled() {
                break answer;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cancel.cancelled() => {}
            }
        };
        self.record.egress = prepared.egress.records();
        answer
    }

    async fn prepare(&mut self) -> Result<Prepared<'a>, CallError> {
        let (caller, pack) = (self.caller, &self.tool.pack);
        let reach = caller.reach(pack)?;
        let secrets = Arc::new(self.secrets()?);
        if !reach.network.is_empty() {
            // A proxy or an authority that cannot be used is the project's fault, and not that of a service.
            caller.gate.prepare().map_err(|error| CallError::settings(&error))?;
        }
        let program = caller.program(pack).await?;
        // A timeout in the grant was consented to and replaces the policy's, up or down; a caller can only shorten it.
        let allowed = reach.timeout.unwrap_or(caller.policy.timeout);
        let timeout = self.request.timeout.map_or(allowed, |asked| asked.min(allowed));
        let egress = CallEgress::new(Arc::clone(&caller.gate), Arc::clone(&reach.network), Arc::clone(&secrets));
        let egress = Arc::new(egress);
        let redacting = (!secrets.is_empty()).then_some(&egress);
        Ok(Prepared {
            program,
            reach,
            client: self.request.client.as_ref().map(|client| CallClient::shared(client, self.request, redacting)),
            egress,
            secrets: (!secrets.is_empty()).then_some(secrets),
            timeout,
            deadline: self.started + timeout,
            idempotency_key: self.idempotency_key(),
        })
    }

    /// What a service knows the call by. A request that a client sends again under its id is the same call. But clients also give one
    /// id to all the calls of a conversation, and tenants may choose the same ids: those calls are others, and a service that took one
    /// for another would answer with the other's result, or refuse it.
    fn idempotency_key(&self) -> String {
        let (request, hash) = (self.request, &self.intent.input_hash);
        let tenant = request.context.tenant_id.as_deref().unwrap_or_default();
        // There is no hash when nothing is audited.
        let input = if hash.is_empty() { &request.args } else { hash };
        // A list of texts as JSON: no two lists are the same text.
        let mut list = Vec::with_capacity(256);
        for text in [tenant, self.id, &request.tool, input] {
            list.push(if list.is_empty() { b'[' } else { b',' });
            // Writing a text to memory does not fail.
            let _ = serde_json::to_writer(&mut list, text);
        }
        list.push(b']');
        Sha256::of(&list).hex()
    }

    async fn attempt(&mut self, prepared: &Prepared<'_>) -> Result<String, CallError> {
        let (request, deadline) = (self.request, prepared.deadline);
        let context = Context {
            request_id: self.id.to_owned(),
            tenant_id: request.context.tenant_id.clone().unwrap_or_default(),
            actor: request.context.actor.clone().unwrap_or_default(),
            attempt: self.record.attempts,
            idempotency_key: prepared.idempotency_key.clone(),
            deadline_ms: wall_clock_ms(deadline),
        };
        let outcome = match &prepared.program {
            Runnable::Component(program) => {
                let input = CallInput {
                    tool: request.tool.clone(),
                    args: request.args.clone(),
                    context,
                    deadline,
                    cancel: self.cancel.clone(),
                    limits: prepared.reach.limits,
                    reach: CallReach {
                        egress: Some(Arc::clone(&prepared.egress)),
                        config: Arc::clone(&prepared.reach.config),
                        storage: prepared.reach.storage.clone(),
                        invoke: self.inner_calls(),
                        client: prepared.client.clone(),
                        ask: self.tool.pack.verified.locked.granted.ask.is_some(),
                    },
                };
                program.call(input).await
            }
            Runnable::Process(program) => self.in_process(program, prepared, &context).await?,
        };
        keep_log(self.record, outcome.log, prepared.redactor().as_deref());
        let credential = prepared.egress.take_failure();
        match outcome.result {
            Ok(output) => Ok(output),
            Err(Failure::Tool(error)) => Err(credential.map_or_else(|| CallError::tool(error), CallError::credential)),
            Err(Failure::Stopped(stop)) => Err(CallError::stopped(&stop, prepared.timeout.as_secs())),
        }
    }

    /// In the process of the pack, which gets the secrets of the tool's own slots.
    async fn in_process(
        &self,
        program: &runner::Program,
        prepared: &Prepared<'_>,
        context: &Context,
    ) -> Result<Outcome, CallError> {
        let none = CallSecrets::none();
        let call = RunnerCall {
            tool: &self.request.tool,
            args: &self.request.args,
            secrets: prepared.secrets.as_deref().unwrap_or(&none),
            context,
            deadline: prepared.deadline,
            cancel: &self.cancel,
            output: prepared.reach.limits.output,
        };
        let made = program.call(&self.caller.services.runners, &self.caller.gate, call).await;
        let made = made.map_err(|error| CallError::runner(self.tool.pack.id(), &error))?;
        made.traffic.into_iter().for_each(|traffic| prepared.egress.passed(traffic));
        Ok(made.outcome)
    }

    /// The way to other tools, for packs that were granted one.
    fn inner_calls(&self) -> Option<Arc<dyn Invoke>> {
        let pack = &self.tool.pack;
        let granted = pack.verified.locked.granted.invoke.clone()?;
        Some(Arc::new(InnerCalls {
            caller: Arc::clone(self.caller),
            pack: pack.id().to_string(),
            granted,
            context: self.request.context.clone(),
            depth: self.request.depth,
            cancel: self.cancel.clone(),
        }))
    }

    /// The secrets of the tool's own slots; others of the pack stay out of the call.
    fn secrets(&mut self) -> Result<CallSecrets, CallError> {
        let tool = self.tool;
        let granted = &tool.pack.verified.locked.granted.secrets;
        let mut secrets = CallSecrets::none();
        for slot in &tool.tool.def.auth_slots {
            let Some(declared) = granted.get(slot) else {
                let message =
                    format!("`{}` needs the secret `{slot}`, which was not granted to this pack", tool.tool.def.name);
                return Err(CallError::new(ErrorKind::PermissionError, message)
                    .with_hint(&format!("grant it: rig install {}", tool.pack.id())));
            };
            let tenant = self.request.context.tenant_id.as_deref();
            let Some(name) = self.caller.policy.secret_name(slot, tenant) else {
                let message =
                    format!("`{}` needs the secret `{slot}`, which this tenant may not use", tool.tool.def.name);
                return Err(CallError::new(ErrorKind::PermissionError, message)
                    .with_hint("ask whoever runs the project to add it to the tenant's `secrets` in rig.yaml"));
            };
            let found = self.caller.provider.secret(name);
            let found = found
                .map_err(|error| CallError::new(ErrorKind::AuthError, error.to_string()).with_hint(&error.hint()))?;
            let Some((secret, marker)) = found else {
                let what = declared.description.trim().trim_end_matches('.');
                let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
                return Err(CallError::new(ErrorKind::AuthError, format!("the secret `{name}`{what} is not set"))
                    .with_hint(&format!(
                        "set it in the environment (export {name}=…), or add a line {name}=… to .env beside rig.yaml"
                    )));
            };
            self.record.auth.push(marker.to_string());
            secrets = secrets.with(slot, secret, marker);
        }
        Ok(secrets)
    }
}

impl Caller {
    /// What calls of a pack may reach. Compiled once; a failure is not kept, because what is missing may be set later.
    fn reach<'a>(&self, pack: &'a Pack) -> Result<&'a PackReach, CallError> {
        if let Some(reach) = pack.reach.get() {
            return Ok(reach);
        }
        let granted = &pack.verified.locked.granted;
        let is_slot = |name: &str| self.snapshot.is_slot(name);
        let id = pack.id().as_str();
        let compiled = reach::compile(id, granted, &self.config, &self.provider, &is_slot, &self.storage_root);
        let compiled = compiled.map_err(|error| {
            let kind = match error {
                reach::ReachError::MissingSetting { .. } => ErrorKind::AuthError,
                _ => ErrorKind::InternalError,
            };
            CallError::new(kind, error.to_string()).with_hint(&error.hint())
        })?;
        Ok(pack.reach.get_or_init(|| compiled))
    }

    /// Compiles every pack, or takes its compiled form from the cache, so that no call waits for it.
    ///
    /// # Errors
    /// The first pack that cannot be compiled, and why.
    pub async fn prepare(&self) -> Result<(), String> {
        for tool in self.snapshot.tools() {
            let made = self.program(&tool.pack).await;
            made.map_err(|error| format!("the pack `{}`: {}", tool.pack.id(), error.message))?;
        }
        Ok(())
    }

    /// The pack's program: read from the store, checked, and compiled or taken from the cache, once a process.
    async fn program(&self, pack: &Pack) -> Result<Runnable, CallError> {
        let load = || async {
            let Services { sandbox, home, .. } = &*self.services;
            if let Some(level) = pack.verified.isolation {
                let (home, project, locked) = (home.clone(), self.project.clone(), pack.verified.locked.clone());
                let made = tokio::task::spawn_blocking(move || legacy::program(&home, &project, &locked, level));
                return match made.await {
                    Ok(Ok(program)) => Ok(Runnable::Process(Arc::new(program))),
                    Ok(Err(error)) => Err(CallError::package(&error)),
                    Err(_) => Err(CallError::broken_pack("looking at its files failed")),
                };
            }
            let (sandbox, home, digest) = (sandbox.clone(), home.clone(), pack.verified.digest);
            let loaded = tokio::task::spawn_blocking(move || {
                let bytes = store::read(&home, &digest).map_err(|error| CallError::store(&error))?;
                let loaded = sandbox.load(&digest, &bytes).map_err(|error| CallError::load(&error))?;
                Ok(Runnable::Component(loaded))
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
