//! Customers, invoices, payment links, refunds and subscriptions on Stripe, over version 1 of its API.
//!
//! The pack sees no key: the host adds it to the requests to `api.stripe.com`. Amounts are in the smallest unit of their currency, as
//! Stripe has them; the pack converts nothing.

mod api;
mod failure;
mod form;
mod model;

use rig_sdk::{
    Context, Error, Result,
    json::{Map, Value},
    tool,
};
use schemars::JsonSchema;
use serde::Deserialize;

use form::Form;
pub use model::{Customer, Customers, Invoice, InvoiceItem, PaymentLink, Refund, Subscription};

/// Creates a customer. Stripe allows several customers with one address, so search for the address first.
#[tool(
    name = "stripe.customers.create",
    title = "Create a customer",
    risk = "write",
    tags = ["customers"],
    slots = ["STRIPE_API_KEY"],
    example(
        description = "A customer with a reference of one's own",
        args = r#"{"email": "ada@example.com", "name": "Ada Lovelace", "metadata": {"order": "6735"}}"#
    )
)]
pub fn create_customer(
    ctx: &Context,
    /// The address for invoices and receipts.
    #[schemars(length(min = 1))]
    email: String,
    /// The name of the person or business.
    name: Option<String>,
    /// The phone number.
    phone: Option<String>,
    /// Key-value pairs to store, for example ids of another system; texts of up to 500 characters.
    metadata: Option<Map<String, Value>>,
) -> Result<Customer> {
    let form =
        Form::default().field("email", email).field("name", name).field("phone", phone).field("metadata", metadata);
    api::create(ctx, "customers", form, Customer::read)
}

/// Searches for customers by address, name, phone, metadata or time of creation. A new customer shows up after about a minute.
#[tool(
    name = "stripe.customers.search",
    title = "Search for customers",
    risk = "read",
    tags = ["customers"],
    slots = ["STRIPE_API_KEY"],
    idempotent,
    example(description = "By address", args = r#"{"query": "email:'ada@example.com'"}"#),
    example(description = "By a part of the name and by metadata", args = r#"{"query": "name~'ada' AND metadata['order']:'6735'"}"#)
)]
pub fn search_customers(
    /// In Stripe's query language, `email:'ada@example.com'`: `~` for a part of a text, `>` and `<` for `created`, `AND` or `OR`
    /// between, `-` to exclude.
    #[schemars(length(min = 1))]
    query: String,
) -> Result<Customers> {
    Customers::read(&api::search("customers", &query)?)
}

/// Creates a draft of an invoice for a customer. Add its lines with `stripe.invoice_items.create`; nothing is collected or sent before
/// the draft is finalised on Stripe.
#[tool(
    name = "stripe.invoices.create",
    title = "Create an invoice",
    risk = "money",
    tags = ["invoices"],
    slots = ["STRIPE_API_KEY"],
    example(
        description = "An invoice to be sent, and paid within 30 days",
        args = r#"{"customer_id": "cus_NffrFeUfNV2Hib", "collection_method": "send_invoice", "days_until_due": 30}"#
    )
)]
pub fn create_invoice(
    ctx: &Context,
    /// The id of the customer, `cus_…`.
    #[schemars(length(min = 1))]
    customer_id: String,
    /// From the payment method on file, which is Stripe's default, or by an invoice that the customer pays.
    collection_method: Option<CollectionMethod>,
    /// Within how many days to pay. Only with `send_invoice`, which needs it.
    days_until_due: Option<u32>,
) -> Result<Invoice> {
    let form = Form::default()
        .field("customer", customer_id)
        .field("collection_method", collection_method.map(CollectionMethod::as_str))
        .field("days_until_due", days_until_due);
    api::create(ctx, "invoices", form, Invoice::read)
}

/// Adds a line to the draft of an invoice, or one that waits for the customer's next invoice. A negative amount lowers what is due.
#[tool(
    name = "stripe.invoice_items.create",
    title = "Add a line to an invoice",
    risk = "money",
    tags = ["invoices"],
    slots = ["STRIPE_API_KEY"],
    example(
        description = "25.00 US dollars on a draft",
        args = r#"{"customer_id": "cus_NffrFeUfNV2Hib", "amount": 2500, "description": "Consulting", "invoice_id": "in_1MtHbELkdIwHu7ix"}"#
    )
)]
pub fn create_invoice_item(
    ctx: &Context,
    /// The id of the customer, `cus_…`.
    #[schemars(length(min = 1))]
    customer_id: String,
    /// The amount in the currency's smallest unit: 2500 are 25.00 US dollars, or 2500 yen.
    amount: i64,
    /// ISO code of the currency, in lower case.
    #[tool(default = "usd")]
    #[schemars(length(min = 3, max = 3))]
    currency: String,
    /// The text on the invoice.
    description: Option<String>,
    /// The id of a draft, `in_…`. Without it the line waits for the next invoice.
    #[schemars(length(min = 1))]
    invoice_id: Option<String>,
) -> Result<InvoiceItem> {
    let form = Form::default()
        .field("customer", customer_id)
        .field("amount", amount)
        .field("currency", currency)
        .field("description", description)
        .field("invoice", invoice_id);
    api::create(ctx, "invoiceitems", form, InvoiceItem::read)
}

/// Creates a page on which anyone who has its address can pay for the items, as often as they like.
#[tool(
    name = "stripe.payment_links.create",
    title = "Create a payment link",
    risk = "money",
    tags = ["payments"],
    slots = ["STRIPE_API_KEY"],
    example(
        description = "Two of one price",
        args = r#"{"line_items": [{"price": "price_1MoBy5LkdIwHu7ixZhnattbh", "quantity": 2}]}"#
    ),
    example(
        description = "A price made for this link: 12.00 euros",
        args = r#"{"line_items": [{"price_data": {"currency": "eur", "unit_amount": 1200, "product": "prod_NWjs8kKbJWmuuc"}, "quantity": 1}]}"#
    )
)]
pub fn create_payment_link(
    ctx: &Context,
    /// What is paid for.
    #[schemars(length(min = 1, max = 20))]
    line_items: Vec<LineItem>,
    /// Key-value pairs to store with the link and its payments.
    metadata: Option<Map<String, Value>>,
) -> Result<PaymentLink> {
    let items = line_items.into_iter().map(LineItem::into_value).collect::<Result<Vec<_>>>()?;
    let form = Form::default().field("line_items", items).field("metadata", metadata);
    api::create(ctx, "payment_links", form, PaymentLink::read)
}

/// Gives a payment back, whole or in part, to the card or account that it came from. It cannot be undone.
#[tool(
    name = "stripe.refunds.create",
    title = "Refund a payment",
    risk = "money",
    tags = ["payments"],
    slots = ["STRIPE_API_KEY"],
    example(description = "The whole payment", args = r#"{"payment_intent": "pi_3MswcGLkdIwHu7ix1o2w"}"#),
    example(description = "5.00 US dollars of a charge", args = r#"{"charge": "ch_1NirD82eZvKYlo2CIvbtLWuY", "amount": 500}"#)
)]
pub fn create_refund(
    ctx: &Context,
    /// The id of the payment, `pi_…`. Either this or `charge`.
    #[schemars(length(min = 1))]
    payment_intent: Option<String>,
    /// The id of the charge, `ch_…`. Either this or `payment_intent`.
    #[schemars(length(min = 1))]
    charge: Option<String>,
    /// How much, in the currency's smallest unit. Without it, all that is left.
    #[schemars(range(min = 1))]
    amount: Option<u64>,
) -> Result<Refund> {
    if payment_intent.is_some() == charge.is_some() {
        return Err(Error::validation("give one of `payment_intent` and `charge`: they say which payment to refund"));
    }
    let form = Form::default().field("payment_intent", payment_intent).field("charge", charge).field("amount", amount);
    api::create(ctx, "refunds", form, Refund::read)
}

/// Subscribes a customer to a price that recurs. Without a trial the first payment is due at once.
#[tool(
    name = "stripe.subscriptions.create",
    title = "Create a subscription",
    risk = "money",
    tags = ["subscriptions"],
    slots = ["STRIPE_API_KEY"],
    example(
        description = "With two weeks for nothing",
        args = r#"{"customer_id": "cus_NffrFeUfNV2Hib", "price_id": "price_1MoBy5LkdIwHu7ixZhnattbh", "trial_days": 14}"#
    )
)]
pub fn create_subscription(
    ctx: &Context,
    /// The id of the customer, `cus_…`.
    #[schemars(length(min = 1))]
    customer_id: String,
    /// The id of a price that recurs, `price_…`.
    #[schemars(length(min = 1))]
    price_id: String,
    /// For how many days nothing is charged: 730 at most.
    #[schemars(range(max = 730))]
    trial_days: Option<u32>,
) -> Result<Subscription> {
    let mut price = Map::new();
    price.insert("price".into(), price_id.into());
    let form = Form::default()
        .field("customer", customer_id)
        .field("items", vec![Value::Object(price)])
        .field("trial_period_days", trial_days);
    api::create(ctx, "subscriptions", form, Subscription::read)
}

/// Cancels a subscription at once. Nothing more is charged for it, and nothing is paid back. It cannot be undone.
#[tool(
    name = "stripe.subscriptions.cancel",
    title = "Cancel a subscription",
    risk = "money",
    tags = ["subscriptions"],
    slots = ["STRIPE_API_KEY"],
    example(description = "By its id", args = r#"{"subscription_id": "sub_1MlPf9LkdIwHu7ixB6VIYRyX"}"#)
)]
pub fn cancel_subscription(
    /// The id of the subscription, `sub_…`.
    #[schemars(length(min = 1))]
    subscription_id: String,
) -> Result<Subscription> {
    api::delete(&["subscriptions", &subscription_id], Subscription::read)
}

/// How an invoice is paid. Its variants have no comments, so that its schema is a plain list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are Stripe's own words")]
pub enum CollectionMethod {
    ChargeAutomatically,
    SendInvoice,
}

impl CollectionMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ChargeAutomatically => "charge_automatically",
            Self::SendInvoice => "send_invoice",
        }
    }
}

/// One thing to pay for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineItem {
    /// The id of a price, `price_…`. Either this or `price_data`.
    #[serde(default)]
    pub price: Option<String>,
    /// A price made for this link, as in Stripe's API: `currency`, `unit_amount`, `product` or `product_data`, `recurring`. Either
    /// this or `price`.
    #[serde(default)]
    pub price_data: Option<Map<String, Value>>,
    /// How many.
    #[schemars(range(min = 1))]
    pub quantity: u64,
    /// Whether the buyer may change the quantity: `enabled`, `minimum`, `maximum`.
    #[serde(default)]
    pub adjustable_quantity: Option<Map<String, Value>>,
}

impl LineItem {
    fn into_value(self) -> Result<Value> {
        if self.price.is_some() == self.price_data.is_some() {
            return Err(Error::validation("each of `line_items` has one of `price` and `price_data`"));
        }
        let fields = [
            ("price", self.price.into()),
            ("price_data", self.price_data.into()),
            ("quantity", self.quantity.into()),
            ("adjustable_quantity", self.adjustable_quantity.into()),
        ];
        // One by one: a map that is collected sorts its entries first, which is 8 KB of code.
        let mut item = Map::new();
        for (name, value) in fields {
            item.insert(name.into(), value);
        }
        Ok(Value::Object(item))
    }
}

rig_sdk::export!(
    create_customer,
    search_customers,
    create_invoice,
    create_invoice_item,
    create_payment_link,
    create_refund,
    create_subscription,
    cancel_subscription
);

#[cfg(test)]
mod tests;
