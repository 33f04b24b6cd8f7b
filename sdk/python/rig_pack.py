"""What the author of a pack in Python uses: tools as plain functions, compiled to a component that runs in a sandbox.

    from typing import Annotated, TypedDict
    from rig_pack import http, tool

    class Weather(TypedDict):
        temperature: Annotated[float, "Degrees Celsius"]

    @tool("weather.current.get", risk="read", slots=["WEATHER_TOKEN"], idempotent=True)
    def current(city: Annotated[str, "The name of the city"], days: Annotated[int, "How many days ahead"] = 0) -> Weather:
        \"\"\"Tells the weather in a city.\"\"\"
        response = http.get("https://api.example.com", path=["v1", city], query={"days": days})
        if not response.ok:
            raise response.failure(f"the weather service answered {response.status}")
        return response.json()

The docstring is the description that models choose by; each parameter says by `Annotated` what it is, and one with a default is
optional. The types are turned into JSON Schemas: `str`, `int`, `float`, `bool`, `list[...]`, `dict[str, ...]`, `Literal[...]`,
`Optional[...]`, `TypedDict`, and `Any`. Pass `input_schema=` or `output_schema=` for what these cannot say. A first parameter named
`ctx` is the context of the call.

This module stands beside the pack while `rig build` runs; in ordinary Python, for tests, `http.transport` is a function of yours.
"""

import inspect
import json
import typing
import types as _types
import urllib.parse

try:
    from componentize_py_types import Err
    from wit_world.imports import config as _config, http as _http, log as _log, types as _wit
except ImportError:  # Ordinary Python: there is no host.
    Err = _config = _http = _log = _wit = None

_KINDS = {
    "validation_error": False, "auth_error": False, "permission_error": False, "not_found": False, "conflict": False,
    "rate_limited": True, "transient": True, "timeout": True, "upstream_error": False, "policy_blocked": False,
    "approval_required": False, "internal_error": False,
}  # fmt: skip

#: The tools of the pack, in the order in which they were defined.
TOOLS = []


class Error(Exception):
    """Why a call failed, in one of the twelve kinds that an agent can act on. Raised by tools.

    The message is one sentence that says what happened and why; hints say what can be done, most useful first.
    """

    def __init__(self, kind, message, *hints, code=None, retryable=None):
        if kind not in _KINDS:
            raise ValueError(f"{kind!r} is no kind of error: the kinds are {', '.join(_KINDS)}")
        super().__init__(message)
        self.kind, self.message, self.hints = kind, message, list(hints)
        self.code = None if code is None else str(code)
        self.retryable = _KINDS[kind] if retryable is None else retryable


class Response:
    """A response, whole. Header names are in lower case."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, bytes(body)

    @property
    def ok(self):
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name):
        """The first header of that name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def text(self):
        """The body as text; an `upstream_error` when it is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise self._nonsense("text that is not UTF-8") from None

    def json(self):
        """The body as JSON; an `upstream_error` when it is not."""
        try:
            return json.loads(self.text())
        except ValueError as error:
            raise self._nonsense(f"an unexpected body: {error}") from None

    def failure(self, message, *hints):
        """The error that the status stands for: 401 is `auth_error`, 404 `not_found`, 429 `rate_limited` and so on."""
        kind, retryable = _kind_of(self.status)
        wait = (self.header("retry-after") or "").strip() if retryable else ""
        waits = [f"retry after {wait} s" if wait.isdigit() else f"retry after {wait[:64]}"] if wait else []
        return Error(kind, message, *hints, *waits, code=self.status, retryable=retryable)

    def _nonsense(self, what):
        return Error("upstream_error", f"the service answered with status {self.status} and {what}", code=self.status)


def _kind_of(status):
    kinds = {
        401: "auth_error", 402: "permission_error", 403: "permission_error", 404: "not_found", 407: "auth_error",
        408: "timeout", 409: "conflict", 410: "not_found", 412: "conflict", 423: "conflict", 425: "transient",
        429: "rate_limited", 451: "permission_error", 502: "transient", 503: "transient", 504: "transient",
    }  # fmt: skip
    kind = kinds.get(status, "validation_error" if 400 <= status < 500 else "upstream_error")
    return kind, status in (408, 425, 429, 500, 502, 503, 504)


class _Http:
    """Requests to the hosts that rig-pack.toml names. Secrets are added by the host: there is nothing to do for them here."""

    #: In ordinary Python: a function of `(method, url, headers, body)` that answers `(status, headers, body)`.
    transport = None

    def send(self, method, url, *, path=(), query=None, headers=None, json=None, form=None, body=None, timeout=None):
        """Sends a request and waits for the whole response. A response with an error status is a response.

        `path` is a list of segments, each percent-encoded, so that none can change the URL; fields of `query` and `form` that are
        None are left out. `json` is any value; `timeout` is in seconds.
        """
        for segment in map(str, path):
            if segment in ("", ".", ".."):
                shown = f"`{segment}`" if segment else "an empty text"
                raise Error("validation_error", f"{shown} cannot be part of a URL's path")
            url = url.rstrip("/") + "/" + urllib.parse.quote(segment, safe="-._~")
        if query and (fields := _fields(query)):
            url += ("&" if "?" in url else "?") + fields
        headers = list((headers or {}).items())
        named = {name.lower() for name, _ in headers}
        if json is not None:
            body, content_type = _dumps(json).encode(), "application/json"
        elif form is not None:
            body, content_type = _fields(form).encode(), "application/x-www-form-urlencoded"
        else:
            content_type = None
        if content_type and "content-type" not in named:
            headers.append(("content-type", content_type))
        if _http is None:
            if self.transport is None:
                raise RuntimeError("outside of the sandbox, set rig_pack.http.transport to a function that answers requests")
            return Response(*self.transport(method, url, headers, body))
        try:
            timeout_ms = None if timeout is None else int(timeout * 1000)
            response = _http.send(_http.Request(method, url, headers, body, timeout_ms))
        except Err as error:
            raise _http_error(error.value) from None
        return Response(response.status, response.headers, response.body)

    def get(self, url, **more):
        """`send("GET", ...)`."""
        return self.send("GET", url, **more)

    def post(self, url, **more):
        """`send("POST", ...)`."""
        return self.send("POST", url, **more)


http = _Http()


def _http_error(error):
    name = type(error).__name__.removeprefix("HttpError_")
    kinds = {
        "Denied": ("permission_error", "the request is not granted"),
        "InvalidRequest": ("internal_error", "the request is malformed"),
        "Dns": ("transient", "the host's name does not resolve"),
        "Connect": ("transient", "the host cannot be reached"),
        "Tls": ("upstream_error", "the host's certificate or TLS is at fault"),
        "Timeout": ("timeout", "the host did not answer in time"),
        "TooLarge": ("upstream_error", "the request or the response is too large"),
        "Protocol": ("upstream_error", "the host broke the protocol"),
    }
    kind, meaning = kinds.get(name, ("upstream_error", "there is no response"))
    return Error(kind, f"{meaning}: {error.value}")


def _fields(fields):
    items = fields.items() if isinstance(fields, dict) else fields
    texts = [(name, _dumps(value) if isinstance(value, bool) else str(value)) for name, value in items if value is not None]
    return urllib.parse.urlencode(texts, safe="-._~[]")


def _dumps(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def config(name):
    """The value of a setting that rig-pack.toml declares, or None."""
    return _config.get(name) if _config else None


def log(message, level="info"):
    """Writes a line to the pack's log: `debug`, `info`, `warn` or `error`."""
    if _log:
        _log.write(_log.Level[level.upper()], str(message))


RISKS = ("read", "write", "infra", "money", "destructive")


def tool(name, *, risk, title="", tags=(), slots=(), idempotent=False, examples=(), policy_defaults=None,
         input_schema=None, output_schema=None):  # fmt: skip
    """Makes a function a tool of the pack. It stays as it is and can be called directly, for example by a test.

    `examples` are tuples of a description, the arguments, and if there is one to show the output.
    """
    if risk not in RISKS:
        raise ValueError(f"{name}: risk is {', '.join(RISKS)}, not {risk}")

    def register(function):
        description = inspect.cleandoc(function.__doc__ or "")
        hints = typing.get_type_hints(function, include_extras=True)
        names = list(inspect.signature(function).parameters.values())
        with_context = bool(names) and names[0].name == "ctx"
        TOOLS.append({
            "name": name, "title": title, "risk": risk, "tags": list(tags), "slots": list(slots), "idempotent": idempotent,
            "description": " ".join(description.split("\n")), "examples": list(examples), "policy_defaults": policy_defaults or {},
            "input_schema": input_schema or _parameters(names[with_context:], hints),
            "output_schema": output_schema or _schema(hints.get("return", dict)),
            "function": function, "with_context": with_context,
        })  # fmt: skip
        return function

    return register


def _parameters(parameters, hints):
    properties, required = {}, []
    for parameter in parameters:
        schema = _schema(hints.get(parameter.name, typing.Any))
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
        elif parameter.default is not None:
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": required} if required else schema


_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array", type(None): "null"}


def _schema(of):
    """The JSON Schema of a type."""
    origin, parts = typing.get_origin(of), typing.get_args(of)
    if origin is typing.Annotated:
        schema = _schema(parts[0])
        for extra in parts[1:]:
            # A text is the description, a dictionary has more keywords.
            schema |= {"description": extra} if isinstance(extra, str) else extra
        return schema
    if of is typing.Any:
        return {}
    if of in _SIMPLE:
        return {"type": _SIMPLE[of]}
    if origin is list:
        return {"type": "array", "items": _schema(parts[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    if origin is typing.Literal:
        return {"type": "string", "enum": list(parts)} if all(isinstance(part, str) for part in parts) else {"enum": list(parts)}
    if origin in (typing.Union, _types.UnionType):
        schemas = [_schema(part) for part in parts]
        if all(set(schema) == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        return {"anyOf": schemas}
    if origin in (typing.Required, typing.NotRequired):
        return _schema(parts[0])
    if typing.is_typeddict(of):
        hints = typing.get_type_hints(of, include_extras=True)
        schema = {"type": "object", "properties": {key: _schema(hint) for key, hint in hints.items()}}
        schema |= {"description": inspect.cleandoc(of.__doc__)} if of.__doc__ else {}
        return schema | ({"required": [key for key in hints if key in of.__required_keys__]} if of.__required_keys__ else {})
    raise TypeError(f"{of!r} has no JSON Schema here: pass input_schema= or output_schema= to @tool")


class Tools:
    """What the component exports."""

    def describe(self):
        return [
            _wit.ToolDef(
                name=tool["name"],
                title=tool["title"],
                description=tool["description"],
                input_schema=_dumps(tool["input_schema"]),
                output_schema=_dumps(tool["output_schema"]),
                error_schema="{}",
                auth_slots=tool["slots"],
                risk_class=_wit.RiskClass[tool["risk"].upper()],
                tags=tool["tags"],
                idempotent=tool["idempotent"],
                policy_defaults=_dumps(tool["policy_defaults"]),
                examples=[_wit.Example(text, _dumps(args), _dumps(more[0]) if more else None)
                          for text, args, *more in tool["examples"]],
            )
            for tool in TOOLS
        ]  # fmt: skip

    def call(self, name, args, ctx):
        try:
            return call(name, args, ctx)
        except Error as error:
            raise Err(_wit.ToolError(_wit.ErrorKind[error.kind.upper()], error.message, error.retryable, error.code, error.hints))
        except Exception as error:
            # The fault of the pack. What it was goes to the log, for its author.
            import traceback

            log(traceback.format_exc(), "error")
            message = f"the pack failed with {type(error).__name__}"
            raise Err(_wit.ToolError(_wit.ErrorKind.INTERNAL_ERROR, message, False, None, ["the pack's log says where"]))


def call(name, args, ctx=None):
    """Calls a tool with arguments as JSON text, and answers its output as JSON text."""
    tool = next((tool for tool in TOOLS if tool["name"] == name), None)
    if tool is None:
        raise Error("not_found", f"the pack has no tool named {name}")
    context = [ctx] if tool["with_context"] else []
    return _dumps(tool["function"](*context, **json.loads(args)))
