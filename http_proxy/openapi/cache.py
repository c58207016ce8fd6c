"""Documents as bytes, kept while they are in use: the newest within a number of bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import orjson


class Rendered(NamedTuple):
    """A document as it is sent."""

    body: bytes
    etag: bytes


class Cache:
    """Documents by what they are made from; the last one is kept however large it is.

    Keys hold services by identity: a new registration is a new service, and so a new document. No
    entry goes stale; one that nobody asks for any more makes room for others.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Hashable, Rendered] = OrderedDict()
        self._making = asyncio.Lock()

    async def get(self, key: Hashable, make: Callable[[], dict[str, Any]]) -> Rendered:
        """The document of this key, made if it is not there: one at a time, so that many who ask
        for it cost no more than one, and in a thread, since it takes as long as many calls."""
        if (found := self._entries.get(key)) is not None:
            self._entries.move_to_end(key)
            return found
        async with self._making:
            if key not in self._entries:
                self._keep(key, await asyncio.to_thread(lambda: render(make())))
            return self._entries[key]

    def _keep(self, key: Hashable, rendered: Rendered) -> None:
        self._entries[key] = rendered
        self._bytes += len(rendered.body)
        while self._bytes > self._max_bytes and len(self._entries) > 1:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= len(dropped.body)


def render(document: dict[str, Any]) -> Rendered:
    """A document as bytes, with a tag that changes with them; a weak one, because the document is
    the same when it is sent compressed."""
    body = orjson.dumps(document)
    return Rendered(body, b'W/"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())
