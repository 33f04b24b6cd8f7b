"""Pages of Notion, by the asynchronous client of notion-client, which is built on httpx and anyio."""

import asyncio

from notion_client import APIResponseError, AsyncClient
from rig_core.rtp import ToolDef, ToolError
from rig_core.runtime import RegisteredTool, RigToolRaised

SLOT = "NOTION_TOKEN"
KINDS = {"unauthorized": "auth_error", "restricted_resource": "permission_error", "object_not_found": "not_found", "rate_limited": "rate_limited"}


def asynchronous(function):
    async def impl(args, secrets, ctx):
        async with AsyncClient(auth=secrets[SLOT]) as client:
            try:
                return await function(client, args)
            except APIResponseError as error:
                code = getattr(error.code, "value", error.code)
                raise RigToolRaised(ToolError(KINDS.get(code, "validation_error"), str(error), upstream_code=code))

    return impl


async def retrieve(client, args):
    # Several at once, over one client.
    pages = await asyncio.gather(*[client.pages.retrieve(page_id=page) for page in args["pages"]])
    return {"titles": [page["properties"]["title"]["title"][0]["plain_text"] for page in pages]}


async def create(client, args):
    title = {"title": [{"text": {"content": args["title"]}}]}
    page = await client.pages.create(parent={"page_id": args["parent"]}, properties={"title": title})
    return {"id": page["id"], "url": page["url"]}


def tool(name, description, properties, risk):
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return ToolDef(name=name, description=description, input_schema=schema, auth_slots=[SLOT], risk_class=risk)


TEXT = {"type": "string"}
TOOLS = [
    (tool("notion.pages.retrieve", "Looks pages up.", {"pages": {"type": "array", "items": TEXT}}, "read"), retrieve),
    (tool("notion.pages.create", "Creates a page.", {"parent": TEXT, "title": TEXT}, "write"), create),
]


class Pack:
    def rig_pack_metadata(self):
        return {"name": "notion", "version": "1.0.0"}

    def rig_tools(self):
        return [tool for tool, _ in TOOLS]

    def rig_impls(self):
        return {tool.name: RegisteredTool(tool, asynchronous(function), "notion", "1.0.0") for tool, function in TOOLS}


pack = Pack()
