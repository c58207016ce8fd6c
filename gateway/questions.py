"""What a function may ask of whoever has called it, and what is an answer to it.

The requests are those that MCP has for clients (revision 2025-11-25, client features), whichever
door the call came through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

CAPABILITY_OF: Final[Mapping[str, str]] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
"""What can be asked, with the capability that it takes."""
_ACTIONS: Final = ("accept", "decline", "cancel")

Unfit = Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]
"""What is wrong with the content of a form, by the schema that comes first; None: nothing."""


@dataclass(slots=True)
class Question:
    """Something that the function waits for."""

    request: Mapping[str, Any]
    answered: asyncio.Future[Any]


def problem_of(request: Mapping[str, Any], answer: object, unfit: Unfit) -> str | None:
    """Why a value is no answer to a request, or None if it is one."""
    if not isinstance(answer, Mapping):
        return "it must be an object"
    match request["method"]:
        case "elicitation/create":
            return _problem_of_form(request["params"].get("requestedSchema"), answer, unfit)
        case "sampling/createMessage":
            is_message = isinstance(answer.get("role"), str) and "content" in answer
            return None if is_message else "it must be a message with role and content"
        case _:
            return None if isinstance(answer.get("roots"), list) else "it must have a list, roots"


def _problem_of_form(schema: object, answer: Mapping[str, Any], unfit: Unfit) -> str | None:
    if answer.get("action") not in _ACTIONS:
        return f"its action must be one of {', '.join(_ACTIONS)}"
    if answer["action"] != "accept" or not isinstance(schema, Mapping):
        return None
    content = answer.get("content")
    if not isinstance(content, Mapping):
        return "it must have content, an object"
    return unfit(schema, content)
