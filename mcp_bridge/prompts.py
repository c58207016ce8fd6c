"""Prompts: templates of messages that a user picks, and what filling one in gives. Pure.

Source: revision 2025-11-25, prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mcp_bridge import content
from mcp_bridge.errors import INVALID_PARAMS, RpcError
from mcp_bridge.resources import Source
from mcp_bridge.text import encodable

_ROLES: Final = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt. ``definition`` is as ``prompts/list`` shows it; ``choices`` are the values that
    an argument may have, if its provider declares them."""

    definition: Mapping[str, Any]
    source: Source
    choices: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return str(self.definition["name"])


def arguments_of(prompt: Prompt, params: Mapping[str, Any]) -> dict[str, str]:
    """The arguments of ``prompts/get``, checked. Raises RpcError."""
    given = params.get("arguments")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object")
    for name, value in given.items():
        if not isinstance(value, str):
            raise RpcError(INVALID_PARAMS, f"The argument {name!r} of a prompt must be text")
    declared = prompt.definition.get("arguments", ())
    missing = [a["name"] for a in declared if a.get("required") and a["name"] not in given]
    if missing:
        raise RpcError(INVALID_PARAMS, f"Missing arguments: {', '.join(missing)}")
    known = {a["name"] for a in declared}
    return {name: value for name, value in given.items() if name in known or not known}


def result_of(prompt: Prompt, value: Any) -> dict[str, Any]:
    """The result of ``prompts/get``: messages as the function gave them, or its value as the one
    message of the user."""
    value = content.opened(value)
    description = prompt.definition.get("description")
    listed: Any = value
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        listed = value["messages"]
        if isinstance(value.get("description"), str):
            description = encodable(value["description"])
    if isinstance(listed, list) and listed and all(map(_is_message, listed)):
        messages = [_message(item) for item in listed]
    else:
        messages = [{"role": "user", "content": content.from_value(value).content[0]}]
    result: dict[str, Any] = {"messages": messages}
    return {"description": description, **result} if description else result


def _is_message(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("role") in _ROLES and "content" in item


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    block = item["content"]
    if isinstance(block, list):
        block = block[0] if block else ""
    if content.is_block(block):
        return {
            "role": item["role"],
            "content": orjson.loads(content.to_json(content.named(block))),
        }
    return {"role": item["role"], "content": content.from_value(block).content[0]}


def completions(values: Any) -> dict[str, Any]:
    """The result of ``completion/complete`` from what a provider gave, or a list of choices."""
    values = content.opened(values)
    if isinstance(values, Mapping) and isinstance(values.get("completion"), Mapping):
        values = values["completion"]
    total, more = None, None
    if isinstance(values, Mapping):
        total, more = values.get("total"), values.get("hasMore", values.get("has_more"))
        values = values.get("values")
    texts = [encodable(v) for v in values if isinstance(v, str)] if isinstance(values, list) else []
    known = len(texts)
    completion: dict[str, Any] = {"values": texts[:MAX_COMPLETIONS]}
    completion["total"] = total if type(total) is int and total >= known else known
    completion["hasMore"] = more if isinstance(more, bool) else known > MAX_COMPLETIONS
    return {"completion": completion}


MAX_COMPLETIONS: Final = 100
"""Revision 2025-11-25, completion."""


def beginning_with(choices: tuple[str, ...], begun: str) -> list[str]:
    """The choices that go on where the user is."""
    lowered = begun.lower()
    return [choice for choice in choices if choice.lower().startswith(lowered)]
