"""What a pack registers, and how it raises an error that callers can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict

from .rtp import ToolDef, ToolError

__all__ = ["RegisteredTool", "RigToolRaised"]


@dataclass
class RegisteredTool:
    """A tool with the function behind it: `impl(args, secrets, ctx)` answers a dict."""

    tool: ToolDef
    impl: Callable[[Dict[str, Any], Dict[str, str], Dict[str, Any]], Dict[str, Any]]
    pack: str
    pack_version: str


class RigToolRaised(Exception):
    """Raised by a tool to answer with this error."""

    def __init__(self, err: ToolError) -> None:
        super().__init__(getattr(err, "message", str(err)))
        self.err = err
