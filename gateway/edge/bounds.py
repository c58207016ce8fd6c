"""What all requests together are held to."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.bodies import BodyBudget
from gateway.edge.connections import Connections
from gateway.edge.limits import Rate, RateLimits
from gateway.edge.proxies import Proxies
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many may come, from where, and with how much."""

    proxies: Proxies
    rates: RateLimits
    connections: Connections
    bodies: BodyBudget


def bounds_of(settings: Settings) -> Bounds:
    """The bounds that the operator wants."""
    proxies = Proxies(settings.trusted_proxies)
    return Bounds(
        proxies=proxies,
        rates=RateLimits(
            Rate(settings.anonymous_requests_per_second, settings.anonymous_burst_requests),
            Rate(settings.user_requests_per_second, settings.user_burst_requests),
            time.monotonic,
        ),
        connections=Connections(settings.max_connections_per_address, proxies.trusts),
        bodies=BodyBudget(settings.max_buffered_body_bytes),
    )
