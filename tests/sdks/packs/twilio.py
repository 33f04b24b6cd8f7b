"""The Twilio pack's tools, as calls of twilio."""

import os

from twilio.rest import Client

from . import given

CLIENT = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])


def send_sms(args):
    sender = given(args, "from_")
    if not sender and "TWILIO_MESSAGING_SERVICE_SID" in os.environ:
        sender = {"messaging_service_sid": os.environ["TWILIO_MESSAGING_SERVICE_SID"]}
    CLIENT.messages.create(to=args["to"], body=args["body"], **sender)


def start_verification(args):
    service = CLIENT.verify.v2.services(args["service_sid"])
    service.verifications.create(to=args["to"], channel=args.get("channel", "sms"))


def check_verification(args):
    service = CLIENT.verify.v2.services(args["service_sid"])
    service.verification_checks.create(to=args["to"], code=args["code"])


CALLS = {
    "twilio.sms.send": send_sms,
    "twilio.calls.create": lambda args: CLIENT.calls.create(**given(args, "to", "from_", "url", "twiml")),
    "twilio.calls.status": lambda args: CLIENT.calls(args["call_sid"]).fetch(),
    "twilio.verify.start": start_verification,
    "twilio.verify.check": check_verification,
}
