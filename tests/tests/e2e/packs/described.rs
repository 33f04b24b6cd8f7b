//! What the packs send against the descriptions that the services publish of their own APIs: every request that is compared with an SDK,
//! and here every tool. And the control: the same requests with something changed in them are noticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use rig_tests::{Clients, Recorded, described::Description};
use serde_json::{Value, json};

use super::{Service, github, google, notion, stripe, twilio};

/// Where a service's description is to be had, or why it is not.
enum Source {
    /// Files that packages of the service carry.
    Files(&'static [&'static str]),
    /// The same, in Google's own format.
    Google(&'static [&'static str]),
    /// The types of an SDK that is generated from the description, of these services.
    Stripe(&'static [&'static str]),
    Nowhere(&'static str),
}

const SOURCES: [(&str, Source); 10] = [
    ("github", Source::Files(&["api.github.com.json"])),
    ("google", Source::Google(&["sheets.v4.json", "drive.v3.json"])),
    ("notion", Source::Files(&["notion-openapi.json"])),
    ("stripe", Source::Stripe(&["customer", "invoice", "invoice_item", "payment_link", "refund", "subscription"])),
    ("twilio", Source::Files(&["twilio_api_v2010.json", "twilio_verify_v2.json"])),
    (
        "airtable",
        Source::Nowhere("Airtable publishes none: its reference is written for people, and generated for each base"),
    ),
    (
        "elevenlabs",
        Source::Nowhere("no package carries it; the SDK that is driven is generated from it, names of fields included"),
    ),
    (
        "sendgrid",
        Source::Nowhere(
            "it is published in a Git repository alone, and SendGrid's packages for PyPI and npm are not made of it",
        ),
    ),
    (
        "slack",
        Source::Nowhere("Slack has given its description up; the last one, of 2024, was in no package of Slack's"),
    ),
    (
        "supabase",
        Source::Nowhere(
            "PostgREST describes the tables of each project in that project; that of Auth is in a Git repository alone",
        ),
    ),
];

/// Where a description is wrong about its service: the tool, what is told of its requests, and how that is known.
const EXCUSED: [(&str, &str, &str); 5] = [
    (
        "notion.pages.create",
        "body children[",
        "it is made for a program that has models write blocks as text; Notion's reference and SDK have objects",
    ),
    ("notion.pages.create", "body parent data_source_id is not described", OLD_PARENT),
    ("notion.pages.create", "body parent type is not described to be \"data_source_id\"", OLD_PARENT),
    ("notion.pages.create", "body properties is missing", "the SDK sends a page without properties too"),
    (
        "notion.databases.query",
        "body sorts[1] ",
        "it knows an order by a property alone; Notion's reference and SDK have one by a time too",
    ),
];

const OLD_PARENT: &str = "the schema for a data source as the parent still has the field of the version before, `database_id`; \
    that version's guide for those who move on says `data_source_id`";

static DESCRIPTIONS: LazyLock<BTreeMap<&str, Vec<Description>>> = LazyLock::new(|| {
    let Some(clients) = Clients::find() else { return BTreeMap::new() };
    let read = |source: &Source| match source {
        Source::Files(files) => files.iter().map(|file| clients.description(file)).collect(),
        Source::Google(files) => files.iter().map(|file| clients.google_description(file)).collect(),
        Source::Stripe(services) => vec![clients.stripe_description(services)],
        Source::Nowhere(_) => Vec::new(),
    };
    SOURCES.iter().map(|(pack, source)| (*pack, read(source))).filter(|(_, read)| !read.is_empty()).collect()
});

/// Holds requests of a tool against the description of its service, if there is one.
#[track_caller]
pub(super) fn check(pack: &str, tool: &str, args: &Value, requests: &[Recorded]) {
    let Some(descriptions) = DESCRIPTIONS.get(pack) else { return };
    for request in requests {
        let mut problems = Description::problems(descriptions, request);
        problems.retain(|problem| excuse(tool, problem).is_none());
        assert_eq!(problems, Vec::<String>::new(), "{tool} {args}: {}", request.line());
    }
}

fn excuse(tool: &str, problem: &str) -> Option<usize> {
    EXCUSED.iter().position(|(of, told, _)| *of == tool && problem.contains(told))
}

/// All tools of a service that has a description, with all their arguments.
fn described() -> Vec<(Service, Vec<(&'static str, Value)>)> {
    fn all<const N: usize>(calls: [(&'static str, &'static [&'static str], Value); N]) -> Vec<(&'static str, Value)> {
        calls.into_iter().map(|(tool, _, args)| (tool, args)).collect()
    }
    let mut notion = all(notion::calls());
    notion.push(("notion.pages.create", json!({ "parent": { "page_id": "59833787-2cf9-4fdf-8782-e53db20768a5" } })));
    vec![
        (github::setup(), all(github::calls())),
        (google::setup(), all(google::calls())),
        (notion::setup(), notion),
        (stripe::setup(), all(stripe::calls())),
        (twilio::setup(), all(twilio::calls())),
    ]
}

#[test]
fn every_tool_sends_what_its_service_describes() {
    if DESCRIPTIONS.is_empty() {
        return;
    }
    let mut used = BTreeSet::new();
    let mut packs = BTreeSet::new();
    for (service, calls) in described() {
        let descriptions = &DESCRIPTIONS[&*service.pack];
        let listed = service.api("GET", "/v1/tools");
        let listed: BTreeSet<&str> =
            listed.as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
        assert_eq!(listed, calls.iter().map(|(tool, _)| *tool).collect(), "all tools of {}", service.pack);
        for (tool, args) in calls {
            let requests = service.requests_of(tool, &args);
            assert!(!requests.is_empty(), "{tool} sends something");
            check(&service.pack, tool, &args, &requests);
            for request in &requests {
                used.extend(Description::problems(descriptions, request).iter().filter_map(|told| excuse(tool, told)));
                for (changed, told) in changed(request) {
                    let problems = Description::problems(descriptions, &changed);
                    assert!(
                        problems.iter().any(|problem| problem.contains(&told)),
                        "{told}: {problems:?}: {changed:?}"
                    );
                }
            }
        }
        packs.insert(service.pack.clone());
    }
    assert_eq!(used, (0..EXCUSED.len()).collect(), "an excuse that excuses nothing");
    assert!(DESCRIPTIONS.keys().eq(packs.iter()), "{packs:?}");
}

/// The request with one thing changed, and what is to be told of it.
fn changed(request: &Recorded) -> Vec<(Recorded, String)> {
    let change = |change: &dyn Fn(&mut Recorded)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let undescribed = |request: Recorded| {
        let told = format!("{} is not described", request.path());
        (request, told)
    };
    let mut all = vec![
        undescribed(change(&|request| request.method = "TRACE".into())),
        undescribed(change(&|request| request.host = "elsewhere.test".into())),
        undescribed(change(&|request| request.target = format!("{path}/in/no/description?{query}"))),
        undescribed(change(&|request| request.target = path.replacen('/', "/x", 1))),
        (
            change(&|request| request.target = format!("{path}?{query}&invented=1")),
            "query invented is not described".to_owned(),
        ),
    ];
    let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form"));
    if request.body.is_empty() {
        all.push((change(&|request| request.body = b"{}".to_vec()), "no body is described".to_owned()));
    } else if is_form {
        let told = "body Invented is not described".to_owned();
        all.push((change(&|request| request.body.extend(b"&Invented=1")), told));
    } else {
        let with = |name: &str, value: Value| {
            let mut body = request.json();
            body[name] = value;
            change(&|request| request.body = body.to_string().into_bytes())
        };
        all.push((with("invented", json!(1)), "body invented is not described".to_owned()));
        for name in request.json().as_object().unwrap().keys() {
            all.push((with(name, json!(true)), format!("body {name} is described as")));
        }
    }
    all
}

#[test]
fn every_pack_has_a_description_or_a_reason() {
    let published: BTreeSet<&str> = SOURCES.iter().map(|(pack, _)| *pack).collect();
    assert_eq!(published, super::ALL.into_iter().collect());
    for (pack, source) in SOURCES {
        assert!(!matches!(source, Source::Nowhere(why) if why.len() < 40), "{pack}");
    }
}
