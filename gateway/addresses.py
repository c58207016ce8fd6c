"""Which addresses a server that somebody else named may be at.

A gateway stands where its users do not: what it may be sent to must not be the machine it runs on,
its neighbours, or the service of a cloud that hands out credentials (CWE-918).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")
_SITE_LOCAL: Final = ipaddress.IPv6Network("fec0::/10")
"""What private networks of IPv6 had before RFC 3879, and some still have."""


class NotPublic(Exception):
    """The name leads to an address that is not one of the internet at large."""


async def public_address(host: str, port: int) -> str:
    """An address of a host. Whoever connects takes it as it is: to resolve the name again could
    give another one (DNS rebinding). Raises OSError if it has none, and NotPublic."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # labels that are empty or too long
        raise OSError(f"{host[:80]!r} is no host name") from None
    addresses = [str(entry[4][0]) for entry in found]
    # One address that is not public is enough: it would be a matter of chance which one is used.
    if not addresses or not all(map(is_public, addresses)):
        raise NotPublic
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an IP address is one of the internet at large."""
    try:
        address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if address in _SHARED or address in _SITE_LOCAL:
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    for mapped in (address.ipv4_mapped, address.sixtofour):
        if mapped is not None:
            return mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
