"""What a server wants of the user of a call, and tells them, brought to whoever made that call.

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
from pydantic import ValidationError

from schema.errors import GatewayError

_current: ContextVar[Any] = ContextVar("interaction of the current upstream call", default=None)

NOBODY: Final = "Nobody can be asked: the caller has no way to answer questions"
_KEY: Final = "question"


class Conversations:
    """The calls of one connection whose callers can be reached (``CallOptions.interaction``)."""

    def __init__(self) -> None:
        self._open: list[Any] = []

    @contextlib.contextmanager
    def during(self, interaction: Any) -> Iterator[None]:
        """While a call lasts. ``interaction`` is that of its options, or None."""
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
        interaction = self._meant()
        if interaction is None:
            return _refusal(NOBODY)
        asked = params.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})
        request = {"method": "elicitation/create", "params": asked}
        try:
            answers = await interaction.request({_KEY: request})
            return types.ElicitResult.model_validate(answers[_KEY])
        except GatewayError as error:
            return _refusal(error.message)
        except (KeyError, TypeError, ValidationError):
            return _refusal("The answer has not the form of one")

    async def tell(self, params: types.LoggingMessageNotificationParams) -> None:
        """The SDK's callback for log messages."""
        interaction = self._meant()
        if interaction is not None:
            await interaction.log(params.level, params.data, params.logger)

    def _meant(self) -> Any:
        current = _current.get()
        return self._open[0] if current is None and len(self._open) == 1 else current


def _refusal(message: str) -> types.ErrorData:
    return types.ErrorData(code=types.INVALID_REQUEST, message=message)
