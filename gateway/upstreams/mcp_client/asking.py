"""What a server wants of whoever made a call, and tells them, brought to them.

A question of revision 2026-07-28 comes as the result of the call. In older revisions it is a
request of the server's own: over HTTP it comes on the stream of the call, while over pipes it does
not say what call it belongs to; there it is answered if one call alone can be meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import mcp_types as types
from pydantic import BaseModel, ValidationError

from gateway.questions import CAPABILITY_OF
from gateway.upstreams.mcp_client.patience import Patience
from schema.errors import CannotAsk, GatewayError

NOBODY: Final = "Nobody can be asked: the caller has no way to answer"
SEVERAL: Final = "Nobody can be asked: several calls are open, and the request names none of them"
_FORMS: Final[Mapping[str, type[BaseModel]]] = {
    "elicitation/create": types.ElicitResult,
    "sampling/createMessage": types.CreateMessageResultWithTools,
    "roots/list": types.ListRootsResult,
}
_ANSWER: Final = "answer"


class Refused(Exception):
    """The server gets an error in place of an answer."""

    def __init__(self, message: str, code: int = types.INVALID_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


async def answered(
    patience: Patience | None, method: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """What the caller says to a request of the server. Raises Refused."""
    if method not in CAPABILITY_OF:
        raise Refused("Method not found", types.METHOD_NOT_FOUND)
    if patience is None:
        raise Refused(NOBODY)
    asked = {key: value for key, value in params.items() if key != "_meta"}
    try:
        answers = await patience.request({_ANSWER: {"method": method, "params": asked}})
        answer = _FORMS[method].model_validate(answers[_ANSWER])
    except GatewayError as error:
        raise Refused(error.message) from None
    except (KeyError, TypeError, ValidationError):
        raise Refused("The answer has not the form of one") from None
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True)


async def answers_to(patience: Patience | None, requests: object) -> Mapping[str, Any]:
    """What the caller says to the ``inputRequests`` of a result (revision 2026-07-28, multi
    round-trip requests). Raises CannotAsk, and what the interaction raises."""
    if not isinstance(requests, Mapping) or not all(
        isinstance(r, Mapping) for r in requests.values()
    ):
        raise CannotAsk("The server asks for something in a form that is none")
    if not requests:
        return {}
    if patience is None:
        raise CannotAsk(NOBODY)
    answers: Mapping[str, Any] = await patience.request(requests)
    return answers


async def demand(patience: Patience, data: object) -> None:
    """A server will not run the call without a capability that the caller has not declared. To ask
    all the same has their door say which it is. Raises CannotAsk."""
    required = data.get("requiredCapabilities") if isinstance(data, Mapping) else None
    for method, capability in CAPABILITY_OF.items():
        is_required = isinstance(required, Mapping) and capability in required
        if is_required and capability not in patience.capabilities:
            await patience.request({capability: {"method": method, "params": {}}})


def log(patience: Patience | None, params: Mapping[str, Any]) -> None:
    """Hand the caller a ``notifications/message``."""
    level = params.get("level")
    if patience is not None and isinstance(level, str):
        name = params.get("logger")
        patience.log(level, params.get("data"), name if isinstance(name, str) else None)


class Conversations:
    """The open calls of one connection, for what comes on it and names none of them."""

    def __init__(self) -> None:
        self._open: list[Patience | None] = []

    @contextlib.contextmanager
    def during(self, patience: Patience | None) -> Iterator[None]:
        """While a call lasts."""
        self._open.append(patience)
        try:
            yield
        finally:
            self._open.remove(patience)

    async def answer(self, method: str, params: BaseModel | None) -> Any:
        """For the SDK's callbacks: the model of an answer, or an error."""
        plain: dict[str, Any] = {}
        if params is not None:
            plain = params.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            if len(self._open) > 1:
                raise Refused(SEVERAL)
            patience = self._open[0] if self._open else None
            return _FORMS[method].model_validate(await answered(patience, method, plain))
        except Refused as refused:
            return types.ErrorData(code=refused.code, message=refused.message)

    def tell(self, params: Mapping[str, Any]) -> None:
        """A log message came that names no call."""
        if len(self._open) == 1:
            log(self._open[0], params)
