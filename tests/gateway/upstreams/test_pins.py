"""What makes a tool another one, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.upstreams.pins import Pins

SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}, "b": {}}}
TOOL: dict[str, Any] = {"name": "t", "description": "d", "inputSchema": SCHEMA}


def turned(value: Any) -> Any:
    """The same with all keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(list(value))}
    return value


async def held_after(change: dict[str, Any]) -> frozenset[str]:
    pins = Pins("changed")
    await pins.see("u", [TOOL])
    await pins.see("u", [{**TOOL, **change}])
    return pins.held("u")


@pytest.mark.parametrize(
    "change",
    [
        {"description": "d "},
        {"title": "New"},
        {"inputSchema": {**SCHEMA, "required": ["a"]}},
        {"inputSchema": {**SCHEMA, "properties": {"a": {"type": "string", "minLength": 2}}}},
        {"outputSchema": {"type": "object"}},
        {"annotations": {"readOnlyHint": True}},
    ],
)
async def test_what_a_model_or_a_person_relies_on_counts(change: dict[str, Any]) -> None:
    assert await held_after(change) == {"t"}


async def test_the_order_of_keys_and_what_is_no_promise_do_not_count() -> None:
    assert await held_after(turned(json.loads(json.dumps(TOOL)))) == frozenset()
    assert await held_after({"icons": [{"src": "x"}], "_meta": {"a": 1}}) == frozenset()


async def test_a_tool_that_is_as_before_again_is_offered_again() -> None:
    pins = Pins("changed")
    for tool, held in ((TOOL, set()), ({**TOOL, "description": "x"}, {"t"}), (TOOL, set())):
        await pins.see("u", [tool])
        assert pins.held("u") == held


async def test_a_tool_cannot_go_and_come_back_as_another() -> None:
    pins = Pins("changed")
    await pins.see("u", [TOOL])
    await pins.see("u", [])
    await pins.see("u", [{**TOOL, "description": "x"}])
    assert pins.held("u") == {"t"}


async def test_it_can_be_switched_off() -> None:
    pins = Pins("off")
    await pins.see("u", [TOOL])
    await pins.see("u", [{**TOOL, "description": "x"}])
    assert pins.held("u") == frozenset()
    assert pins.report("u") == []
