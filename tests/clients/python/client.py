"""Drives an MCP server with the official Python client and prints one JSON object of what the client saw.

The only argument is a plan, a JSON object; it and the output are those of `../node/client.mjs`, but for:
  protocol   "legacy", "auto" (the default of this client), or a revision to insist on
"""

import json
import sys
import time
from contextlib import AsyncExitStack
from functools import partial

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

PLAN = json.loads(sys.argv[1])
SEEN = {"client": "python", "steps": [], "elicitations": [], "listChanged": 0, "errors": []}


def as_json(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def described(error):
    # A task group wraps the one thing that went wrong.
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    code = error.error.code if isinstance(error, MCPError) else None
    return {"name": type(error).__name__, "code": code, "message": str(error)}


def transport(stack):
    if url := PLAN.get("url"):
        headers = PLAN.get("headers") or {}
        return streamable_http_client(url, http_client=httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False))
    server = StdioServerParameters(
        command=PLAN["command"], args=PLAN.get("args") or [], cwd=PLAN.get("cwd"), env=PLAN.get("env")
    )
    return stdio_client(server)


async def on_message(message):
    if isinstance(message, types.ToolListChangedNotification):
        SEEN["listChanged"] += 1
    elif isinstance(message, Exception):
        SEEN["errors"].append(str(message))


async def on_elicitation(_context, params):
    SEEN["elicitations"].append(as_json(params))
    answer = PLAN["elicitation"]
    if answer["action"] != "accept":
        return types.ElicitResult(action=answer["action"])
    fields = SEEN["elicitations"][-1]["requestedSchema"]["properties"] if answer.get("yes") else {}
    yes = {name: True for name, field in fields.items() if field.get("type") == "boolean"}
    return types.ElicitResult(action="accept", content=yes | answer.get("content", {}))


async def watch(client, *, task_status):
    """On the stateless revision, notices come only to those who listen. They are counted where all messages arrive."""
    async with client.listen(tools_list_changed=True) as events:
        task_status.started()
        async for _ in events:
            pass


async def list_tools(client):
    tools, cursor = [], None
    while True:
        # This client keeps a list for as long as the server says that it is fresh; a test wants what the server says now.
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += [as_json(tool) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return {"tools": tools}


async def call(client, step):
    progress = []
    found = {"progress": progress}
    started = time.monotonic()
    with anyio.CancelScope() as scope:

        async def on_progress(done, total, message):
            progress.append({"progress": done, "total": total, "message": message})
            if step.get("cancelOnProgress"):
                scope.cancel()

        if "cancelAfterMs" in step:
            scope.deadline = anyio.current_time() + step["cancelAfterMs"] / 1000
        try:
            result = await client.call_tool(
                step["call"]["name"],
                step["call"].get("arguments") or {},
                step.get("timeoutMs", 30_000) / 1000,
                on_progress if step.get("progress") or step.get("cancelOnProgress") else None,
            )
            found["result"] = as_json(result)
        except Exception as error:
            found |= {"error": described(error), "cancelled": False}
    if scope.cancelled_caught:
        found |= {"error": {"name": "Cancelled", "code": None, "message": "the test cancels"}, "cancelled": True}
    return found | {"ms": round((time.monotonic() - started) * 1000)}


async def together(client, steps):
    found = [None] * len(steps)

    async def one(at, step):
        found[at] = await run(client, step)

    async with anyio.create_task_group() as group:
        for at, step in enumerate(steps):
            group.start_soon(one, at, step)
    return {"together": found}


async def execute(step):
    done = await anyio.run_process(step["exec"], cwd=step.get("cwd"), env=step.get("env"))
    return {"stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


async def wait_list_changed(count, within_ms):
    with anyio.move_on_after(within_ms / 1000):
        while SEEN["listChanged"] < count:
            await anyio.sleep(0.01)
    return {"listChanged": SEEN["listChanged"]}


async def run(client, step):
    try:
        if step.get("list"):
            return await list_tools(client)
        if "call" in step:
            return await call(client, step)
        if "together" in step:
            return await together(client, step["together"])
        if "exec" in step:
            return await execute(step)
        if "waitListChanged" in step:
            return await wait_list_changed(step["waitListChanged"], step.get("withinMs", 30_000))
        raise ValueError(f"not a step: {step}")
    except Exception as error:
        return {"error": described(error)}


async def main():
    async with AsyncExitStack() as stack:
        client = Client(
            transport(stack),
            mode=PLAN.get("protocol", "auto"),
            message_handler=on_message,
            elicitation_callback=on_elicitation if PLAN.get("elicitation") else None,
            client_info=types.Implementation(name="rig-test", version="1.0.0"),
        )
        await stack.enter_async_context(client)
        SEEN["protocolVersion"] = client.protocol_version
        SEEN["server"] = as_json(client.server_info) if client.server_info else None
        SEEN["capabilities"] = as_json(client.server_capabilities)
        SEEN["instructions"] = client.instructions
        async with anyio.create_task_group() as group:
            listens = any("waitListChanged" in step for step in PLAN["steps"])
            if listens and client.protocol_version >= "2026-07-28":
                await group.start(partial(watch, client))
            for step in PLAN["steps"]:
                SEEN["steps"].append(await run(client, step))
            group.cancel_scope.cancel()


try:
    anyio.run(main)
except (Exception, BaseExceptionGroup) as error:
    SEEN["error"] = described(error)
print(json.dumps(SEEN))
