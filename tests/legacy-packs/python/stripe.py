"""Customers of Stripe, by Stripe's own SDK, with a client for each call."""

import io
import os

import stripe
from rig_core.rtp import ToolDef, ToolError
from rig_core.runtime import RegisteredTool, RigToolRaised

# The SDK brings authorities of its own; where the environment names others, those count.
stripe.ca_bundle_path = os.environ.get("SSL_CERT_FILE", stripe.ca_bundle_path)

SLOT = "STRIPE_API_KEY"
STATUS = {401: "auth_error", 402: "upstream_error", 403: "permission_error", 404: "not_found", 409: "conflict", 429: "rate_limited"}


def calling(function):
    """With a client that has the key of this call, and Stripe's errors as those of tools."""

    def impl(args, secrets, ctx):
        try:
            return function(stripe.StripeClient(secrets[SLOT], max_network_retries=0), args)
        except stripe.APIConnectionError as error:
            raise RigToolRaised(ToolError(type="transient", message=str(error), retryable=True))
        except stripe.StripeError as error:
            kind = STATUS.get(error.http_status, "validation_error")
            raise RigToolRaised(
                ToolError(type=kind, message=error.user_message or str(error), retryable=kind == "rate_limited", upstream_code=error.code)
            )

    return impl


def shown(customer):
    return {"id": customer.id, "email": customer.email, "name": customer.name}


def customers_list(client, args):
    found = client.v1.customers.list({"limit": args.get("limit", 10)})
    return {"customers": [shown(customer) for customer in found.data], "has_more": found.has_more}


def customers_create(client, args):
    return shown(client.v1.customers.create({"email": args["email"], "metadata": args.get("metadata", {})}))


def customers_retrieve(client, args):
    return shown(client.v1.customers.retrieve(args["id"]))


def files_create(client, args):
    # Goes to files.stripe.com.
    sent = client.v1.files.create({"purpose": "dispute_evidence", "file": io.BytesIO(args["text"].encode())})
    return {"id": sent.id}


def schema(required, **properties):
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT = {"type": "string"}
TOOLS = {
    "stripe.customers.list": (
        customers_list,
        ToolDef(name="stripe.customers.list", description="Lists customers.", input_schema=schema([], limit={"type": "integer"}), auth_slots=[SLOT]),
    ),
    "stripe.customers.create": (
        customers_create,
        ToolDef(
            name="stripe.customers.create",
            description="Creates a customer.",
            input_schema=schema(["email"], email=TEXT, metadata={"type": "object"}),
            output_schema=schema(["id"], id=TEXT, email=TEXT, name={"type": ["string", "null"]}),
            auth_slots=[SLOT],
            risk_class="write",
        ),
    ),
    "stripe.customers.retrieve": (
        customers_retrieve,
        ToolDef(name="stripe.customers.retrieve", description="Looks a customer up.", input_schema=schema(["id"], id=TEXT), auth_slots=[SLOT]),
    ),
    "stripe.files.create": (
        files_create,
        ToolDef(name="stripe.files.create", description="Sends a file.", input_schema=schema(["text"], text=TEXT), auth_slots=[SLOT], risk_class="write"),
    ),
}


class Pack:
    def rig_pack_metadata(self):
        return {"name": "stripe", "version": "1.0.0"}

    def rig_tools(self):
        return [tool for _, tool in TOOLS.values()]

    def rig_impls(self):
        return {name: RegisteredTool(tool, calling(function), "stripe", "1.0.0") for name, (function, tool) in TOOLS.items()}


pack = Pack()
