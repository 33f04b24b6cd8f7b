"""The tool types: what a tool is, what a call is told, and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional

__all__ = ["CallContext", "ToolDef", "ToolError", "ToolResult"]


def _object_schema() -> Dict[str, Any]:
    return {"type": "object"}


@dataclass
class ToolDef:
    """A tool as models and people see it. Schemas are JSON Schema."""

    name: str
    description: str = ""
    input_schema: Dict[str, Any] = field(default_factory=_object_schema)
    output_schema: Dict[str, Any] = field(default_factory=_object_schema)
    error_schema: Dict[str, Any] = field(default_factory=_object_schema)
    auth_slots: List[str] = field(default_factory=list)
    risk_class: str = "read"
    tags: List[str] = field(default_factory=list)
    policy_defaults: Dict[str, Any] = field(default_factory=dict)
    examples: List[Any] = field(default_factory=list)

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass
class ToolError:
    """Why a call failed. `type` is one of the twelve kinds of error."""

    type: str
    message: str
    retryable: bool = False
    upstream_code: Optional[str] = None
    remediation_hints: List[str] = field(default_factory=list)
    correlation_id: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass
class ToolResult:
    """What a call answers: an output, or an error."""

    ok: bool
    output: Optional[Dict[str, Any]] = None
    error: Optional[ToolError] = None
    correlation_id: str = ""
    pack: str = ""
    pack_version: str = ""
    interface_hash: str = ""
    pack_set_version: str = ""

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass
class CallContext:
    """Who calls."""

    tenant_id: Optional[str] = None
    request_id: Optional[str] = None
    actor: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)
