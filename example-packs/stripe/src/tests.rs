//! The tools against a stand-in for Stripe.

use rig_sdk::{
    Tool,
    json::json,
    mock::{self, HttpError, Response},
};

use super::*;

/// What a tool sends for some arguments.
type Sends = fn(&Value) -> String;

/// The body of the only request that a tool with these arguments makes, when it is answered with an object of that id.
fn form<T: Tool>(args: &Value) -> String {
    let mock = mock::http(|_| Ok(Response::json(200, &json!({ "id": "x_1" }))));
    T::call(&args.to_string(), &mock::context()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!(
        (sent.method.as_str(), sent.header("content-type")),
        ("POST", Some("application/x-www-form-urlencoded"))
    );
    assert_eq!(sent.header("idempotency-key"), Some("test-key"));
    assert_eq!(sent.header("stripe-version"), Some("2026-10-28.endive"));
    assert_eq!(sent.header("authorization"), None);
    format!("{} {}", sent.url, sent.text())
}

/// The error of a refund that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    create_refund(&mock::context(), Some("pi_1".into()), None, None).unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn writes_are_forms_in_stripe_s_encoding() {
    let base = "https://api.stripe.com/v1";
    let cases: [(Sends, Value, &str); 12] = [
        (form::<create_customer>, json!({ "email": "a@b.c" }), "/customers email=a%40b.c"),
        (
            form::<create_customer>,
            json!({ "email": "a+b@c.d", "name": "", "phone": null, "metadata": { "k y": "v&w", "n": 7, "none": {} } }),
            "/customers email=a%2Bb%40c.d&name=&metadata[k+y]=v%26w&metadata[n]=7",
        ),
        (form::<create_customer>, json!({ "email": "a@b.c", "metadata": {} }), "/customers email=a%40b.c"),
        (form::<create_invoice>, json!({ "customer_id": "cus_1" }), "/invoices customer=cus_1"),
        (
            form::<create_invoice>,
            json!({ "customer_id": "cus_1", "collection_method": "send_invoice", "days_until_due": 30 }),
            "/invoices customer=cus_1&collection_method=send_invoice&days_until_due=30",
        ),
        (
            form::<create_invoice_item>,
            json!({ "customer_id": "cus_1", "amount": -250 }),
            "/invoiceitems customer=cus_1&amount=-250&currency=usd",
        ),
        (
            form::<create_invoice_item>,
            json!({ "customer_id": "c", "amount": 1, "currency": "eur", "description": "D", "invoice_id": "in_1" }),
            "/invoiceitems customer=c&amount=1&currency=eur&description=D&invoice=in_1",
        ),
        (
            form::<create_payment_link>,
            json!({ "line_items": [{ "price": "p", "quantity": 2 }], "metadata": { "a": "b" } }),
            "/payment_links line_items[0][price]=p&line_items[0][quantity]=2&metadata[a]=b",
        ),
        (
            form::<create_payment_link>,
            json!({ "line_items": [{ "price_data": { "currency": "eur", "unit_amount": 5 }, "quantity": 1 }] }),
            "/payment_links line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=5&line_items[0][quantity]=1",
        ),
        (form::<create_refund>, json!({ "charge": "ch_1", "amount": 500 }), "/refunds charge=ch_1&amount=500"),
        (
            form::<create_subscription>,
            json!({ "customer_id": "c", "price_id": "p" }),
            "/subscriptions customer=c&items[0][price]=p",
        ),
        (
            form::<create_subscription>,
            json!({ "customer_id": "c", "price_id": "p", "trial_days": 0 }),
            "/subscriptions customer=c&items[0][price]=p&trial_period_days=0",
        ),
    ];
    for (form, args, expected) in cases {
        assert_eq!(form(&args), format!("{base}{expected}"), "{args}");
    }
}

#[test]
fn customers_are_searched() {
    let mock = mock::http(|_| {
        let customer = json!({ "id": "cus_1", "email": "a@b.c", "name": null, "metadata": { "k": "v" }, "created": 5 });
        Ok(Response::json(200, &json!({ "object": "search_result", "data": [customer], "has_more": true })))
    });
    let found = search_customers("name:'a&b'".into()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!(sent.url, "https://api.stripe.com/v1/customers/search?query=name%3A%27a%26b%27");
    assert_eq!((sent.method.as_str(), sent.header("idempotency-key"), sent.body.len()), ("GET", None, 0));
    assert_eq!(
        json!(found),
        json!({ "has_more": true, "customers": [
            { "id": "cus_1", "email": "a@b.c", "name": null, "phone": null, "metadata": { "k": "v" }, "created": 5 }
        ] })
    );
}

#[test]
fn a_subscription_is_cancelled() {
    let mock = mock::http(|_| {
        let invoice = json!({ "id": "in_1", "object": "invoice" });
        Ok(Response::json(
            200,
            &json!({ "id": "sub_1", "status": "canceled", "customer": "cus_1", "latest_invoice": invoice }),
        ))
    });
    let subscription = cancel_subscription("sub/1?x".into()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("DELETE", "/v1/subscriptions/sub%2F1%3Fx"));
    assert_eq!((sent.body.len(), sent.header("idempotency-key")), (0, None));
    assert_eq!(subscription.latest_invoice_id.as_deref(), Some("in_1"));
    assert_eq!((subscription.customer_id.as_deref(), subscription.trial_end), (Some("cus_1"), None));
}

#[test]
fn a_refund_says_which_payment() {
    let mock = mock::http(|_| Ok(Response::new(200)));
    for (payment_intent, charge) in [(None, None), (Some("pi_1".to_owned()), Some("ch_1".to_owned()))] {
        let error = create_refund(&mock::context(), payment_intent, charge, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "validation_error: give one of `payment_intent` and `charge`: they say which payment to refund"
        );
    }
    for item in [json!({ "quantity": 1 }), json!({ "price": "p", "price_data": {}, "quantity": 1 })] {
        let args = json!({ "line_items": [item] });
        let error = create_payment_link::call(&args.to_string(), &mock::context()).unwrap_err();
        assert_eq!(error.to_string(), "validation_error: each of `line_items` has one of `price` and `price_data`");
    }
    assert!(mock.requests().is_empty());
}

#[test]
fn stripe_s_errors_become_kinds() {
    let error = |kind: &str, code: Option<&str>| json!({ "error": { "type": kind, "code": code, "message": "Why" } });
    let invalid = |code| error("invalid_request_error", code);
    let cases = [
        (400, invalid(Some("parameter_missing")), "validation_error", "parameter_missing", false),
        (400, invalid(None), "validation_error", "400", false),
        (400, invalid(Some("resource_missing")), "not_found", "resource_missing", false),
        (400, invalid(Some("rate_limit")), "rate_limited", "rate_limit", true),
        (400, error("idempotency_error", None), "conflict", "idempotency_error", false),
        (401, invalid(None), "auth_error", "401", false),
        (402, error("card_error", Some("card_declined")), "conflict", "card_declined", false),
        (403, invalid(Some("more_permissions_required")), "permission_error", "more_permissions_required", false),
        (404, invalid(Some("resource_missing")), "not_found", "resource_missing", false),
        (409, error("idempotency_error", Some("idempotency_key_in_use")), "conflict", "idempotency_key_in_use", false),
        (409, invalid(None), "conflict", "409", false),
        (422, invalid(None), "validation_error", "422", false),
        (429, invalid(Some("lock_timeout")), "rate_limited", "lock_timeout", true),
        (500, error("api_error", None), "upstream_error", "500", true),
        (503, json!({}), "transient", "503", true),
    ];
    for (status, body, expected, code, retryable) in cases {
        let error = failing(Response::json(status, &body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status} {body}");
        assert_eq!(error.code(), Some(code), "{status} {body}");
        let told = if status == 503 { "Stripe answered with status 503 and no explanation" } else { "Stripe: Why" };
        assert_eq!(error.message(), told);
    }
}

#[test]
fn the_reason_and_what_to_do_are_told() {
    let declined = json!({ "error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "param": "payment_method",
        "message": "Your card has insufficient funds."
    } });
    let error = failing(Response::json(402, &declined));
    assert_eq!(error.message(), "Stripe: Your card has insufficient funds. (insufficient_funds)");
    assert_eq!(error.hints(), ["ask for another payment method", "look at the parameter `payment_method`"]);
    let limited = Response::json(429, &json!({ "error": { "message": "Slow" } })).header("Retry-After", "7");
    assert_eq!(failing(limited).hints()[0], "retry after 7 s");
    let long = json!({ "error": { "message": "ä".repeat(5000) } });
    assert_eq!(failing(Response::json(400, &long)).message().chars().count(), 601);
}

#[test]
fn stripe_says_whether_to_try_again() {
    for (header, retryable) in [("true", true), ("false", false)] {
        for status in [409, 500] {
            let response = Response::json(status, &json!({})).header("Stripe-Should-Retry", header);
            assert_eq!(failing(response).is_retryable(), retryable, "{status} {header}");
        }
    }
}

#[test]
fn a_write_without_a_clear_answer_may_have_happened() {
    let hint = "look whether it was done before making the call again";
    for body in ["", "<html>", "[]", "null", r#"{"id": 7}"#, "{}"] {
        let error = failing(Response::new(200).body(body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
        assert!(error.hints().contains(&hint.to_owned()), "{body}: {:?}", error.hints());
    }
    for (failure, told) in [
        (HttpError::Timeout("why".into()), true),
        (HttpError::Protocol("why".into()), true),
        (HttpError::Connect("why".into()), false),
        (HttpError::Denied("why".into()), false),
    ] {
        let _mock = mock::http(move |_| Err(failure.clone()));
        let error = cancel_subscription("sub_1".into()).unwrap_err();
        assert_eq!(error.hints().contains(&hint.to_owned()), told, "{error}");
    }
    assert!(failing(Response::new(502)).hints().contains(&hint.to_owned()));
    let _mock = mock::http(|_| Ok(Response::new(502)));
    assert!(search_customers("x".into()).unwrap_err().hints().is_empty(), "nothing was to be done");
}

#[test]
fn details_of_another_shape_are_null() {
    let _mock = mock::http(|_| {
        Ok(Response::json(
            200,
            &json!({ "id": "re_1", "amount": "500", "currency": null, "charge": { "id": 7 }, "status": [] }),
        ))
    });
    let refund = create_refund(&mock::context(), None, Some("ch_1".into()), Some(500)).unwrap();
    assert_eq!(
        json!(refund),
        json!({
            "id": "re_1", "amount": null, "currency": null, "charge": null, "payment_intent": null, "status": null,
            "failure_reason": null
        })
    );
}
