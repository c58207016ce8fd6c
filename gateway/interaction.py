"""What a function gets as ``interaction``: functions that it calls to reach whoever has called it.

They are lent like any function among the arguments of a call, so an unmodified client can use them,
in every language, and they end with the call. Here are the words that are pleasant to use; what
stands behind them is ``gateway.api.Interaction``, which each door has its own way to keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from gateway.api import LOG_LEVELS, Interaction
from schema.errors import CannotAsk, InvalidArguments, PermissionDenied

ANSWER: Final = "answer"


class Nobody:
    """An interaction with a caller who only waits for the result."""

    capabilities = ()

    async def progress(
        self, value: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Nobody hears it."""

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Nobody hears it."""

    async def request(self, requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        raise CannotAsk("Whoever called this function has no way to answer a question")


NOBODY: Final = Nobody()


def lent(interaction: Interaction | None) -> dict[str, Any]:
    """The argument ``interaction`` of one call."""
    words = _Words(interaction or NOBODY)
    return {
        "capabilities": list(words.to.capabilities),
        "ask": words.ask,
        "elicit": words.elicit,
        "sample": words.sample,
        "roots": words.roots,
        "request": words.request,
        "progress": words.progress,
        "log": words.log,
        "left": words.left,
    }


class _Words:
    def __init__(self, to: Interaction) -> None:
        self.to = to

    async def ask(self, question: str, schema: Any = None, key: str = ANSWER) -> Any:
        """Ask the user, and wait for the answer: text, or what the JSON Schema describes.

        Raises PermissionDenied if the user declines, CannotAsk if there is nobody to ask.
        """
        is_object = isinstance(schema, Mapping) and (
            schema.get("type") == "object" or "properties" in schema
        )
        asked = dict(schema) if is_object else _one_field(schema)
        answer = await self.elicit(question, asked, key)
        if answer.get("action") != "accept":
            raise PermissionDenied(f"The user did not answer: {answer.get('action')}")
        content = answer.get("content") or {}
        return content if is_object else content.get(ANSWER)

    async def elicit(self, message: str, schema: Any, key: str = ANSWER) -> dict[str, Any]:
        """Ask the user; the answer with its ``action`` (accept, decline, cancel) and content."""
        params = {"message": _text(message), "requestedSchema": _object(schema)}
        return await self._one(key, "elicitation/create", params)

    async def sample(self, params: Any, key: str = "message") -> dict[str, Any]:
        """Ask the user's model: a prompt, or the whole parameters of ``sampling/createMessage``."""
        if isinstance(params, str):
            message = {"role": "user", "content": {"type": "text", "text": params}}
            params = {"messages": [message], "maxTokens": 1000}
        return await self._one(key, "sampling/createMessage", _object(params))

    async def roots(self, key: str = "roots") -> Any:
        """The directories that the user works in."""
        return (await self._one(key, "roots/list", {})).get("roots")

    async def request(self, requests: Any) -> dict[str, Any]:
        """Ask for several things at once, each by a key: ``{"method", "params"}``."""
        checked = {}
        for key, request in _object(requests).items():
            method = _object(request).get("method")
            checked[str(key)] = {"method": _text(method), "params": request.get("params") or {}}
        if not checked:
            raise InvalidArguments("There is nothing to ask for")
        return dict(await self.to.request(checked))

    async def progress(self, value: Any, total: Any = None, message: Any = None) -> None:
        """Tell how far the function is."""
        if not _is_number(value) or not (total is None or _is_number(total)):
            raise InvalidArguments("Progress and its total must be numbers")
        await self.to.progress(value, total, None if message is None else str(message))

    async def log(self, level: Any, data: Any = None, logger: Any = None) -> None:
        """Tell something, at a level from debug to emergency."""
        if level not in LOG_LEVELS:
            raise InvalidArguments(f"The level must be one of {', '.join(LOG_LEVELS)}")
        await self.to.log(level, data, None if logger is None else str(logger))

    async def left(self) -> bool:
        """Wait until nobody waits for the function any more: its caller has left, or it has ended.
        True then, so that it can stop what it has begun."""
        try:
            # Functions lent for a call are cancelled when it ends (``rpc.callbacks``).
            return await asyncio.get_running_loop().create_future() is None
        except asyncio.CancelledError:
            return True

    async def _one(self, key: str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        answers = await self.to.request({_text(key): {"method": method, "params": params}})
        return dict(answers[key])


def _one_field(schema: Any) -> dict[str, Any]:
    field = dict(schema) if isinstance(schema, Mapping) else {"type": "string"}
    return {"type": "object", "properties": {ANSWER: field}, "required": [ANSWER]}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArguments("An object is expected")
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArguments("A text is expected")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
