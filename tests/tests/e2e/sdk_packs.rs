//! Packs as people have them: written against the SDK of a service, and installed from PyPI or npm with all that the SDK needs. They run
//! with full isolation, and the SDKs talk to the hosts that they always talk to, by the proxy and the authority of the project.
//!
//! The packs are in `tests/legacy-packs/`; the SDKs are those that `cargo xtask clients` fetched.

mod calls;
mod services;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use rig_tests::{
    Client, Clients, Gateway, Project, Reply, Server, Upstream,
    npm::{Package, registry},
    packs,
    wheels::Wheel,
};
use serde_json::{Value, json};

use calls::{Call, node_calls, python_calls};

/// The name that the registry of packages for Node has in these tests.
const REGISTRY: &str = "npm.example.com";

macro_rules! python {
    ($($id:literal needs $sdk:literal),* $(,)?) => {
        [$(($id, $sdk, include_str!(concat!("../../legacy-packs/python/", $id, ".py")))),*]
    };
}

/// Each with the SDK that it needs, and its code.
const PYTHON: [(&str, &str, &str); 5] = python![
    "stripe" needs "stripe",
    "slack" needs "slack-sdk",
    "github" needs "PyGithub>=2",
    "twilio" needs "twilio~=9.0",
    "notion" needs "notion-client",
];

macro_rules! node {
    ($($id:literal in $file:literal needs $sdk:literal),* $(,)?) => {
        [$(($id, $file, $sdk, include_str!(concat!("../../legacy-packs/node/", $file)))),*]
    };
}

const NODE: [(&str, &str, &str, &str); 3] = node![
    "pay" in "pay.cjs" needs "stripe",
    "code" in "code.mjs" needs "@octokit/rest",
    "chat" in "chat.cjs" needs "@slack/web-api",
];

/// A project that reaches the services, and from where packs are installed.
struct Setup {
    project: Project,
    upstream: Upstream,
}

impl Setup {
    fn new(clients: &Clients) -> Self {
        let upstream = services::start();
        let mut project = Project::empty();
        project.offer(&[packs::built("echo")]);
        name_in_index(&project);
        project.configure(&upstream.yaml());
        let wheels = project.dir().join("wheels");
        for (id, sdk, code) in PYTHON {
            Wheel::pack(&format!("rig-pack-{id}"), "1.0.0", code).requires(sdk).write(&wheels);
        }
        // Two folders stand for two indexes: of the packs, and of everything else.
        project.configure(&format!("python: {{ find_links: [wheels, '{}'] }}\n", clients.sdk_wheels().display()));
        project.configure(&format!("node: {{ registry: 'https://{REGISTRY}/' }}\n"));
        serve_packages(&upstream, clients);
        let (account, token) = services::TWILIO;
        for (name, value) in [
            ("STRIPE_API_KEY", services::STRIPE),
            ("SLACK_BOT_TOKEN", services::SLACK),
            ("GITHUB_TOKEN", services::GITHUB),
            ("NOTION_TOKEN", services::NOTION),
            ("TWILIO_ACCOUNT_SID", account),
            ("TWILIO_AUTH_TOKEN", token),
        ] {
            project.set_secret(name, value);
        }
        Self { project, upstream }
    }

    fn install(&self, args: &[&str]) {
        self.project.run(["install", "--yes"]).args(args).timeout(PATIENCE).output().ok();
    }

    /// Makes every call, over the API and as the official clients of MCP make it, and looks at what the service saw and what came back.
    fn make(&self, clients: &Clients, calls: &[Call]) {
        let gateway = Gateway::start(&self.project);
        let mut wrong = Vec::new();
        for call in calls {
            self.upstream.forget();
            let answer = gateway.call(call.tool, call.args.clone());
            wrong.extend(call.differences(&answer, &self.upstream));
        }
        let step = |call: &Call| json!({ "call": { "name": call.tool.replace('.', "_"), "arguments": call.args } });
        let steps: Vec<Value> = calls.iter().map(step).collect();
        self.upstream.forget();
        let seen = clients.run(Client::TypeScript2, &self.project, Server::Http(&gateway), &json!({}), &json!(steps));
        for (n, call) in calls.iter().enumerate() {
            wrong.extend(call.of_mcp(seen.result(n)));
        }
        let log = gateway.stop();
        // Over pipes too: the client starts rig, which starts each pack anew.
        let mut packs = BTreeSet::new();
        let first: Vec<&Call> = calls.iter().filter(|call| packs.insert(call.pack())).collect();
        let steps: Vec<Value> = first.iter().map(|call| step(call)).collect();
        let seen = clients.run(Client::Python, &self.project, Server::Stdio, &json!({}), &json!(steps));
        for (n, call) in first.iter().enumerate() {
            wrong.extend(call.of_mcp(seen.result(n)));
        }
        assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n\n"));
        self.audited(calls);
    }

    /// Each call has its row, which says how far the pack was kept apart and where it went.
    fn audited(&self, calls: &[Call]) {
        let rows = self.project.rig(&["audit", "query", "--json", "--limit", "1000"]).json();
        let rows = rows["entries"].as_array().expect("rows").clone();
        for call in calls {
            let of_it: Vec<&Value> = rows.iter().filter(|row| row["tool"] == call.tool).collect();
            assert!(of_it.len() >= 2, "{}: over both ways: {rows:#?}", call.tool);
            for row in of_it {
                assert_eq!(row["isolation"], "full", "{row}");
                let sent = row["egress"].as_array().into_iter().flatten();
                let hosts: BTreeSet<(&str, bool)> =
                    sent.map(|sent| (sent["host"].as_str().expect("a host"), sent["error"] == "denied")).collect();
                assert!(call.hosts().is_subset(&hosts), "{} should name {:?}: {row}", call.tool, call.hosts());
            }
        }
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_mins(5);

/// The packs that the index knows: what they are called elsewhere, where they may go and which secrets they need.
fn name_in_index(project: &Project) {
    let path = project.index_dir().join(packs::INDEX);
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (id, runtime, package, hosts, slot) in [
        ("stripe", "python", "rig-pack-stripe", vec!["api.stripe.com"], "STRIPE_API_KEY"),
        ("slack", "python", "rig-pack-slack", vec!["slack.com"], "SLACK_BOT_TOKEN"),
        ("github", "python", "rig-pack-github", vec!["api.github.com:443"], "GITHUB_TOKEN"),
        ("pay", "node", "@acme/pay", vec!["*.stripe.com:8443", "api.stripe.com"], "STRIPE_API_KEY"),
        ("chat", "node", "rig-pack-chat", vec!["slack.com"], "SLACK_BOT_TOKEN"),
    ] {
        index["packs"][id] = json!({
            "display_name": id, "description": format!("The pack {id}"), "publisher": { "name": "Tests" },
            runtime: { "package": package, "network": hosts }, "slots": [slot],
        });
    }
    fs::write(&path, index.to_string()).unwrap();
}

/// A registry of packages for Node, behind the proxy and with a certificate of the project's authority.
fn serve_packages(upstream: &Upstream, clients: &Clients) {
    let mut packages = clients.sdk_packages();
    for (id, file, sdk, code) in NODE {
        let name = if id == "pay" { "@acme/pay".to_owned() } else { format!("rig-pack-{id}") };
        packages.push(
            Package::new(&name, "1.0.0")
                .with("main", json!(file))
                .with("dependencies", json!({ sdk: "*" }))
                .file(file, code),
        );
    }
    let replies: BTreeMap<String, Reply> = registry(|path| format!("https://{REGISTRY}/{path}"), &packages);
    upstream.on(REGISTRY, move |request| {
        replies.get(request.path().trim_start_matches('/')).cloned().unwrap_or_else(|| Reply::json(404, json!({})))
    });
}

#[test]
fn packs_for_python_with_their_sdks() {
    let Some(clients) = Clients::find_sdk_packs() else { return };
    let setup = Setup::new(&clients);
    // What they may is in the index, or in flags.
    setup.install(&["stripe", "slack", "github", "--runtime", "python", "--offline"]);
    let twilio = ["--allow-host", "api.twilio.com", "--slot", "TWILIO_ACCOUNT_SID", "--slot", "TWILIO_AUTH_TOKEN"];
    setup.install(&[&["rig-pack-twilio", "--runtime", "python", "--offline"][..], &twilio].concat());
    let notion = ["--allow-host", "api.notion.com", "--slot", "NOTION_TOKEN"];
    setup.install(&[&["rig-pack-notion", "--runtime", "python", "--offline"][..], &notion].concat());
    setup.make(&clients, &python_calls());
    // Control: it is the grant that kept the SDK from that host. It is given to the package itself here, in place of what the index says.
    let slack = ["rig-pack-slack", "--runtime", "python", "--offline", "--slot", "SLACK_BOT_TOKEN"];
    setup.install(&[&slack[..], &["--allow-host", "slack.com", "--allow-host", "files.slack.com"]].concat());
    let file = setup.project.call("slack.files.upload", json!({ "content": "content" })).output();
    assert_eq!(file, json!({ "file": { "id": "F1" } }));
    setup.project.rig(&["verify"]).ok();
}

#[test]
fn packs_for_node_with_their_sdks_beside_others() {
    let Some(clients) = Clients::find_sdk_packs() else { return };
    let setup = Setup::new(&clients);
    setup.install(&["pay", "chat", "--runtime", "node"]);
    let code = ["rig-pack-code", "--runtime", "node", "--slot", "GITHUB_TOKEN", "--allow-host", "api.github.com"];
    setup.install(&code);
    setup.make(&clients, &node_calls());
    setup.install(&[&code[..], &["--allow-host", "uploads.github.com"]].concat());
    let args = json!({ "owner": "acme", "repo": "app", "release": 1 });
    assert_eq!(setup.project.call("code.assets.upload", args).output(), json!({ "name": "a.txt" }));
    setup.project.rig(&["verify"]).ok();

    setup.install(&["echo"]);
    setup.install(&["stripe", "--runtime", "python", "--offline"]);
    setup.project.configure("isolation: { stripe: reduced }\n");
    let packs = setup.project.rig(&["list", "--packs", "--json"]).json();
    let packs: Vec<String> = packs.as_array().expect("packs").iter().map(shown).collect();
    assert_eq!(
        packs,
        ["chat node full 3", "code node full 3", "echo wasm sandbox 1", "pay node full 4", "stripe python reduced 4"]
    );
    let tools = setup.project.rig(&["list"]);
    for line in [
        "Tool                       Risk   Isolation  What it does",
        "code.issues.list           read   full       Lists issues",
        "echo.message.send          read   sandbox    Sends a message, and any data with it, and answers both unchanged",
        "stripe.customers.create    write  reduced    Creates a customer",
    ] {
        assert!(tools.stdout.lines().any(|said| said == line), "{line}\n{tools}");
    }
    // And all of them behind one gateway.
    let gateway = Gateway::start(&setup.project);
    for (tool, args) in [
        ("code.issues.list", json!({ "owner": "acme", "repo": "app" })),
        ("echo.message.send", json!({ "message": "m" })),
        ("stripe.customers.list", json!({})),
    ] {
        assert_eq!(gateway.call(tool, args)["ok"], true, "{tool}");
    }
}

/// A pack of `rig list --packs --json`.
fn shown(pack: &Value) -> String {
    let text = |key: &str| pack[key].as_str().unwrap_or_default();
    format!("{} {} {} {}", text("id"), text("runtime"), text("isolation"), pack["tools"])
}
