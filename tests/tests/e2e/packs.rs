//! The packs for real services, called through a gateway: what they send is what the service's official SDK sends, what they answer
//! fits their schemas, and what the service refuses is told. Here is what the tests of all packs share.

mod airtable;
mod github;
mod notion;
mod slack;
mod unhappy;

use rig_tests::{
    Clients, Gateway, Project, Recorded, Reply, Upstream,
    sdk::{self, Allowed, Sdk},
};
use serde_json::Value;

/// A gateway with one pack installed, whose hosts a stand-in answers for, and the service's SDK beside it.
pub(crate) struct Service {
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
        Self { upstream, gateway, sdk, _project: project }
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

    /// The output of a call that succeeds.
    #[track_caller]
    pub(crate) fn output(&self, tool: &str, args: &Value) -> Value {
        let result = self.call(tool, args);
        assert_eq!(result["ok"], true, "{tool} {args}: {result}");
        result["output"].clone()
    }

    /// Calls the tool, has the SDK do the same, and holds what they sent against each other. Answers the tool's output.
    #[track_caller]
    pub(crate) fn sends_what_the_sdk_sends(&self, tool: &str, args: &Value, allowed: &[Allowed<'_>]) -> Value {
        self.upstream.forget();
        let output = self.output(tool, args);
        let ours = self.upstream.requests();
        if let Some(sdk) = &self.sdk {
            println!("{tool} {args}");
            sdk::compare(&ours, &sdk.drive(&self.upstream, tool, args), allowed);
        }
        output
    }
}
