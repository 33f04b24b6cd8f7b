"""Issues of GitHub, by PyGithub, which keeps objects with lazily fetched attributes and a connection pool."""

import io

import github
from rig_core.rtp import ToolDef, ToolError, ToolResult
from rig_core.runtime import RegisteredTool, RigToolRaised

SLOT = "GITHUB_TOKEN"
KINDS = {401: "auth_error", 403: "permission_error", 404: "not_found", 422: "validation_error", 429: "rate_limited"}


def repository(args, secrets):
    # Without the SDK's own retries, which wait for seconds: rig retries.
    client = github.Github(auth=github.Auth.Token(secrets[SLOT]), retry=None)
    return client.get_repo(args["repo"])


def guarded(function):
    def impl(args, secrets, ctx):
        try:
            return function(repository(args, secrets), args)
        except github.GithubException as error:
            said = error.data.get("message", "") if isinstance(error.data, dict) else ""
            kind = KINDS.get(error.status, "upstream_error")
            raise RigToolRaised(ToolError(type=kind, message=said or str(error), upstream_code=str(error.status)))

    return impl


def issues_list(repo, args):
    return {"titles": [issue.title for issue in repo.get_issues(state=args.get("state", "open"))]}


def issues_create(repo, args):
    issue = repo.create_issue(title=args["title"], body=args.get("body", ""), labels=args.get("labels", []))
    # A whole result instead of an output.
    return ToolResult(ok=True, output={"number": issue.number, "url": issue.html_url})


def assets_upload(repo, args):
    # Goes to uploads.github.com.
    release = repo.get_release(args["release"])
    asset = release.upload_asset_from_memory(io.BytesIO(b"content"), 7, name="a.txt")
    return {"name": asset.name}


def tool(name, description, required, risk="read", **more):
    properties = {"repo": {"type": "string"}, **{name: {"type": "string"} for name in required}, **more}
    schema = {"type": "object", "properties": properties, "required": ["repo", *required]}
    return ToolDef(name=name, description=description, input_schema=schema, auth_slots=[SLOT], risk_class=risk, tags=["code"])


LABELS = {"type": "array", "items": {"type": "string"}}
TOOLS = [
    (tool("github.issues.list", "Lists issues.", [], state={"enum": ["open", "closed"]}), issues_list),
    (tool("github.issues.create", "Opens an issue.", ["title"], "write", body={"type": "string"}, labels=LABELS), issues_create),
    (tool("github.assets.upload", "Uploads an asset.", [], "write", release={"type": "integer"}), assets_upload),
]


class Pack:
    rig_pack_metadata = staticmethod(lambda: {"name": "github", "version": "1.0.0"})
    rig_tools = staticmethod(lambda: [tool for tool, _ in TOOLS])
    rig_impls = staticmethod(
        lambda: {tool.name: RegisteredTool(tool, guarded(function), "github", "1.0.0") for tool, function in TOOLS}
    )


pack = Pack()
