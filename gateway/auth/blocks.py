"""Users and addresses that are kept out, whatever door they come to and whatever they bring.

A user is blocked with all tokens that were minted from theirs. What is asked for with every request
is in memory; a block is on disk before it is in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any, Final

from gateway.storage.rows import StoredBlock
from schema.errors import Blocked, InvalidRequest, NotFound
from schema.identity import ROOT_USER, User

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.blocks import BlockRepository

DEFAULT_SECONDS: Final = 30 * 86400.0
MAX_SECONDS: Final = 10 * 365 * 86400.0
_MAX_TEXT: Final = 255

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Blocks:
    """Who is blocked. Without a ``repository`` nothing survives the process; ``clock`` gives Unix
    seconds."""

    def __init__(
        self, repository: BlockRepository | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._users: dict[str, StoredBlock] = {}
        self._networks: dict[Network, StoredBlock] = {}

    async def load(self) -> None:
        """Read what earlier processes have blocked."""
        if self._repository is not None:
            for block in await self._repository.load(self._clock()):
                self._put(block)

    # Asked with every request

    def check_user(self, user: User) -> None:
        """Raises Blocked if the user, or the one whose token this one's was minted from, is."""
        if self._users:
            block = self._in_force(self._users.get(user.effective_id))
            if block is not None:
                raise Blocked(_text(block))

    def check_address(self, address: str | None) -> None:
        """Raises Blocked if the address of a client is, or a network that it is in."""
        parsed = _parsed(address) if self._networks and address is not None else None
        if parsed is None:
            return
        for network, block in self._networks.items():
            if parsed in network and self._in_force(block) is not None:
                raise Blocked(_text(block))

    def _in_force(self, block: StoredBlock | None) -> StoredBlock | None:
        if block is None or block.ends_at is None or block.ends_at > self._clock():
            return block
        return None

    # Changing

    async def block_user(
        self, user_id: str, *, seconds: float, reason: str, by: str
    ) -> dict[str, Any]:
        """Keep a user out. Raises InvalidRequest."""
        if not user_id or len(user_id) > _MAX_TEXT or not user_id.isprintable():
            raise InvalidRequest(f"Not the id of a user: {user_id[:64]!r}")
        if user_id == ROOT_USER.id:
            raise InvalidRequest("The operator of the server cannot be blocked")
        return await self._block("user", user_id, seconds, reason, by)

    async def block_address(
        self, address: str, *, seconds: float, reason: str, by: str
    ) -> dict[str, Any]:
        """Keep out an address or a network in CIDR notation. Raises InvalidRequest."""
        return await self._block("ip", str(_network(address)), seconds, reason, by)

    async def unblock_user(self, user_id: str) -> None:
        """Raises NotFound."""
        await self._unblock("user", user_id)

    async def unblock_address(self, address: str) -> None:
        """Raises NotFound, InvalidRequest."""
        await self._unblock("ip", str(_network(address)))

    def listed(self) -> list[dict[str, Any]]:
        """The blocks that are in force."""
        blocks = (*self._users.values(), *self._networks.values())
        return [_entry(block) for block in blocks if self._in_force(block) is not None]

    async def _block(
        self, kind: str, subject: str, seconds: float, reason: str, by: str
    ) -> dict[str, Any]:
        if not 0 <= seconds <= MAX_SECONDS:
            raise InvalidRequest(f"duration must be from 0 to {MAX_SECONDS:.0f} seconds")
        now = self._clock()
        ends_at = now + (seconds or DEFAULT_SECONDS)
        block = StoredBlock(kind, subject, reason[:_MAX_TEXT], by, now, ends_at)
        if self._repository is not None:
            await self._repository.put(block)
        self._put(block)
        return _entry(block)

    async def _unblock(self, kind: str, subject: str) -> None:
        known = subject in self._users if kind == "user" else _network(subject) in self._networks
        if not known:
            raise NotFound(f"{subject} is not blocked")
        if self._repository is not None:
            await self._repository.remove(kind, subject)
        if kind == "user":
            self._users.pop(subject, None)
        else:
            self._networks.pop(_network(subject), None)

    def _put(self, block: StoredBlock) -> None:
        if block.kind == "user":
            self._users[block.subject] = block
        else:
            self._networks[_network(block.subject)] = block


def _text(block: StoredBlock) -> str:
    return f"Access is blocked: {block.reason}" if block.reason else "Access is blocked"


def _entry(block: StoredBlock) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "id": block.subject,
        "reason": block.reason,
        "blocked_by": block.blocked_by,
        "blocked_at": block.blocked_at,
        "ends_at": block.ends_at,
    }


@lru_cache(4096)
def _parsed(address: str) -> Address | None:
    """An address as the network gives it; one of IPv4 that comes over IPv6 is the same."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _network(text: str) -> Network:
    """Raises InvalidRequest."""
    try:
        single = _parsed(text.strip())
        return ip_network(single if single is not None else text.strip(), strict=False)
    except ValueError:
        raise InvalidRequest(f"Not an IP address or network: {text[:64]!r}") from None
