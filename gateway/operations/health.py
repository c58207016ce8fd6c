"""How the gateway is: whether it lives, whether it takes work, and a report.

The shape of the report is that of Hypha's ``/health`` (HTTP contract), so that what watches it goes
on working; parts that this gateway does not have say that nothing is wrong with them. A report is
made at most once per second whoever asks, so that asking costs nothing.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.counters import Counters
from gateway.hub import Hub
from gateway.operations.process import machine_report, memory_report
from gateway.rpc.endpoint import Endpoint

REPORT_SECONDS: Final = 1.0
"""How long a report is good for."""

STORAGE_SECONDS: Final = 2.0
"""How long the database may take to answer, and how long an answer is good for."""

_LARGE_MIB: Final = 2048
_MANY_TASKS: Final = 10_000
_CRITICAL_SCORE: Final = 60
_WARNING_SCORE: Final = 80


class Health:
    """See the module. ``ping`` asks the storage for a sign of life; None: there is none to ask."""

    def __init__(
        self,
        hub: Hub,
        endpoint: Endpoint,
        counters: Counters,
        ping: Callable[[], Awaitable[None]] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._endpoint = endpoint
        self._counters = counters
        self._ping = ping
        self._clock = clock
        self._started_at = clock()
        self._report: dict[str, Any] = {}
        self._reported_at = float("-inf")
        self._storage_asked_at = float("-inf")
        self._storage_answers = True
        self._asking = asyncio.Lock()

    async def not_ready(self) -> str | None:
        """Why no work is taken, or None."""
        if self._hub.is_draining:
            return "stopping"
        if not await self._storage():
            return "the database does not answer"
        return None

    async def report(self) -> dict[str, Any]:
        """The report, at most a second old. ``health_score`` is out of 100."""
        answers = await self._storage()
        if self._clock() - self._reported_at >= REPORT_SECONDS:
            self._report = self._made(answers)
            self._reported_at = self._clock()
        return self._report

    async def _storage(self) -> bool:
        if self._ping is None:
            return True
        async with self._asking:
            if self._clock() - self._storage_asked_at >= STORAGE_SECONDS:
                try:
                    async with asyncio.timeout(STORAGE_SECONDS):
                        await self._ping()
                    self._storage_answers = True
                except Exception:  # noqa: BLE001 - whatever a driver raises, it does not answer
                    self._storage_answers = False
                self._storage_asked_at = self._clock()
        return self._storage_answers

    def _made(self, storage_answers: bool) -> dict[str, Any]:
        hub, counters = self._hub, self._counters
        memory = memory_report()
        tasks = len(asyncio.all_tasks())
        checks = (
            (not storage_answers, 50, "The database does not answer"),
            (hub.is_draining, 30, "The server is stopping"),
            (memory["rss_mb"] > _LARGE_MIB, 20, f"The process has {memory['rss_mb']:.0f} MiB"),
            (tasks > _MANY_TASKS, 15, f"{tasks} tasks are active"),
        )
        wrong = [(penalty, text) for is_wrong, penalty, text in checks if is_wrong]
        score = max(0, 100 - sum(penalty for penalty, _ in wrong))
        active = hub.connections
        return {
            "timestamp": time.time(),
            "status": status_of(score),
            "health_score": score,
            "issues": [text for _, text in wrong],
            "memory": memory,
            "connections": {
                "active": active,
                "total_created": counters.connections,
                "total_closed": counters.connections - active,
                "orphaned": 0,
                "leaked_handlers": 0,
            },
            "objects": {"rpc_objects": 1, "connection_objects": active},
            "event_bus": {
                "circuit_breaker_open": False,
                "consecutive_failures": 0,
                "max_failures": 0,
                "last_successful_connection": None,
            },
            "system": machine_report(),
            "tasks": {"active": tasks},
            "calls": {"in_flight": self._endpoint.calls_in_flight},
            "leak_monitor": {"collections": sum(s["collections"] for s in gc.get_stats())},
            "uptime_seconds": round(self._clock() - self._started_at, 3),
        }


def status_of(score: int) -> str:
    """The word for a score; only CRITICAL makes probes fail."""
    if score < _CRITICAL_SCORE:
        return "CRITICAL"
    return "HEALTHY" if score >= _WARNING_SCORE else "WARNING"
