//! The packs for real services, called through a gateway: what they send is what the service's official SDK sends and what the service
//! describes, what they answer fits their schemas, and what the service refuses is told. Here is what the tests of all packs share.

mod airtable;
mod described;
mod elevenlabs;
mod github;
mod google;
mod hostile;
mod notion;
mod sendgrid;
mod slack;
mod stripe;
mod supabase;
mod twilio;

use rig_tests::{
    Clients, Gateway, Project, Recorded, Reply, Upstream,
    sdk::{self, Allowed, Sdk},
};
use serde_json::{Value, json};

/// The packs.
const ALL: [&str; 10] =
    ["airtable", "elevenlabs", "github", "google", "notion", "sendgrid", "slack", "stripe", "supabase", "twilio"];

/// A gateway with one pack installed, whose hosts a stand-in answers for, and the service's SDK beside it.
pub(crate) struct Service {
    pack: String,
    upstream: Upstream,
    gateway: Gateway,
    sdk: Option<Sdk>,
    _project: Project,
}

impl Service {
    /// `settings` are the pack's credentials and settings. Calls that would wait for a person run at once.
    pub(crate) fn start(pack: &str, settings: &[(&str, &str)]) -> Self {
        Self::configured(pack, settings, "policy:\n  require_approval_for: []\n")
    }

    /// As [`Service::start`], with these sections in `rig.yaml`.
    pub(crate) fn configured(pack: &str, settings: &[(&str, &str)], sections: &str) -> Self {
        let upstream = Upstream::start();
        let mut project = Project::with(&[pack]);
        project.configure(&upstream.yaml()).configure(sections);
        for (name, value) in settings {
            project.set_env(name, value);
        }
        let gateway = Gateway::start(&project);
        let sdk = Clients::find().map(|clients| Sdk::new(&clients, &upstream, pack, settings));
        Self { pack: pack.to_owned(), upstream, gateway, sdk, _project: project }
    }

    /// Answers all requests to a host.
    pub(crate) fn on(&self, host: &str, answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> &Self {
        self.upstream.on(host, answer);
        self
    }

    /// The ToolResult of a call.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, args: &Value) -> Value {
        self.gateway.call(tool, args.clone())
    }

    /// As [`Service::call`], with a context.
    #[track_caller]
    pub(crate) fn call_as(&self, tool: &str, args: &Value, context: &Value) -> Value {
        let body = json!({ "args": args, "context": context });
        self.gateway.post(&format!("/v1/tools/{tool}:call"), body).json()
    }

    /// The output of a call that succeeds.
    #[track_caller]
    pub(crate) fn output(&self, tool: &str, args: &Value) -> Value {
        let result = self.call(tool, args);
        assert_eq!(result["ok"], true, "{tool} {args}: {result}");
        result["output"].clone()
    }

    /// The error of a call that fails with that kind.
    #[track_caller]
    pub(crate) fn error(&self, tool: &str, args: &Value, kind: &str) -> Value {
        let result = self.call(tool, args);
        assert_eq!(result["error"]["type"], kind, "{tool} {args}: {result}");
        result["error"].clone()
    }

    /// `GET` or `POST` of the gateway's API, and the JSON that it answers.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str) -> Value {
        self.gateway.request(method, path, &[("content-type", "application/json")], b"").json()
    }

    /// Calls the tool, has the SDK do the same, and holds what they sent against each other, and against the description. Answers the
    /// tool's output.
    #[track_caller]
    pub(crate) fn sends_what_the_sdk_sends(&self, tool: &str, args: &Value, allowed: &[Allowed<'_>]) -> Value {
        self.upstream.forget();
        let output = self.output(tool, args);
        let ours = self.upstream.requests();
        if let Some(sdk) = &self.sdk {
            println!("{tool} {args}");
            described::check(&self.pack, tool, args, &ours);
            sdk::compare(&ours, &sdk.drive(&self.upstream, tool, args), allowed);
        }
        output
    }

    /// Has the host answer each of the replies to each of the calls, which then fails with that kind, code and advice on another
    /// attempt, after one request.
    #[track_caller]
    pub(crate) fn answers_become_kinds(
        &self,
        host: &str,
        calls: &[(&str, Value)],
        answers: impl IntoIterator<Item = (Reply, &'static str, &'static str, bool)>,
    ) {
        for (reply, kind, code, retryable) in answers {
            let shown = format!("{reply:?}");
            self.upstream.reply(host, reply);
            for (tool, args) in calls {
                self.upstream.forget();
                let error = self.error(tool, args, kind);
                assert_eq!(
                    (&error["upstream_code"], &error["retryable"]),
                    (&json!(code), &json!(retryable)),
                    "{tool}: {shown}: {error}"
                );
                assert!(!error["message"].to_string().contains("<h1>"), "{error}");
                assert_eq!(self.upstream.requests().len(), 1, "nothing is tried twice: {tool}: {shown}");
            }
        }
    }

    /// Has the host answer what is no answer to each of the calls: no JSON, none at all, half of it.
    #[track_caller]
    pub(crate) fn nonsense_is_the_service_s_fault(&self, host: &str, calls: &[(&str, Value)]) {
        let whole = json!({ "a": "b".repeat(100) }).to_string();
        for reply in [
            Reply::html(200, "<h1>Sign in</h1>"),
            Reply::new(200, ""),
            Reply::new(200, "{\"id\": "),
            Reply::json(200, json!(null)),
            Reply::json(200, json!([])),
            Reply::json(200, json!({ "id": 7, "sid": 7, "data": 7, "templates": 7 })),
            Reply::new(200, vec![0xff; 100]),
            Reply::new(200, whole).cut_at(50),
            Reply::raw(""),
            Reply::raw("\0\0garbage\r\n\r\n"),
        ] {
            let shown = format!("{reply:?}");
            self.upstream.reply(host, reply);
            for (tool, args) in calls {
                let error = self.call(tool, args)["error"].clone();
                let kind = error["type"].as_str().unwrap_or_default();
                assert!(["upstream_error", "transient"].contains(&kind), "{tool}: {shown}: {error}");
                assert!(error["message"].as_str().is_some_and(|text| text.len() < 500), "{tool}: {shown}: {error}");
            }
        }
    }
}
