"""The SendGrid pack's tools, as calls of sendgrid."""

import os

from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail

from . import given

CLIENT = SendGridAPIClient(os.environ["SENDGRID_API_KEY"])


def send_email(args):
    CLIENT.send(
        Mail(
            from_email=args["from_email"],
            to_emails=args["to"],
            subject=args["subject"],
            plain_text_content=args.get("text_content"),
            html_content=args.get("html_content"),
        )
    )


CALLS = {
    "sendgrid.email.send": send_email,
    "sendgrid.templates.list": lambda args: CLIENT.client.templates.get(query_params=given(args, "generations")),
}
