"""How many requests may come: a token bucket for each user, and for each address of those who are
none. Pure but for the clock, which is passed in.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm of
ITU-T I.371), so a request costs one look-up and one sum.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from schema.identity import User

SWEEP_SECONDS: Final = 60.0
"""How often full buckets are forgotten."""

MAX_BUCKETS: Final = 200_000
"""Beyond so many the oldest are forgotten: a flood from many addresses must not fill the memory."""

_IPV6_PREFIX: Final = 64
"""What one customer is given at least (RFC 6177); within it addresses cost nothing."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second, and so many at once. A rate of 0 is none: no limit."""

    per_second: float
    burst: float


@dataclass(slots=True)
class Buckets:
    """The buckets of one kind of key."""

    rate: Rate
    clock: Callable[[], float]
    _full_at: dict[str, float] = field(default_factory=dict)
    _swept_at: float = 0.0
    _step: float = field(init=False)
    """Seconds that one request takes to come back; 0: there is no limit."""
    _depth: float = field(init=False)
    """Seconds until an empty bucket is full."""

    def __post_init__(self) -> None:
        self._step = 1 / self.rate.per_second if self.rate.per_second else 0.0
        self._depth = self.rate.burst * self._step

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str) -> float:
        """Take one request out of a bucket: 0, or the seconds until one will be there."""
        if not self._step:
            return 0.0
        now = self.clock()
        full_at = self._full_at.get(key, now)
        full_at = (full_at if full_at > now else now) + self._step
        wait = full_at - now - self._depth
        if wait > 1e-9:  # sums of floats
            return wait
        self._full_at[key] = full_at
        if now - self._swept_at > SWEEP_SECONDS or len(self._full_at) > MAX_BUCKETS:
            self._sweep(now)
        return 0.0

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        left = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(left) > MAX_BUCKETS:
            left = dict(list(left.items())[-MAX_BUCKETS // 2 :])
        self._full_at = left


class RateLimits:
    """The limits of all requests. ``clock`` gives monotonic seconds."""

    def __init__(self, anonymous: Rate, authenticated: Rate, clock: Callable[[], float]) -> None:
        self._addresses = Buckets(anonymous, clock)
        self._users = Buckets(authenticated, clock)
        self.rejected = {"address": 0, "user": 0}
        """How many requests were refused so far, by what they were counted under."""

    def take_for_address(self, address: str) -> float:
        """Count a request by where it comes from; see ``Buckets.take``."""
        wait = self._addresses.take(network_of(address) if ":" in address else address)
        if wait:
            self.rejected["address"] += 1
        return wait

    def take_for(self, user: User, address: str) -> float:
        """Count a request by who is accountable for it, whatever client or token it comes with.
        Anonymous users are made by the asking, so they share what their address has."""
        if user.is_anonymous:
            return self.take_for_address(address)
        wait = self._users.take(user.effective_id)
        if wait:
            self.rejected["user"] += 1
        return wait


def network_of(address: str) -> str:
    """The network that an IPv6 address is counted with."""
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _IPV6_PREFIX), strict=False))
