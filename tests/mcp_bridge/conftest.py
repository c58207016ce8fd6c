"""The MCP door over a gateway in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.testing import FakeGateway
from tests.mcp_bridge.wire import Door


def described(
    function: Callable[..., Any], parameters: dict[str, Any] | None = None, **more: Any
) -> Callable[..., Any]:
    """Give a function the description that a provider would send."""
    name = getattr(function, "__name__", "function")
    declared = {"name": name, "description": function.__doc__ or "", **more}
    if parameters is not None:
        declared["parameters"] = parameters
    function.__schema__ = declared  # type: ignore[attr-defined]
    return function


INTEGERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def echo(value: Any = None) -> Any:
    """Return the value."""
    return value


def fail() -> None:
    """Raise."""
    raise ValueError("bad")


@pytest.fixture
def gateway() -> FakeGateway:
    gateway = FakeGateway()
    gateway.add_service(
        "ws-lab/worker:calc",
        {
            "add": described(add, INTEGERS),
            "math": {"add": described(lambda a, b: a + b, INTEGERS)},
            "echo": echo,
            "fail": described(fail, {"type": "object", "properties": {}}),
        },
        name="Calculator",
        description="Adds.",
        visibility="public",
    )
    gateway.add_service("ws-lab/worker:private", {"add": described(add, INTEGERS)})
    gateway.add_token("good", "alice", {"ws-lab": "rw"})
    return gateway


@pytest.fixture
def door(gateway: FakeGateway) -> Door:
    return Door(gateway)
