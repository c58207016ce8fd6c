"""What changes at an endpoint, noticed for one client that wants to hear of it.

The gateway tells of every service that comes, goes or is registered anew. That is not yet a
change: a provider may come back with the same functions, and one of two may leave. So the endpoint
is opened again, as the client would, and only what it would see differently is told. Nothing here
knows how it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_bridge.errors import INVALID_PARAMS, RpcError
from mcp_bridge.offer import Offer
from mcp_bridge.resources import MAX_URI
from schema.errors import GatewayError, NotFound, ProviderGone
from schema.services import ServiceInfo

SETTLE_SECONDS: Final = 0.1
"""Services come and go in groups; they are told of together."""
REOPEN_SECONDS: Final = 0.3
"""A provider whose connection broke may be waited for. Clients are told before that."""
MAX_URIS: Final = 100
"""Resources that one client can watch on one stream."""

_FLAGS: Final[Mapping[str, str]] = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}

Mark = bytes | None
Marks = dict[str, Mark]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to hear of: lists by name, resources by address."""

    lists: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()

    @classmethod
    def of(cls, notifications: object, offer: Offer) -> Wanted:
        """Read the filter of ``subscriptions/listen``; addresses of nothing are left out. Raises
        RpcError."""
        if not isinstance(notifications, Mapping):
            raise RpcError(INVALID_PARAMS, "params.notifications must be an object")
        uris = notifications.get("resourceSubscriptions") or []
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            raise RpcError(INVALID_PARAMS, "resourceSubscriptions must be a list of texts")
        if len(uris) > MAX_URIS:
            raise RpcError(INVALID_PARAMS, f"At most {MAX_URIS} resources at a time")
        return cls(
            tuple(name for flag, name in _FLAGS.items() if notifications.get(flag) is True),
            tuple(dict.fromkeys(uri for uri in uris if is_resource(offer, uri))),
        )

    def shown(self) -> dict[str, Any]:
        """The filter, as it is honoured."""
        shown: dict[str, Any] = {flag: True for flag, name in _FLAGS.items() if name in self.lists}
        return {**shown, "resourceSubscriptions": list(self.uris)} if self.uris else shown


EVERYTHING: Final = Wanted(tuple(_FLAGS.values()))
"""All lists, and no resource."""


def is_resource(offer: Offer, uri: str) -> bool:
    """Whether an endpoint has a resource at an address."""
    return len(uri) <= MAX_URI and offer.catalogue.resources.find(uri) is not None


@dataclass(frozen=True, slots=True)
class Change:
    """One notification: its method, and its parameters without ``_meta``."""

    method: str
    params: Mapping[str, Any]


class Feed:
    """Compares an endpoint with what it was, whenever something happens to its services."""

    __slots__ = (
        "_is_anonymous",
        "_lose",
        "_marks",
        "_offer_again",
        "_stop",
        "_task",
        "_tell",
        "_timer",
        "wanted",
    )

    def __init__(
        self,
        offer: Offer,
        wanted: Wanted,
        tell: Callable[[Sequence[Change]], Awaitable[None]],
        lose: Callable[[], None],
    ) -> None:
        """``tell`` hands changes to the client; ``lose`` says that its credential does not open
        the endpoint any more. Nothing is told before ``start``."""
        self.wanted = wanted
        self._offer_again = offer.reopen
        self._is_anonymous = offer.caller.user.is_anonymous
        self._tell = tell
        self._lose = lose
        self._marks = _marks(offer, wanted)
        self._stop = offer.watch(self._on_change)
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def want(self, wanted: Wanted, offer: Offer) -> None:
        """From now on tell of other things."""
        self.wanted = wanted
        self._marks = {**_marks(offer, wanted), **self._marks}

    def close(self) -> None:
        """Tell nothing any more."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _on_change(self, _service: ServiceInfo) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._task is not None and not self._task.done():
            # The client reads slowly, or the provider does: look again when that is over.
            self._timer = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._look)
            return
        self._task = asyncio.get_running_loop().create_task(self._compare())

    async def _compare(self) -> None:
        offer = None
        try:
            async with asyncio.timeout(REOPEN_SECONDS):
                offer = await self._offer_again()
        except (TimeoutError, NotFound, ProviderGone):
            pass  # there is nothing now
        except GatewayError:
            # Who has sent no credential cannot lose it; where one could be sent, that is an error.
            if not self._is_anonymous:
                self._lose()
                return
        marks = _marks(offer, self.wanted)
        changed = [key for key, mark in marks.items() if mark != self._marks.get(key)]
        self._marks = marks
        if changed:
            await self._tell([_change(key) for key in changed])


def _marks(offer: Offer | None, wanted: Wanted) -> Marks:
    """What the client sees, by list and address, as short as it can be compared."""
    marks: Marks = {}
    for name in wanted.lists:
        marks[name] = offer.catalogue.mark(name) if offer is not None else None
    for uri in wanted.uris:
        marks[uri] = offer.catalogue.resource_mark(uri) if offer is not None else None
    return marks


def _change(key: str) -> Change:
    if key in _FLAGS.values():
        return Change(f"notifications/{key}/list_changed", {})
    return Change("notifications/resources/updated", {"uri": key})
