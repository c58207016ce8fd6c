"""How many connections an address may have open on which nobody has said who they are. Pure.

Who comes with a good token is counted by user (``gateway.hub``, ``gateway.edge.limits``). What is
left are strangers, who cost nothing to multiply, so they are counted by where they come from.
Connections from this machine are not counted, nor are those of trusted proxies: these stand for
many clients, and each request that they pass on counts for its client, while it is answered.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from gateway.edge.limits import network_of
from schema.errors import Overloaded

STRANGER: Final = "polyport.stranger"
"""Key in ``scope["extensions"]`` of the connection's ``Stranger``, if the server has counted it."""

_REMEMBERED: Final = 4096


class Stranger:
    """The place of one connection in the count of its address."""

    __slots__ = ("_key", "_of_address")

    def __init__(self, of_address: Counter[str], key: str) -> None:
        self._of_address: Counter[str] | None = of_address
        self._key = key
        of_address[key] += 1

    def leave(self) -> None:
        """The connection has ended, or it is known now who is at its other end."""
        counted, self._of_address = self._of_address, None
        if counted is None:
            return
        counted[self._key] -= 1
        if not counted[self._key]:
            del counted[self._key]


class Connections:
    """The connections of strangers, by address; of IPv6, by network."""

    def __init__(self, most: int, is_trusted: Callable[[str], bool]) -> None:
        """``most`` that an address may have. ``is_trusted`` says which addresses are proxies'."""
        self._most = most
        self._is_trusted = is_trusted
        self._of_address: Counter[str] = Counter()
        self._key = lru_cache(_REMEMBERED)(self._key_of)
        self.refused = 0
        """How many were refused so far."""

    @property
    def open(self) -> int:
        """How many there are now."""
        return self._of_address.total()

    def enter(self, address: str) -> Stranger | None:
        """Count a connection; None for an address that is not counted. Raises Overloaded."""
        key = self._key(address)
        if key is None:
            return None
        if self._of_address[key] >= self._most:
            self.refused += 1
            raise Overloaded("Too many connections from this address. Try again later.")
        return Stranger(self._of_address, key)

    def _key_of(self, address: str) -> str | None:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return None  # it came by a Unix socket
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        if parsed.is_loopback or self._is_trusted(address):
            return None
        return network_of(address)
