"""Who a request really comes from, when it comes through proxies. Pure.

``X-Forwarded-For``, ``-Proto`` and ``-Host`` can be written by anybody, so they count only if the
connection comes from a network that the operator trusts. Of the list of addresses the last one
that is not itself a trusted proxy is the client: what stands further left is only its word.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.requests import UNKNOWN

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
"""Headers by which a proxy shows itself."""

_HOST: Final = re.compile(
    rb"[A-Za-z0-9.-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?"
)
_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
_REMEMBERED: Final = 4096


class Proxies:
    """The proxies that are believed."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in trusted)
        self._is_trusted = lru_cache(_REMEMBERED)(self._look_up)

    def trusts(self, address: str) -> bool:
        """Whether it is the address of such a proxy."""
        return bool(self._networks) and self._is_trusted(address)

    def resolve(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """The address of the client. If a trusted proxy passed the request on, the scope is changed
        to what the client asked: its address, the scheme, the host."""
        client = scope.get("client")
        peer: str = client[0] if client else UNKNOWN
        if not self.trusts(peer):
            return peer
        address = self._client(scope["headers"], peer)
        if address != peer:
            scope["client"] = (address, 0)
        scheme = _SCHEMES.get(headers.get(b"x-forwarded-proto", b"").strip().lower())
        if scheme is not None:
            is_websocket = scope["type"] == "websocket"
            scope["scheme"] = scheme.replace("http", "ws") if is_websocket else scheme
        host = headers.get(b"x-forwarded-host", b"").partition(b",")[0].strip()
        if _HOST.fullmatch(host):
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", host), *others]
        return address

    def _client(self, headers: list[tuple[bytes, bytes]], peer: str) -> str:
        """The last address of all ``X-Forwarded-For`` headers that is not a trusted proxy's."""
        values = [value for name, value in headers if name == b"x-forwarded-for"]
        hops = b",".join(values).decode("latin-1").split(",")
        address = peer
        for hop in reversed(hops):
            named = _address(hop.strip())
            if named is None:
                return address
            address = named
            if not self._is_trusted(address):
                return address
        return address

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        parsed = mapped or parsed
        return any(parsed in network for network in self._networks)


def _address(text: str) -> str | None:
    """The address of one entry, which some proxies write with a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
