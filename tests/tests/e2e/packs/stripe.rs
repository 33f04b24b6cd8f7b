//! The Stripe pack against its SDK and against what Stripe answers.

use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "api.stripe.com";
const KEY: &str = "sk_test_4eC39HqLyjWDarjtT1zdp7dc";

pub(super) fn setup() -> Service {
    let service = Service::start("stripe", &[("STRIPE_API_KEY", KEY)]);
    service.on(HOST, answer);
    service
}

/// Objects as Stripe sends them, shortened.
fn answer(request: &Recorded) -> Reply {
    let customer = json!({
        "id": "cus_NffrFeUfNV2Hib", "object": "customer", "address": null, "balance": 0, "created": 1_680_893_993,
        "currency": null, "email": "ada@example.com", "livemode": false, "metadata": { "order": "6735" },
        "name": "Ada Lovelace", "phone": null
    });
    let subscription = |status: &str| {
        json!({
            "id": "sub_1MowQVLkdIwHu7ixeRlqHVzs", "object": "subscription", "cancel_at_period_end": false,
            "canceled_at": if status == "canceled" { json!(1_679_609_800) } else { Value::Null }, "created": 1_679_609_767,
            "currency": "usd", "customer": "cus_NffrFeUfNV2Hib",
            "items": { "object": "list", "data": [{ "id": "si_1", "object": "subscription_item", "quantity": 1 }], "has_more": false },
            "latest_invoice": "in_1MowQWLkdIwHu7ixuzkSPfKd", "metadata": {}, "status": status, "trial_end": null
        })
    };
    let body = match (request.method.as_str(), request.path()) {
        ("POST", "/v1/customers") => customer,
        ("GET", "/v1/customers/search") => json!({
            "object": "search_result", "data": [customer], "has_more": false, "next_page": null, "total_count": 1,
            "url": "/v1/customers/search"
        }),
        ("POST", "/v1/invoices") => json!({
            "id": "in_1MtHbELkdIwHu7ixl4OzzPMv", "object": "invoice", "amount_due": 0,
            "collection_method": "send_invoice", "currency": "usd", "customer": "cus_NffrFeUfNV2Hib",
            "due_date": 1_683_000_000, "hosted_invoice_url": null, "status": "draft", "lines": { "object": "list", "data": [] }
        }),
        ("POST", "/v1/invoiceitems") => json!({
            "id": "ii_1MtGUtLkdIwHu7ixBYwjAM00", "object": "invoiceitem", "amount": 2500, "currency": "usd",
            "customer": "cus_NffrFeUfNV2Hib", "description": null, "invoice": null, "quantity": 1, "quantity_decimal": "1"
        }),
        ("POST", "/v1/payment_links") => json!({
            "id": "plink_1MoC3ULkdIwHu7ixZjtGpVl2", "object": "payment_link", "active": true, "currency": "usd",
            "metadata": {}, "url": "https://buy.stripe.com/test_cN25nr0iZ7bUa7meUY"
        }),
        ("POST", "/v1/refunds") => json!({
            "id": "re_1Nispe2eZvKYlo2Cd31jOCgZ", "object": "refund", "amount": 1000, "charge": "ch_1NirD82eZvKYlo2CIvbtLWuY",
            "created": 1_692_942_318, "currency": "usd", "payment_intent": null, "reason": null, "status": "succeeded"
        }),
        ("POST", "/v1/subscriptions") => subscription("active"),
        ("DELETE", _) => subscription("canceled"),
        _ => {
            return Reply::json(
                404,
                json!({ "error": { "type": "invalid_request_error", "message": "Unrecognized request URL" } }),
            );
        }
    };
    Reply::json(200, body).header("Request-Id", "req_123")
}

/// Every tool with all of its arguments, and which of them it requires.
pub(super) fn calls() -> [(&'static str, &'static [&'static str], Value); 8] {
    let customer = "cus_NffrFeUfNV2Hib";
    [
        (
            "stripe.customers.create",
            &["email"],
            json!({ "email": "ada@example.com", "name": "Ada Lovelace", "phone": "+15558675310", "metadata": { "order": "6735" } }),
        ),
        ("stripe.customers.search", &["query"], json!({ "query": "email:'ada@example.com' AND metadata['k&y']:'ü'" })),
        (
            "stripe.invoices.create",
            &["customer_id"],
            json!({ "customer_id": customer, "collection_method": "send_invoice", "days_until_due": 30 }),
        ),
        (
            "stripe.invoice_items.create",
            &["customer_id", "amount"],
            json!({ "customer_id": customer, "amount": -2500, "currency": "eur", "description": "A & B = ü", "invoice_id": "in_1" }),
        ),
        (
            "stripe.payment_links.create",
            &["line_items"],
            json!({ "line_items": [{ "price": "price_1", "quantity": 2 }], "metadata": { "a b": "c&d" } }),
        ),
        ("stripe.refunds.create", &[], json!({ "payment_intent": "pi_1", "charge": null, "amount": 500 })),
        (
            "stripe.subscriptions.create",
            &["customer_id", "price_id"],
            json!({ "customer_id": customer, "price_id": "price_1", "trial_days": 14 }),
        ),
        (
            "stripe.subscriptions.cancel",
            &["subscription_id"],
            json!({ "subscription_id": "sub_1MowQVLkdIwHu7ixeRlqHVzs" }),
        ),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let telemetry = Allowed {
        part: Part::Header("x-stripe-client-user-agent"),
        why: "the SDK tells Stripe about itself and the machine",
    };
    let minimal = [
        ("stripe.customers.create", json!({ "email": "a+b@c.d" })),
        ("stripe.customers.create", json!({ "email": "a@b.c", "name": "", "phone": null, "metadata": {} })),
        ("stripe.customers.create", json!({ "email": "ä@b.c", "metadata": { "[x]": "[y]", "empty": "", "n": 7 } })),
        ("stripe.invoices.create", json!({ "customer_id": "cus_1" })),
        ("stripe.invoices.create", json!({ "customer_id": "cus_1", "collection_method": "charge_automatically" })),
        ("stripe.invoice_items.create", json!({ "customer_id": "cus_1", "amount": 1 })),
        (
            "stripe.payment_links.create",
            json!({ "line_items": [
                { "price": "price_1", "quantity": 1 },
                {
                    "adjustable_quantity": { "enabled": true, "maximum": 10 },
                    "price_data": { "currency": "eur", "product_data": { "name": "A", "images": [] }, "unit_amount": 5 },
                    "quantity": 3
                }
            ] }),
        ),
        ("stripe.refunds.create", json!({ "charge": "ch_1" })),
        ("stripe.subscriptions.create", json!({ "customer_id": "cus_1", "price_id": "price_1" })),
        ("stripe.subscriptions.create", json!({ "customer_id": "cus_1", "price_id": "price_1", "trial_days": 0 })),
        ("stripe.subscriptions.cancel", json!({ "subscription_id": "sub/1?a=b#c&d" })),
    ];
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(minimal) {
        let output = service.sends_what_the_sdk_sends(tool, &args, &[telemetry]);
        assert!(output["id"].is_string() || output["customers"][0]["id"].is_string(), "{tool}: {output}");
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = setup();
    let outputs = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!(
        outputs[0],
        json!({
            "id": "cus_NffrFeUfNV2Hib", "email": "ada@example.com", "name": "Ada Lovelace", "phone": null,
            "metadata": { "order": "6735" }, "created": 1_680_893_993
        })
    );
    assert_eq!(outputs[1], json!({ "customers": [outputs[0]], "has_more": false }));
    assert_eq!((&outputs[2]["status"], &outputs[2]["due_date"]), (&json!("draft"), &json!(1_683_000_000)));
    assert_eq!((&outputs[3]["amount"], &outputs[3]["invoice_id"]), (&json!(2500), &Value::Null));
    assert_eq!(outputs[4]["url"], "https://buy.stripe.com/test_cN25nr0iZ7bUa7meUY");
    assert_eq!(
        (&outputs[5]["status"], &outputs[5]["charge"]),
        (&json!("succeeded"), &json!("ch_1NirD82eZvKYlo2CIvbtLWuY"))
    );
    assert_eq!(
        (&outputs[6]["status"], &outputs[6]["latest_invoice_id"]),
        (&json!("active"), &json!("in_1MowQWLkdIwHu7ixuzkSPfKd"))
    );
    assert_eq!((&outputs[7]["status"], &outputs[7]["canceled_at"]), (&json!("canceled"), &json!(1_679_609_800)));
}

#[test]
fn money_waits_for_a_person_and_moves_once() {
    let service = Service::configured("stripe", &[("STRIPE_API_KEY", KEY)], "");
    service.on(HOST, answer);
    for (tool, _, args) in calls() {
        let risk = service.api("GET", &format!("/v1/tools/{tool}"))["risk_class"].clone();
        let expected = match tool {
            "stripe.customers.search" => "read",
            "stripe.customers.create" => "write",
            _ => "money",
        };
        assert_eq!(risk, expected, "{tool}");
        service.upstream.forget();
        if expected != "money" {
            service.output(tool, &args);
            continue;
        }
        let error = service.error(tool, &args, "approval_required");
        service.upstream.assert_untouched();
        let hint = error["remediation_hints"][0].as_str().unwrap();
        let token = hint.strip_prefix("approve token: ").unwrap_or_else(|| panic!("{error}"));
        let path = format!("/v1/approvals/{token}:approve");
        let result = service.api("POST", &path);
        assert_eq!(result["ok"], true, "{tool}: {result}");
        assert_eq!(service.api("POST", &path)["error"]["type"], "not_found", "once only");
        let request = service.upstream.request();
        let key = request.header("idempotency-key");
        assert_eq!(key.is_some_and(|key| !key.is_empty()), request.method == "POST", "{tool}: {key:?}");
    }
}

/// Stripe answers a second request under one key with the first one's answer. Clients give one id to a whole conversation.
#[test]
fn a_key_is_one_call_s_own() {
    let service = setup();
    let key = |id: Option<&str>, tenant: Option<&str>, email: &str| {
        service.upstream.forget();
        let context = json!({ "request_id": id, "tenant_id": tenant });
        let result = service.call_as("stripe.customers.create", &json!({ "email": email }), &context);
        assert_eq!(result["ok"], true, "{result}");
        service.upstream.request().header("idempotency-key").unwrap().to_owned()
    };
    let first = key(Some("conversation-1"), None, "a@b.c");
    assert_eq!(first, key(Some("conversation-1"), None, "a@b.c"), "sent again");
    let long = "x".repeat(200);
    let others = [
        key(Some("conversation-1"), None, "d@e.f"),
        key(Some("conversation-1"), Some("acme"), "a@b.c"),
        key(Some("conversation-2"), None, "a@b.c"),
        key(Some(&long), None, "a@b.c"),
        key(None, None, "a@b.c"),
        key(None, None, "a@b.c"),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(*other != first && !others[..n].contains(other) && other.len() <= 255, "{n}: {other}");
    }
}

#[test]
fn refusals_of_stripe_are_told() {
    let service = setup();
    let error = |status: u16, kind: &str, code: Option<&str>| {
        let error = json!({ "type": kind, "code": code, "message": "What is wrong", "param": "customer", "doc_url": "https://stripe.com/docs" });
        Reply::json(status, json!({ "error": error })).header("Request-Id", "req_123")
    };
    let invalid = "invalid_request_error";
    let declined = json!({ "error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "message": "Your card was declined."
    } });
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.answers_become_kinds(
        HOST,
        &calls,
        [
            (error(400, invalid, Some("parameter_missing")), "validation_error", "parameter_missing", false),
            (error(400, "idempotency_error", None), "conflict", "idempotency_error", false),
            (error(401, invalid, None), "auth_error", "401", false),
            (Reply::json(402, declined.clone()), "conflict", "card_declined", false),
            (
                error(403, invalid, Some("more_permissions_required")),
                "permission_error",
                "more_permissions_required",
                false,
            ),
            (error(404, invalid, Some("resource_missing")), "not_found", "resource_missing", false),
            (error(409, invalid, None).header("Stripe-Should-Retry", "true"), "conflict", "409", true),
            (error(422, invalid, None), "validation_error", "422", false),
            (error(429, invalid, Some("rate_limit")).header("Retry-After", "17"), "rate_limited", "rate_limit", true),
            (error(500, "api_error", None), "upstream_error", "500", true),
            (Reply::html(502, "<h1>Bad gateway</h1>"), "transient", "502", true),
        ],
    );
    let (tool, args) = &calls[5];
    service.on(HOST, move |_| Reply::json(402, declined.clone()));
    let error = service.error(tool, args, "conflict");
    assert_eq!(error["message"], "Stripe: Your card was declined. (insufficient_funds)");
    service.on(HOST, |_| Reply::json(429, json!({})).header("Retry-After", "17"));
    let error = service.error(tool, args, "rate_limited");
    assert_eq!(error["remediation_hints"][0], "retry after 17 s");
    service.on(HOST, |_| Reply::json(500, json!({})));
    let error = service.error(tool, args, "upstream_error");
    assert!(error["remediation_hints"].to_string().contains("look whether it was done"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    setup().nonsense_is_the_service_s_fault(HOST, &calls().map(|(tool, _, args)| (tool, args)));
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    for (tool, args) in [
        ("stripe.refunds.create", json!({})),
        ("stripe.refunds.create", json!({ "payment_intent": "pi_1", "charge": "ch_1" })),
        ("stripe.refunds.create", json!({ "charge": "ch_1", "amount": 0 })),
        ("stripe.refunds.create", json!({ "charge": "" })),
        ("stripe.customers.create", json!({ "email": "" })),
        ("stripe.invoices.create", json!({ "customer_id": "c", "collection_method": "cash" })),
        ("stripe.invoices.create", json!({ "customer_id": "c", "days_until_due": -1 })),
        ("stripe.subscriptions.create", json!({ "customer_id": "c", "price_id": "p", "trial_days": 731 })),
        ("stripe.payment_links.create", json!({ "line_items": [] })),
        ("stripe.payment_links.create", json!({ "line_items": [{ "price": "p" }] })),
        ("stripe.payment_links.create", json!({ "line_items": [{ "quantity": 1 }] })),
        ("stripe.payment_links.create", json!({ "line_items": [{ "price": "p", "quantity": 0 }] })),
        ("stripe.payment_links.create", json!({ "line_items": [{ "price": "p", "quantity": 1, "amount": 5 }] })),
    ] {
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_id_cannot_change_the_request() {
    let args = json!({ "subscription_id": "sub_1MowQVLkdIwHu7ix" });
    setup().path_keeps_its_shape(HOST, "stripe.subscriptions.cancel", &args, "subscription_id");
}
