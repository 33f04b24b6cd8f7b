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
    /// The address, or null.
    pub email: Option<String>,
    /// The name, or null.
    pub name: Option<String>,
    /// The phone number, or null.
    pub phone: Option<String>,
    /// Key-value pairs, or null.
    pub metadata: Option<Map<String, Value>>,
    /// When it was created, seconds since 1970, or null.
    pub created: Option<i64>,
}

/// Customers that match a query.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Customers {
    /// The customers that match best, ten at most.
    pub customers: Vec<Customer>,
    /// Whether more match.
    pub has_more: bool,
}

/// An invoice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Invoice {
    /// Stripe's id, `in_…`.
    pub id: String,
    /// The id of the customer, or null.
    pub customer_id: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`, or null.
    pub status: Option<String>,
    /// `charge_automatically` or `send_invoice`, or null.
    pub collection_method: Option<String>,
    /// What is due, in the smallest unit, or null.
    pub amount_due: Option<i64>,
    /// Lower case, or null.
    pub currency: Option<String>,
    /// When it is due, seconds since 1970, or null.
    pub due_date: Option<i64>,
    /// The page to pay on, or null before finalising.
    pub hosted_invoice_url: Option<String>,
}

/// A line of an invoice, or of the next.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InvoiceItem {
    /// Stripe's id, `ii_…`.
    pub id: String,
    /// The id of the customer, or null.
    pub customer_id: Option<String>,
    /// The id of the invoice, or null.
    pub invoice_id: Option<String>,
    /// In the currency's smallest unit, or null.
    pub amount: Option<i64>,
    /// Lower case, or null.
    pub currency: Option<String>,
    /// The text on the invoice, or null.
    pub description: Option<String>,
}

/// A payment link.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PaymentLink {
    /// Stripe's id, `plink_…`.
    pub id: String,
    /// The page on which to pay, or null.
    pub url: Option<String>,
    /// Whether it takes payments, or null.
    pub active: Option<bool>,
    /// Lower case, or null.
    pub currency: Option<String>,
    /// Key-value pairs, or null.
    pub metadata: Option<Map<String, Value>>,
}

/// A refund.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refund {
    /// Stripe's id, `re_…`.
    pub id: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`, or null.
    pub status: Option<String>,
    /// In the currency's smallest unit, or null.
    pub amount: Option<i64>,
    /// Lower case, or null.
    pub currency: Option<String>,
    /// The id of the charge, or null.
    pub charge: Option<String>,
    /// The id of the payment intent, or null.
    pub payment_intent: Option<String>,
    /// Why it failed; null when it did not.
    pub failure_reason: Option<String>,
}

/// A subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subscription {
    /// Stripe's id, `sub_…`.
    pub id: String,
    /// The id of the customer, or null.
    pub customer_id: Option<String>,
    /// `incomplete`, `incomplete_expired`, `trialing`, `active`, `past_due`, `canceled`, `unpaid` or `paused`, or
    /// null.
    pub status: Option<String>,
    /// Lower case, or null.
    pub currency: Option<String>,
    /// The newest invoice, or null.
    pub latest_invoice_id: Option<String>,
    /// When the trial ends, seconds since 1970, or null.
    pub trial_end: Option<i64>,
    /// When it was cancelled, seconds since 1970, or null.
    pub canceled_at: Option<i64>,
    /// When it was created, seconds since 1970, or null.
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
            created: number(body, "created"),
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
            amount_due: number(body, "amount_due"),
            currency: text(body, "currency"),
            due_date: number(body, "due_date"),
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
            amount: number(body, "amount"),
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
            amount: number(body, "amount"),
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
            trial_end: number(body, "trial_end"),
            canceled_at: number(body, "canceled_at"),
            created: number(body, "created"),
        })
    }
}

#[inline(never)]
fn id(body: &Value) -> Result<String> {
    text(body, "id").ok_or_else(|| nonsense("no `id`"))
}

fn nonsense(what: &str) -> Error {
    Error::upstream(["Stripe answered with JSON that has ", what].concat())
}

#[inline(never)]
fn number(body: &Value, name: &str) -> Option<i64> {
    body[name].as_i64()
}

#[inline(never)]
fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

/// The id of another object, which Stripe sends alone or with the whole object.
#[inline(never)]
fn reference(body: &Value, name: &str) -> Option<String> {
    text(body, name).or_else(|| text(&body[name], "id"))
}

#[inline(never)]
fn object(body: &Value, name: &str) -> Option<Map<String, Value>> {
    body[name].as_object().cloned()
}
