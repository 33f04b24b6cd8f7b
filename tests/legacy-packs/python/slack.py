"""Messages and channels of Slack, by slack_sdk."""

from rig_core.rtp import ToolDef, ToolError
from rig_core.runtime import RegisteredTool, RigToolRaised
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

SLOT = "SLACK_BOT_TOKEN"
ERRORS = {"invalid_auth": "auth_error", "channel_not_found": "not_found", "ratelimited": "rate_limited", "missing_scope": "permission_error"}


def raised(error):
    code = error.response.get("error", "")
    return RigToolRaised(ToolError(type=ERRORS.get(code, "upstream_error"), message="Slack says " + code, upstream_code=code))


def post(args, secrets, ctx):
    try:
        answer = WebClient(token=secrets[SLOT]).chat_postMessage(channel=args["channel"], text=args["text"])
    except SlackApiError as error:
        raise raised(error)
    return {"channel": answer["channel"], "ts": answer["ts"]}


def channels(args, secrets, ctx):
    names = []
    try:
        # The SDK goes from page to page.
        for page in WebClient(token=secrets[SLOT]).conversations_list(limit=2):
            names += [channel["name"] for channel in page["channels"]]
    except SlackApiError as error:
        raise raised(error)
    return {"names": names}


def upload(args, secrets, ctx):
    # The second request of the SDK goes to the address that Slack answers the first one with, at another host.
    return {"file": WebClient(token=secrets[SLOT]).files_upload_v2(content=args["content"], filename="notes.txt")["file"]}


def tool(name, description, properties, risk="read"):
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return ToolDef(name=name, description=description, input_schema=schema, auth_slots=[SLOT], risk_class=risk)


TEXT = {"type": "string"}
TOOLS = [
    (tool("slack.messages.post", "Posts a message.", {"channel": TEXT, "text": TEXT}, "write"), post),
    (tool("slack.channels.list", "Names all channels.", {}), channels),
    (tool("slack.files.upload", "Uploads a file.", {"content": TEXT}, "write"), upload),
]


class SlackPack:
    def rig_pack_metadata(self):
        return {"name": "slack", "version": "1.0.0"}

    def rig_tools(self):
        return [tool for tool, _ in TOOLS]

    def rig_impls(self):
        return {tool.name: RegisteredTool(tool=tool, impl=impl, pack="slack", pack_version="1.0.0") for tool, impl in TOOLS}


# The class itself: the runner makes the object.
pack = SlackPack
