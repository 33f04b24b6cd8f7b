"""The Slack pack's tools, as calls of slack_sdk."""

import os

from slack_sdk import WebClient

from . import given

# Nothing is tried twice: the stand-in answers once.
CLIENT = WebClient(token=os.environ["SLACK_BOT_TOKEN"], retry_handlers=[])


def post_message(args):
    CLIENT.chat_postMessage(**given(args, "channel", "text", "blocks", "thread_ts"))


def update_message(args):
    CLIENT.chat_update(**given(args, "channel", "ts", "text"))


def list_channels(args):
    listed = 0
    for page in CLIENT.conversations_list(**given(args, "types", "limit")):
        listed += len(page["channels"])
        if listed >= args.get("limit", 0):
            break


def lookup_user(args):
    CLIENT.users_lookupByEmail(email=args["email"])


CALLS = {
    "slack.messages.post": post_message,
    "slack.messages.update": update_message,
    "slack.channels.list": list_channels,
    "slack.users.lookupByEmail": lookup_user,
}
