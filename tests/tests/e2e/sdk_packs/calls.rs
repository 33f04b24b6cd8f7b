//! What is called, what the service must see of it, and what must come back.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rig_tests::{Recorded, Upstream};
use serde_json::{Value, json};

use super::services;

/// What must come back.
pub(super) enum Answer {
    Output(Value),
    /// Its type, a part of its message, and the code of the service.
    Error(&'static str, &'static str, Option<&'static str>),
    /// As an error, and there is no connection to that host.
    Refused(&'static str, &'static str, &'static str),
}

/// A call of a tool.
pub(super) struct Call {
    pub tool: &'static str,
    pub args: Value,
    /// Each request: `METHOD URL`, and the body: an object for JSON, a text for a form, nothing where there is none.
    pub sent: Vec<(&'static str, Value)>,
    pub answer: Answer,
}

impl Call {
    /// The pack that it is a tool of.
    pub(super) fn pack(&self) -> &'static str {
        self.tool.split_once('.').expect("a name of a tool").0
    }

    /// What its rows of the audit log must name: each host, and whether that was denied.
    pub(super) fn hosts(&self) -> BTreeSet<(&'static str, bool)> {
        let reached = self.sent.iter().filter_map(|(line, _)| Some((line.split('/').nth(2)?, false)));
        let refused = match self.answer {
            Answer::Refused(host, ..) => Some((host, true)),
            _ => None,
        };
        reached.chain(refused).collect()
    }

    /// How each SDK shows the secret of its slot.
    fn authorization(&self) -> String {
        match self.pack() {
            "stripe" | "pay" => format!("Bearer {}", services::STRIPE),
            "slack" | "chat" => format!("Bearer {}", services::SLACK),
            "github" | "code" => format!("token {}", services::GITHUB),
            "notion" => format!("Bearer {}", services::NOTION),
            _ => format!("Basic {}", STANDARD.encode(format!("{}:{}", services::TWILIO.0, services::TWILIO.1))),
        }
    }

    /// What is wrong with what came back over the API and what arrived at the service.
    pub(super) fn differences(&self, answer: &Value, upstream: &Upstream) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, is: String, should: String| {
            if is != should {
                wrong.push(format!("{}: {what}\n  is     {is}\n  should {should}\n  {answer}", self.tool));
            }
        };
        match &self.answer {
            Answer::Output(output) => expect("the output", answer["output"].to_string(), output.to_string()),
            Answer::Error(kind, message, code) => {
                let error = &answer["error"];
                expect("the type", error["type"].to_string(), json!(kind).to_string());
                expect("the code", error["upstream_code"].to_string(), json!(code).to_string());
                let said = error["message"].as_str().unwrap_or_default();
                expect("the message", said.contains(message).to_string(), "true".into());
            }
            Answer::Refused(host, kind, message) => {
                let error = &answer["error"];
                expect("the type", error["type"].to_string(), json!(kind).to_string());
                let said = error["message"].as_str().unwrap_or_default();
                expect("the message", said.contains(message).to_string(), "true".into());
                let there = upstream.connects().iter().any(|to| to.starts_with(host));
                expect("a connection", there.to_string(), "false".into());
            }
        }
        let mut requests = upstream.requests();
        // Those that are made at once arrive in any order.
        requests.sort_by_key(Recorded::line);
        let mut sent: Vec<_> = self.sent.iter().collect();
        sent.sort_by_key(|(line, _)| *line);
        let lines: Vec<String> = requests.iter().map(Recorded::line).collect();
        expect(
            "the requests",
            format!("{lines:#?}"),
            format!("{:#?}", sent.iter().map(|(line, _)| line).collect::<Vec<_>>()),
        );
        for (request, (line, body)) in requests.iter().zip(sent) {
            expect(line, request.header("authorization").unwrap_or_default().into(), self.authorization());
            expect(line, body_of(request).to_string(), body.to_string());
        }
        wrong
    }

    /// What is wrong with what the client of MCP was answered.
    pub(super) fn of_mcp(&self, result: &Value) -> Option<String> {
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let fits = match &self.answer {
            Answer::Output(output) => result["isError"] != true && result["structuredContent"] == *output,
            Answer::Error(kind, message, _) | Answer::Refused(_, kind, message) => {
                result["isError"] == true && text.contains(kind) && text.contains(message)
            }
        };
        (!fits).then(|| format!("{} over MCP: {result:#}", self.tool))
    }
}

fn body_of(request: &Recorded) -> Value {
    let text = String::from_utf8_lossy(&request.body);
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    match text.as_ref() {
        "" => Value::Null,
        _ if is_json => request.json(),
        // The fields in order of their names: an SDK may put them in any.
        form => {
            let mut fields: Vec<&str> = form.split('&').collect();
            fields.sort_unstable();
            fields.join("&").into()
        }
    }
}

fn call(tool: &'static str, args: Value, sent: Vec<(&'static str, Value)>, answer: Answer) -> Call {
    Call { tool, args, sent, answer }
}

pub(super) fn python_calls() -> Vec<Call> {
    let mut calls = vec![
        call(
            "stripe.customers.list",
            json!({ "limit": 2 }),
            vec![("GET https://api.stripe.com/v1/customers?limit=2", Value::Null)],
            Answer::Output(json!({
                "customers": [{ "id": "cus_1", "email": "ann@example.com", "name": null },
                    { "id": "cus_2", "email": "ann@example.com", "name": null }],
                "has_more": true
            })),
        ),
        call(
            "stripe.customers.create",
            json!({ "email": "ann@example.com", "metadata": { "plan": "a b" } }),
            vec![("POST https://api.stripe.com/v1/customers", json!("email=ann%40example.com&metadata[plan]=a+b"))],
            Answer::Output(json!({ "id": "cus_new", "email": "ann@example.com", "name": null })),
        ),
        call(
            "stripe.customers.retrieve",
            json!({ "id": "cus_none" }),
            vec![("GET https://api.stripe.com/v1/customers/cus_none", Value::Null)],
            Answer::Error("not_found", "No such customer: 'cus_none'", Some("resource_missing")),
        ),
        call(
            "stripe.files.create",
            json!({ "text": "evidence" }),
            vec![],
            Answer::Refused("files.stripe.com", "transient", "files.stripe.com"),
        ),
        call(
            "slack.messages.post",
            json!({ "channel": "C1", "text": "é & <b>" }),
            vec![("POST https://slack.com/api/chat.postMessage", json!({ "channel": "C1", "text": "é & <b>" }))],
            Answer::Output(json!({ "channel": "C1", "ts": "1503435956.000247" })),
        ),
        call(
            "slack.channels.list",
            json!({}),
            vec![
                ("POST https://slack.com/api/conversations.list", json!("limit=2")),
                ("POST https://slack.com/api/conversations.list", json!("cursor=more&limit=2")),
            ],
            Answer::Output(json!({ "names": ["general", "dev", "random"] })),
        ),
        call(
            "slack.messages.post",
            json!({ "channel": "C404", "text": "t" }),
            vec![("POST https://slack.com/api/chat.postMessage", json!({ "channel": "C404", "text": "t" }))],
            Answer::Error("not_found", "Slack says channel_not_found", Some("channel_not_found")),
        ),
        call(
            "slack.files.upload",
            json!({ "content": "content" }),
            vec![("POST https://slack.com/api/files.getUploadURLExternal", json!("filename=notes.txt&length=7"))],
            Answer::Refused("files.slack.com", "internal_error", "Forbidden"),
        ),
    ];
    calls.extend(of_github_twilio_and_notion());
    calls
}

fn of_github_twilio_and_notion() -> Vec<Call> {
    let repo = "GET https://api.github.com/repos/acme/app";
    let account = "https://api.twilio.com/2010-04-01/Accounts/AC00112233445566778899aabbccddeeff";
    let url = |line: String| -> &'static str { Box::leak(line.into_boxed_str()) };
    let notion_body = json!({
        "parent": { "page_id": "one" }, "properties": { "title": { "title": [{ "text": { "content": "New" } }] } }
    });
    vec![
        call(
            "github.issues.list",
            json!({ "repo": "acme/app", "state": "open" }),
            vec![
                (repo, Value::Null),
                ("GET https://api.github.com/repos/acme/app/issues?state=open", Value::Null),
                ("GET https://api.github.com/repos/acme/app/issues?page=2&state=open", Value::Null),
            ],
            Answer::Output(json!({ "titles": ["First", "Second", "Third"] })),
        ),
        call(
            "github.issues.create",
            json!({ "repo": "acme/app", "title": "Crash", "body": "It \"ends\"", "labels": ["bug"] }),
            vec![
                (repo, Value::Null),
                (
                    "POST https://api.github.com/repos/acme/app/issues",
                    json!({ "title": "Crash", "body": "It \"ends\"", "labels": ["bug"] }),
                ),
            ],
            Answer::Output(json!({ "number": 7, "url": "https://github.com/acme/app/issues/7" })),
        ),
        call(
            "github.issues.list",
            json!({ "repo": "acme/none" }),
            vec![("GET https://api.github.com/repos/acme/none", Value::Null)],
            Answer::Error("not_found", "Not Found", Some("404")),
        ),
        call(
            "github.assets.upload",
            json!({ "repo": "acme/app", "release": 1 }),
            vec![(repo, Value::Null), ("GET https://api.github.com/repos/acme/app/releases/1", Value::Null)],
            Answer::Refused("uploads.github.com", "internal_error", "uploads.github.com"),
        ),
        call(
            "twilio.messages.send",
            json!({ "to": "+15005550006", "from": "+15005550001", "body": "Hi & bye" }),
            vec![(
                url(format!("POST {account}/Messages.json")),
                json!("Body=Hi+%26+bye&From=%2B15005550001&To=%2B15005550006"),
            )],
            Answer::Output(json!({ "sid": "SM1", "status": "queued" })),
        ),
        call(
            "twilio.messages.fetch",
            json!({ "sid": "SM1" }),
            vec![(url(format!("GET {account}/Messages/SM1.json")), Value::Null)],
            Answer::Output(json!({ "body": "Hi", "sent": "2023-08-24T05:01:45+00:00", "price": "-0.0075" })),
        ),
        call(
            "twilio.messages.fetch",
            json!({ "sid": "SM404" }),
            vec![(url(format!("GET {account}/Messages/SM404.json")), Value::Null)],
            Answer::Error("not_found", "The requested resource was not found", Some("20404")),
        ),
        call(
            "twilio.codes.check",
            json!({ "service": "VA1", "to": "+15005550006", "code": "123456" }),
            vec![],
            Answer::Refused("verify.twilio.com", "permission_error", "no way to Twilio Verify"),
        ),
        call(
            "notion.pages.retrieve",
            json!({ "pages": ["one", "two"] }),
            vec![
                ("GET https://api.notion.com/v1/pages/one", Value::Null),
                ("GET https://api.notion.com/v1/pages/two", Value::Null),
            ],
            Answer::Output(json!({ "titles": ["Page one", "Page two"] })),
        ),
        call(
            "notion.pages.create",
            json!({ "parent": "one", "title": "New" }),
            vec![("POST https://api.notion.com/v1/pages", notion_body)],
            Answer::Output(json!({ "id": "new", "url": "https://www.notion.so/new" })),
        ),
        call(
            "notion.pages.retrieve",
            json!({ "pages": ["none"] }),
            vec![("GET https://api.notion.com/v1/pages/none", Value::Null)],
            Answer::Error("not_found", "Could not find page with ID: none.", Some("object_not_found")),
        ),
    ]
}

pub(super) fn node_calls() -> Vec<Call> {
    let issue = json!({ "owner": "acme", "repo": "app", "title": "Crash" });
    let customer = |id: &str| json!({ "id": id, "email": "ann@example.com" });
    vec![
        call(
            "pay.customers.list",
            json!({ "limit": 2 }),
            vec![
                ("GET https://api.stripe.com/v1/customers?limit=2", Value::Null),
                ("GET https://api.stripe.com/v1/customers?limit=2&starting_after=cus_2", Value::Null),
            ],
            Answer::Output(json!({ "customers": [customer("cus_1"), customer("cus_2"), customer("cus_3")] })),
        ),
        call(
            "pay.customers.create",
            json!({ "email": "ann@example.com" }),
            vec![("POST https://api.stripe.com/v1/customers", json!("email=ann%40example.com&metadata[by]=pay"))],
            Answer::Output(customer("cus_new")),
        ),
        call(
            "pay.customers.retrieve",
            json!({ "id": "cus_none" }),
            vec![("GET https://api.stripe.com/v1/customers/cus_none", Value::Null)],
            Answer::Error("not_found", "No such customer: 'cus_none'", Some("resource_missing")),
        ),
        call(
            "pay.files.create",
            json!({ "content": "evidence" }),
            vec![],
            Answer::Refused("files.stripe.com", "transient", "connection to Stripe"),
        ),
        call(
            "code.issues.list",
            json!({ "owner": "acme", "repo": "app" }),
            vec![
                ("GET https://api.github.com/repos/acme/app/issues?per_page=2", Value::Null),
                ("GET https://api.github.com/repos/acme/app/issues?page=2&state=open", Value::Null),
            ],
            Answer::Output(json!({ "titles": ["First", "Second", "Third"] })),
        ),
        call(
            "code.issues.create",
            issue,
            vec![("POST https://api.github.com/repos/acme/app/issues", json!({ "title": "Crash" }))],
            Answer::Output(json!({ "number": 7 })),
        ),
        call(
            "code.issues.list",
            json!({ "owner": "acme", "repo": "none" }),
            vec![("GET https://api.github.com/repos/acme/none/issues?per_page=2", Value::Null)],
            Answer::Error("not_found", "Not Found", Some("404")),
        ),
        call(
            "code.assets.upload",
            json!({ "owner": "acme", "repo": "app", "release": 1 }),
            vec![],
            Answer::Refused("uploads.github.com", "upstream_error", "uploads.github.com"),
        ),
        call(
            "chat.messages.post",
            json!({ "channel": "C1", "text": "é & <b>" }),
            vec![("POST https://slack.com/api/chat.postMessage", json!("channel=C1&text=%C3%A9%20%26%20%3Cb%3E"))],
            Answer::Output(json!({ "channel": "C1", "ts": "1503435956.000247" })),
        ),
        call(
            "chat.channels.list",
            json!({}),
            vec![
                ("POST https://slack.com/api/conversations.list", json!("limit=2")),
                ("POST https://slack.com/api/conversations.list", json!("cursor=more&limit=2")),
            ],
            Answer::Output(json!({ "names": ["general", "dev", "random"] })),
        ),
        call(
            "chat.messages.post",
            json!({ "channel": "C404", "text": "t" }),
            vec![("POST https://slack.com/api/chat.postMessage", json!("channel=C404&text=t"))],
            Answer::Error("not_found", "Slack says channel_not_found", Some("channel_not_found")),
        ),
        call(
            "chat.files.upload",
            json!({ "content": "content" }),
            vec![("POST https://slack.com/api/files.getUploadURLExternal", json!("filename=notes.txt&length=7"))],
            Answer::Refused("files.slack.com", "internal_error", "failed"),
        ),
    ]
}
