"""What the gateway counts while it works: plain numbers, added to where it happens.

Nothing is computed until somebody asks (``operations.metrics``), so counting costs a look-up and an
addition. Labels are few and known: never a workspace, a user or a path of a client's own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import Final

BUCKET_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds of the histogram of response times."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Timings:
    """How often something took how long."""

    __slots__ = ("counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKET_SECONDS) + 1)
        """By bucket, the last one for what is above all bounds."""
        self.total_seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKET_SECONDS, seconds)] += 1
        self.total_seconds += seconds


class Counters:
    """All of them, since the start of the process."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], Timings] = {}
        """Answered HTTP requests by route, method and status, with the time until their answer
        began."""
        self.active_requests = 0
        """Requests that have come and whose answer has not ended; streams are among them."""
        self.open_streams = 0
        """Answers that have begun and not ended."""
        self.operations: defaultdict[str, int] = defaultdict(int)
        """MCP requests by method."""
        self.calls: defaultdict[str, int] = defaultdict(int)
        """Calls over HTTP and MCP by outcome: ``ok`` or the code of the error."""
        self.authentications: defaultdict[str, int] = defaultdict(int)
        """Credentials looked at, by outcome: ``anonymous``, ``ok`` or the code of the error."""
        self.connections = 0
        """Connections of clients that were opened."""
        self.flooding_clients = 0
        """Clients that were disconnected because they sent too many messages."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note the answer to a request."""
        key = (route, method if method in _METHODS else "other", status)
        timings = self.requests.get(key)
        if timings is None:
            timings = self.requests[key] = Timings()
        timings.add(seconds)
