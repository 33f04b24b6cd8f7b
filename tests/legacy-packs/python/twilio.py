"""Text messages by Twilio's SDK, which holds one session for all calls of an account."""

from functools import lru_cache

import requests
from rig_core.rtp import ToolDef, ToolError
from rig_core.runtime import RegisteredTool, RigToolRaised
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

SLOTS = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]


@lru_cache(maxsize=8)
def client(account, token):
    return Client(account, token)


def told(error):
    kind = {401: "auth_error", 404: "not_found", 429: "rate_limited"}.get(error.status, "validation_error")
    return RigToolRaised(ToolError(kind, error.msg, upstream_code=str(error.code), remediation_hints=[error.uri]))


def send(args, secrets, ctx):
    print("sending to", args["to"])
    try:
        message = client(*[secrets[slot] for slot in SLOTS]).messages.create(to=args["to"], from_=args["from"], body=args["body"])
    except TwilioRestException as error:
        raise told(error)
    return {"sid": message.sid, "status": message.status}


def fetch(args, secrets, ctx):
    try:
        message = client(*[secrets[slot] for slot in SLOTS]).messages(args["sid"]).fetch()
    except TwilioRestException as error:
        raise told(error)
    return {"body": message.body, "sent": message.date_sent.isoformat(), "price": message.price}


def check(args, secrets, ctx):
    # Goes to verify.twilio.com.
    try:
        checks = client(*[secrets[slot] for slot in SLOTS]).verify.v2.services(args["service"]).verification_checks
        return {"status": checks.create(to=args["to"], code=args["code"]).status}
    except requests.ConnectionError as error:
        raise RigToolRaised(ToolError("permission_error", "no way to Twilio Verify: %s" % error))


def tool(name, description, arguments, risk):
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in arguments}, "required": arguments}
    return ToolDef(name, description, schema, auth_slots=SLOTS, risk_class=risk)


TOOLS = [
    (tool("twilio.messages.send", "Sends a text message.", ["to", "from", "body"], "write"), send),
    (tool("twilio.messages.fetch", "Looks a message up.", ["sid"], "read"), fetch),
    (tool("twilio.codes.check", "Checks a code.", ["service", "to", "code"], "read"), check),
]


class Pack:
    def rig_pack_metadata(self):
        return {"name": "twilio", "version": "1.0.0", "publisher": "Tests"}

    def rig_tools(self):
        # As dicts, which some packs answer.
        return [tool.to_dict() for tool, _ in TOOLS]

    def rig_impls(self):
        return {tool.name: RegisteredTool(tool, impl, "twilio", "1.0.0") for tool, impl in TOOLS}


pack = Pack()
