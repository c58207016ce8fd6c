"""What is asked of callers at present, each under a URL that nobody can guess."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from gateway.requests import current_address
from http_proxy.asking.conversation import Conversation, Questions, still_open
from schema.errors import LimitExceeded, NotFound
from schema.identity import Caller

LIFE_SECONDS: Final = 600.0
MAX_ASKS: Final = 10_000
MAX_ASKS_PER_USER: Final = 100
_ID_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may answer: the user who called, at the workspace where they did."""

    user: str
    workspace: str
    counted_as: str = field(compare=False)
    """Whose questions these are where they are counted: all tokens of a user are one, and those
    who come without a token are told apart by their addresses."""

    @classmethod
    def of(cls, caller: Caller, workspace: str) -> Owner:
        """The owner of what is asked in a call to a service of ``workspace``."""
        user = caller.user
        counted_as = current_address.get() if user.is_anonymous else user.effective_id
        return cls(user.id, workspace, counted_as)


@dataclass(slots=True, eq=False)
class Ask:
    """Questions under one URL. ``parked`` is the call that goes on with the request that answers
    them; None if its caller reads a stream meanwhile."""

    id: str
    url: str
    owner: Owner
    questions: Questions
    parked: Conversation | None
    expiry: asyncio.TimerHandle

    def told(self) -> dict[str, Any]:
        """``url`` and ``requests``, as callers get them."""
        requests = {key: dict(q.request) for key, q in still_open(self.questions).items()}
        return {"url": self.url, "requests": requests}


class Register:
    """See the module. One for all services."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._asks: dict[str, Ask] = {}
        self._open: Counter[str] = Counter()

    def open(
        self,
        owner: Owner,
        questions: Questions,
        expire: Callable[[], None],
        parked: Conversation | None = None,
    ) -> Ask:
        """Put questions under a new URL; ``expire`` is called if it is never used. Raises
        LimitExceeded."""
        if len(self._asks) >= MAX_ASKS or self._open[owner.counted_as] >= MAX_ASKS_PER_USER:
            raise LimitExceeded("Too many calls wait for answers")
        id = secrets.token_urlsafe(_ID_BYTES)
        url = f"{self._base_url}/{quote(owner.workspace, safe='')}/asks/{id}"

        def over() -> None:
            self.close(ask)
            expire()

        timer = asyncio.get_running_loop().call_later(LIFE_SECONDS, over)
        ask = Ask(id, url, owner, questions, parked, timer)
        self._asks[id] = ask
        self._open[owner.counted_as] += 1
        return ask

    def find(self, id: str, owner: Owner) -> Ask:
        """Raises NotFound, also for what somebody else is asked."""
        ask = self._asks.get(id)
        if ask is None or ask.owner != owner:
            raise NotFound("Nothing is asked here: it has been answered, has expired or never was")
        return ask

    def close(self, ask: Ask) -> None:
        """The URL leads nowhere any more. Does nothing a second time."""
        if self._asks.pop(ask.id, None) is None:
            return
        ask.expiry.cancel()
        counted_as = ask.owner.counted_as
        self._open[counted_as] -= 1
        if not self._open[counted_as]:
            del self._open[counted_as]
