"""Calls that wait for their client's next request, and the sealed state that leads back to them.

What a client holds is opaque to it and worth nothing to anybody else: it is sealed with a key of
this process and names the caller, the request and the round, and it is good for ten minutes
(revision 2026-07-28, multi round-trip requests, security considerations).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.api import CallOptions
from mcp_bridge.conversation import Conversation
from mcp_bridge.errors import INVALID_PARAMS, RpcError
from mcp_bridge.exchange import Exchange
from mcp_bridge.ladder import NAMED_BY, Request
from mcp_bridge.revisions import CLIENT_CAPABILITIES_KEY, LOG_LEVEL_KEY
from schema.errors import LimitExceeded
from schema.identity import Caller

LIFE_SECONDS: Final = 600.0
MAX_PARKED: Final = 10_000
MAX_PARKED_PER_USER: Final = 100
USUAL_LEVEL: Final = "info"
"""What a client of the handshake era hears of, which has not said what it wants."""
_NONCE_BYTES: Final = 12
_MAX_STATE: Final = 2_000

Start = Callable[[CallOptions], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The call waits; this is what its client is told."""

    result: dict[str, Any]


@dataclass(slots=True)
class _Parked:
    conversation: Conversation
    user: str
    expires: asyncio.TimerHandle


class ParkedCalls:
    """See the module. One for all endpoints."""

    def __init__(self) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(bit_length=256))
        self._parked: dict[str, _Parked] = {}
        self._per_user: Counter[str] = Counter()

    async def talk(
        self,
        caller: Caller,
        request: Request,
        exchange: Exchange,
        options: CallOptions,
        start: Start,
        *,
        place: str,
    ) -> Any:
        """The value of a call that may ask, or ``Asked``; ``place`` is the endpoint.

        A first request starts it, a later one brings answers and goes on waiting.
        Raises RpcError, and what the call raises.
        """
        identifier, conversation = self._taken(caller, request, place)
        if conversation is None:
            conversation = self._begun(caller, request, options, start)
        if await conversation.go_on(exchange):
            return conversation.result()
        try:
            state = self._park(identifier, conversation, caller, request, place)
        except LimitExceeded:
            conversation.cancel()
            raise
        return Asked({"inputRequests": conversation.wanted(), "requestState": state})

    def _begun(
        self, caller: Caller, request: Request, options: CallOptions, start: Start
    ) -> Conversation:
        if request.revision.is_modern:
            declared = request.meta.get(CLIENT_CAPABILITIES_KEY)
            level = request.meta.get(LOG_LEVEL_KEY)
            conversation = Conversation(
                declared if isinstance(declared, dict) else {},
                given=_responses(request),
                log_level=level if isinstance(level, str) else None,
            )
        elif (session := request.session) is not None:
            conversation = Conversation(
                session.capabilities,
                log_level=session.log_level,
                back_channel=session,
                is_stateless=False,
            )
        else:
            conversation = Conversation({}, log_level=USUAL_LEVEL, is_stateless=False)
        told = replace(options, interaction=conversation)
        conversation.begin(lambda: start(told))
        return conversation

    def _taken(
        self, caller: Caller, request: Request, place: str
    ) -> tuple[str | None, Conversation | None]:
        """The call that a request goes on with; None for a request that starts one."""
        state = request.params.get("requestState")
        if state is None or not request.revision.is_modern:
            return None, None
        claims = self._opened(state)
        expected = [_principal(caller), _digest(request, place)]
        parked = self._parked.get(str(claims.get("id")))
        if claims.get("for") != expected:
            raise RpcError(INVALID_PARAMS, "params.requestState belongs to another request")
        if parked is None or claims.get("round") != parked.conversation.round:
            raise RpcError(INVALID_PARAMS, "params.requestState has been used or has expired")
        parked.conversation.answer(_responses(request))
        self._release(claims["id"])
        return claims["id"], parked.conversation

    def _park(
        self,
        identifier: str | None,
        conversation: Conversation,
        caller: Caller,
        request: Request,
        place: str,
    ) -> str:
        user = caller.user.effective_id
        if len(self._parked) >= MAX_PARKED or self._per_user[user] >= MAX_PARKED_PER_USER:
            raise LimitExceeded("Too many calls wait for answers")
        identifier = identifier or secrets.token_urlsafe(12)
        timer = asyncio.get_running_loop().call_later(LIFE_SECONDS, self._expire, identifier)
        self._parked[identifier] = _Parked(conversation, user, timer)
        self._per_user[user] += 1
        return self._sealed(
            {
                "id": identifier,
                "round": conversation.round,
                "for": [_principal(caller), _digest(request, place)],
                "until": time.time() + LIFE_SECONDS,
            }
        )

    def _release(self, identifier: str) -> None:
        parked = self._parked.pop(identifier)
        parked.expires.cancel()
        self._per_user[parked.user] -= 1
        if not self._per_user[parked.user]:
            del self._per_user[parked.user]

    def _expire(self, identifier: str) -> None:
        conversation = self._parked[identifier].conversation
        self._release(identifier)
        conversation.cancel()

    def _sealed(self, claims: dict[str, Any]) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, orjson.dumps(claims), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _opened(self, state: object) -> dict[str, Any]:
        refused = RpcError(INVALID_PARAMS, "params.requestState is not one of this server")
        if not isinstance(state, str) or len(state) > _MAX_STATE:
            raise refused
        try:
            padded = state + "=" * (-len(state) % 4)
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
            data = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (ValueError, binascii.Error, InvalidTag):
            raise refused from None
        claims: dict[str, Any] = orjson.loads(data)
        if claims["until"] < time.time():
            raise RpcError(INVALID_PARAMS, "params.requestState has been used or has expired")
        return claims


def _responses(request: Request) -> dict[str, Any]:
    if "inputResponses" not in request.params:
        return {}
    responses = request.params["inputResponses"]
    if not isinstance(responses, dict):
        raise RpcError(INVALID_PARAMS, "params.inputResponses must be an object")
    if not all(isinstance(response, dict) for response in responses.values()):
        raise RpcError(INVALID_PARAMS, "Each of params.inputResponses must be an object")
    return responses


def _principal(caller: Caller) -> str:
    return f"{caller.user.id} {caller.workspace}"


def _digest(request: Request, place: str) -> str:
    """What the request is about, so that answers to one are not answers to another."""
    named = request.params.get(NAMED_BY.get(request.method, ""))
    about = [place, request.method, named, request.params.get("arguments")]
    return hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS)).hexdigest()
