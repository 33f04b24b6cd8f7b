//! What the tools answer: the part of Stripe's objects that a caller acts on.
//!
//! Only the id must be there. A write has happened when Stripe answers, so an answer that lacks a detail, or has it in another shape,
//! is no failure: the detail is null.

use rig_sdk::{
    Error, Result,
    json::{Map, Value},
};
use schemars::JsonSchema;
use serde::Serialize;

/// A customer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Customer {
    /// Stripe's id, `cus_…`.
    pub id: String,
    /// The address; null when there is none.
    pub email: Option<String>,
    /// The name; null when there is none.
    pub name: Option<String>,
    /// The phone number; null when there is none.
    pub phone: Option<String>,
    /// Key-value pairs of the account's own; null when Stripe sends none.
    pub metadata: Option<Map<String, Value>>,
    /// When it was created, in seconds since 1970; null when Stripe sends none.
    pub created: Option<i64>,
}

/// Customers that match a query.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Customers {
    /// The customers that match best, ten at most.
    pub customers: Vec<Customer>,
    /// Whether more match. Narrow the query to see them.
    pub has_more: bool,
}

/// An invoice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Invoice {
    /// Stripe's id, `in_…`.
    pub id: String,
    /// The id of the customer; null when Stripe sends none.
    pub customer_id: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`; null when Stripe sends none.
    pub status: Option<String>,
    /// `charge_automatically` or `send_invoice`; null when Stripe sends none.
    pub collection_method: Option<String>,
    /// What is due, in the currency's smallest unit; null when Stripe sends none.
    pub amount_due: Option<i64>,
    /// Three letters, in lower case; null when Stripe sends none.
    pub currency: Option<String>,
    /// When it is due, in seconds since 1970; null when it has no date.
    pub due_date: Option<i64>,
    /// The page on which the customer pays; null before the invoice is finalised.
    pub hosted_invoice_url: Option<String>,
}

/// A line of an invoice, or one that waits for the customer's next invoice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InvoiceItem {
    /// Stripe's id, `ii_…`.
    pub id: String,
    /// The id of the customer; null when Stripe sends none.
    pub customer_id: Option<String>,
    /// The id of the invoice; null when the item waits for the next one.
    pub invoice_id: Option<String>,
    /// The amount in the currency's smallest unit; null when Stripe sends none.
    pub amount: Option<i64>,
    /// Three letters, in lower case; null when Stripe sends none.
    pub currency: Option<String>,
    /// The text on the invoice; null when there is none.
    pub description: Option<String>,
}

/// A payment link.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PaymentLink {
    /// Stripe's id, `plink_…`.
    pub id: String,
    /// The page on which to pay; null when Stripe sends none.
    pub url: Option<String>,
    /// Whether it takes payments; null when Stripe does not say.
    pub active: Option<bool>,
    /// Three letters, in lower case; null when Stripe sends none.
    pub currency: Option<String>,
    /// Key-value pairs of the account's own; null when Stripe sends none.
    pub metadata: Option<Map<String, Value>>,
}

/// A refund.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refund {
    /// Stripe's id, `re_…`.
    pub id: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`; null when Stripe sends none.
    pub status: Option<String>,
    /// The amount in the currency's smallest unit; null when Stripe sends none.
    pub amount: Option<i64>,
    /// Three letters, in lower case; null when Stripe sends none.
    pub currency: Option<String>,
    /// The id of the charge; null when there is none.
    pub charge: Option<String>,
    /// The id of the payment intent; null when there is none.
    pub payment_intent: Option<String>,
    /// Why it failed; null when it did not.
    pub failure_reason: Option<String>,
}

/// A subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subscription {
    /// Stripe's id, `sub_…`.
    pub id: String,
    /// The id of the customer; null when Stripe sends none.
    pub customer_id: Option<String>,
    /// `incomplete`, `incomplete_expired`, `trialing`, `active`, `past_due`, `canceled`, `unpaid` or `paused`; null when Stripe sends
    /// none.
    pub status: Option<String>,
    /// Three letters, in lower case; null when Stripe sends none.
    pub currency: Option<String>,
    /// The id of the newest invoice; null when there is none.
    pub latest_invoice_id: Option<String>,
    /// When the trial ends, in seconds since 1970; null when there is none.
    pub trial_end: Option<i64>,
    /// When it was cancelled, in seconds since 1970; null when it was not.
    pub canceled_at: Option<i64>,
    /// When it was created, in seconds since 1970; null when Stripe sends none.
    pub created: Option<i64>,
}

impl Customer {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            email: text(body, "email"),
            name: text(body, "name"),
            phone: text(body, "phone"),
            metadata: object(body, "metadata"),
            created: body["created"].as_i64(),
        })
    }
}

impl Customers {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        let Some(found) = body["data"].as_array() else { return Err(nonsense("no list")) };
        Ok(Self {
            customers: found.iter().map(Customer::read).collect::<Result<_>>()?,
            has_more: body["has_more"].as_bool().unwrap_or_default(),
        })
    }
}

impl Invoice {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            customer_id: reference(body, "customer"),
            status: text(body, "status"),
            collection_method: text(body, "collection_method"),
            amount_due: body["amount_due"].as_i64(),
            currency: text(body, "currency"),
            due_date: body["due_date"].as_i64(),
            hosted_invoice_url: text(body, "hosted_invoice_url"),
        })
    }
}

impl InvoiceItem {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            customer_id: reference(body, "customer"),
            invoice_id: reference(body, "invoice"),
            amount: body["amount"].as_i64(),
            currency: text(body, "currency"),
            description: text(body, "description"),
        })
    }
}

impl PaymentLink {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            url: text(body, "url"),
            active: body["active"].as_bool(),
            currency: text(body, "currency"),
            metadata: object(body, "metadata"),
        })
    }
}

impl Refund {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            status: text(body, "status"),
            amount: body["amount"].as_i64(),
            currency: text(body, "currency"),
            charge: reference(body, "charge"),
            payment_intent: reference(body, "payment_intent"),
            failure_reason: text(body, "failure_reason"),
        })
    }
}

impl Subscription {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        Ok(Self {
            id: id(body)?,
            customer_id: reference(body, "customer"),
            status: text(body, "status"),
            currency: text(body, "currency"),
            latest_invoice_id: reference(body, "latest_invoice"),
            trial_end: body["trial_end"].as_i64(),
            canceled_at: body["canceled_at"].as_i64(),
            created: body["created"].as_i64(),
        })
    }
}

fn id(body: &Value) -> Result<String> {
    text(body, "id").ok_or_else(|| nonsense("no `id`"))
}

fn nonsense(what: &str) -> Error {
    Error::upstream(["Stripe answered with JSON that has ", what].concat())
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

/// The id of another object, which Stripe sends alone or with the whole object.
fn reference(body: &Value, name: &str) -> Option<String> {
    text(body, name).or_else(|| text(&body[name], "id"))
}

fn object(body: &Value, name: &str) -> Option<Map<String, Value>> {
    body[name].as_object().cloned()
}
