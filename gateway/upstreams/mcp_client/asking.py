"""A server's questions to the user of a call, brought to whoever made that call.

A question of revision 2026-07-28 comes as the result of the call, so it is answered where that is
awaited. In older revisions it is a request of the server's own, which over pipes does not say what
call it belongs to: then it is answered if one call alone can be meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

import mcp_types as types

from schema.errors import GatewayError

_current: ContextVar[Any] = ContextVar("interaction of the current upstream call", default=None)

NOBODY: Final = "Nobody can be asked: the caller has no way to answer questions"


class Questions:
    """The calls of one connection whose callers can be asked."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    @contextlib.contextmanager
    def of(self, interaction: Any) -> Iterator[None]:
        """While a call lasts. ``interaction`` is that of its ``CallOptions``, or None."""
        token = _current.set(interaction)
        if interaction is not None:
            self._open.append(interaction)
        try:
            yield
        finally:
            _current.reset(token)
            if interaction is not None:
                self._open.remove(interaction)

    async def ask(
        self, _context: Any, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """The SDK's callback for elicitation."""
        interaction = _current.get()
        if interaction is None and len(self._open) == 1:
            interaction = self._open[0]
        ask = getattr(interaction, "ask", None)
        if ask is None or not isinstance(params, types.ElicitRequestFormParams):
            return types.ErrorData(code=types.INVALID_REQUEST, message=NOBODY)
        try:
            answer = await ask(params.message, params.requested_schema)
        except GatewayError as error:
            return types.ErrorData(code=types.INVALID_REQUEST, message=error.message)
        return _result(answer)


def _result(answer: Any) -> types.ElicitResult:
    """What was answered: a map with ``action`` and ``content``, or the content alone."""
    action = answer.get("action") if isinstance(answer, dict) else None
    if action in ("accept", "decline", "cancel"):
        return types.ElicitResult(action=action, content=answer.get("content"))
    if answer is None:
        return types.ElicitResult(action="cancel")
    content = answer if isinstance(answer, dict) else {"answer": answer}
    return types.ElicitResult(action="accept", content=content)
