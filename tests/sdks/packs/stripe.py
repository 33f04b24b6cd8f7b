"""The Stripe pack's tools, as calls of stripe."""

import os

import stripe

from . import given

# The SDK brings its own list of authorities, and tells Stripe about earlier requests.
stripe.ca_bundle_path = os.environ["SSL_CERT_FILE"]
stripe.enable_telemetry = False
CLIENT = stripe.StripeClient(os.environ["STRIPE_API_KEY"], max_network_retries=0).v1


def create_invoice(args):
    params = given(args, "collection_method", "days_until_due")
    CLIENT.invoices.create({"customer": args["customer_id"], **params})


def create_invoice_item(args):
    params = {"customer": args["customer_id"], "amount": args["amount"], "currency": args.get("currency", "usd")}
    params.update(given(args, "description"))
    if "invoice_id" in args:
        params["invoice"] = args["invoice_id"]
    CLIENT.invoice_items.create(params)


def create_subscription(args):
    params = {"customer": args["customer_id"], "items": [{"price": args["price_id"]}]}
    if "trial_days" in args:
        params["trial_period_days"] = args["trial_days"]
    CLIENT.subscriptions.create(params)


CALLS = {
    "stripe.customers.create": lambda args: CLIENT.customers.create(given(args, "email", "name", "phone", "metadata")),
    "stripe.customers.search": lambda args: CLIENT.customers.search({"query": args["query"]}),
    "stripe.invoices.create": create_invoice,
    "stripe.invoice_items.create": create_invoice_item,
    "stripe.payment_links.create": lambda args: CLIENT.payment_links.create(given(args, "line_items", "metadata")),
    "stripe.refunds.create": lambda args: CLIENT.refunds.create(given(args, "payment_intent", "charge", "amount")),
    "stripe.subscriptions.create": create_subscription,
    "stripe.subscriptions.cancel": lambda args: CLIENT.subscriptions.cancel(args["subscription_id"]),
}
