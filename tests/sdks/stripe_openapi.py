"""Prints what Stripe's SDK says about Stripe's API, as far as it goes into an OpenAPI document: methods, paths and parameters.

Stripe publishes its description in no package, but generates its SDK from it: each method of a service class names its path, and the
type of its parameters has every field. The SDK itself sends whatever it is given, so nothing else looks at the names.
"""

import ast
import json
import sys
import types
import typing
from pathlib import Path

import stripe
import stripe.params
from stripe._request_options import RequestOptions
from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict

OWN = set(RequestOptions.__annotations__)
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema(kind, defined):
    """The schema of a type; None for what is no type of a request."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (NotRequired, Required):
        return schema(args[0], defined)
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        choices = [choice for choice in (schema(arg, defined) for arg in args) if choice]
        return {"anyOf": choices}
    if origin is list:
        return {"type": "array", "items": schema(args[0], defined)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(args[1], defined)}
    if is_typeddict(kind):
        name = kind.__name__
        if name not in defined:
            # Before its fields, which may refer to it.
            defined[name] = None
            defined[name] = fields(kind, defined)
        return {"$ref": f"#/components/schemas/{name}"}
    return None


def fields(params, defined):
    """The schema of the type of a method's parameters, or of a part of them."""
    # What is about the SDK and not the API has types that only a type checker finds.
    for name in OWN & params.__annotations__.keys():
        del params.__annotations__[name]
    hints = get_type_hints(params, include_extras=True)
    required = sorted(name for name, hint in hints.items() if typing.get_origin(hint) is not NotRequired)
    known = {name: schema(hint, defined) or {} for name, hint in hints.items()}
    return {"type": "object", "properties": known, "required": required}


def methods(source):
    """Method, path and the type of the parameters, of every function of a module that sends a request."""
    for function in (node for node in ast.walk(source) if isinstance(node, ast.FunctionDef)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if getattr(call.func, "attr", None) != "_request":
                continue
            path = call.args[1]
            # "/v1/…/{id}".format(id=…)
            path = path.func.value if isinstance(path, ast.Call) else path
            named = [arg for arg in function.args.args if arg.arg == "params"]
            texts = [node.value for arg in named for node in ast.walk(arg.annotation) if isinstance(node, ast.Constant)]
            yield call.args[0].value, path.value, next((text for text in texts if isinstance(text, str)), None)


def document(names):
    paths, defined = {}, {}
    for name in names:
        file = Path(stripe.__file__).with_name(f"_{name}_service.py")
        for method, path, params in methods(ast.parse(file.read_text())):
            operation = paths.setdefault(path, {}).setdefault(method, {})
            if not params:
                continue
            known = fields(getattr(stripe.params, params), defined)
            if method == "post":
                operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": known}}}
            else:
                operation["parameters"] = [
                    {"in": "query", "name": field, "required": field in known["required"], "schema": kind}
                    for field, kind in known["properties"].items()
                ]
    servers = [{"url": stripe.DEFAULT_API_BASE}]
    return {"openapi": "3.0.0", "servers": servers, "paths": paths, "components": {"schemas": defined}}


json.dump(document(sys.argv[1:]), sys.stdout)
