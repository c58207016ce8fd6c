"""Pin and quarantine: a tool that says something else than when it was approved is held back.

What a tool says about itself is read by models as instructions. A server that is harmless when it
is added can change that later ("rug pull"), so what was seen first is pinned, and what differs
waits until somebody has looked. Key order and formatting of a schema are no difference.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from schema.errors import InvalidRequest

logger = logging.getLogger(__name__)

PINNED_KEYS: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
MAX_DIFF: Final = 4_000

OFF: Final = "off"
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Pin:
    """A tool as it was approved."""

    tool: str
    digest: str
    definition: dict[str, Any]


class PinStore(Protocol):
    """Where pins survive a restart."""

    async def pins(self, upstream: str) -> Sequence[Any]: ...

    async def put_pins(
        self, upstream: str, pins: Collection[Any], *, approved_by: str | None, now: float
    ) -> None: ...


@dataclass(slots=True)
class _Seen:
    """One upstream: what is approved of it, and what waits."""

    approved: dict[str, Pin]
    waiting: dict[str, Pin] = field(default_factory=dict)


class Pins:
    """The pins of all upstreams. ``policy`` is ``off``, ``changed`` or ``all``."""

    def __init__(self, policy: str, store: PinStore | None = None) -> None:
        self._policy = policy
        self._store = store
        self._upstreams: dict[str, _Seen] = {}

    async def see(self, upstream: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Compare what an upstream lists with what was approved; what is new is pinned as it is,
        unless the policy has it wait as well."""
        if self._policy == OFF:
            return
        seen = await self._of(upstream)
        listed = [_pin(tool) for tool in tools]
        new = [pin for pin in listed if pin.tool not in seen.approved]
        waiting = {
            pin.tool: pin
            for pin in listed
            if pin.tool in seen.approved and seen.approved[pin.tool].digest != pin.digest
        }
        if self._policy == ALL:
            waiting |= {pin.tool: pin for pin in new}
        elif new:
            await self._keep(upstream, seen, new, approved_by=None)
        for tool, pin in waiting.items():
            before = seen.waiting.get(tool)
            if before is None or before.digest != pin.digest:
                why = "changed" if tool in seen.approved else "new"
                logger.warning("tool_held upstream=%s tool=%r reason=%s", upstream, tool, why)
        seen.waiting = waiting

    def held(self, upstream: str) -> frozenset[str]:
        """Names of the tools that wait for approval."""
        seen = self._upstreams.get(upstream)
        return frozenset(seen.waiting) if seen is not None else frozenset()

    def report(self, upstream: str) -> list[dict[str, Any]]:
        """The tools that wait, with what would change: ``tool``, ``reason`` (``changed`` or
        ``new``), ``digest`` and ``diff``."""
        seen = self._upstreams.get(upstream)
        if seen is None:
            return []
        return [
            {
                "tool": tool,
                "reason": "changed" if tool in seen.approved else "new",
                "digest": pin.digest,
                "diff": _diff(seen.approved.get(tool), pin),
            }
            for tool, pin in seen.waiting.items()
        ]

    async def approve(
        self, upstream: str, tools: Mapping[str, str | None], approved_by: str
    ) -> list[str]:
        """Take tools as they are now; ``tools`` maps names to the digest that was looked at (None:
        whatever it is), and without any all that wait are meant. The names that were approved.

        Raises InvalidRequest for a tool that does not wait or is not what was looked at any more.
        """
        seen = await self._of(upstream)
        chosen = []
        for tool, digest in (tools or dict.fromkeys(seen.waiting)).items():
            pin = seen.waiting.get(tool)
            if pin is None:
                raise InvalidRequest(f"The tool {tool!r} does not wait for approval")
            if digest is not None and digest != pin.digest:
                raise InvalidRequest(f"The tool {tool!r} has changed since: look at it again")
            chosen.append(pin)
        await self._keep(upstream, seen, chosen, approved_by=approved_by)
        for pin in chosen:
            del seen.waiting[pin.tool]
            logger.info("tool_approved upstream=%s tool=%r by=%s", upstream, pin.tool, approved_by)
        return [pin.tool for pin in chosen]

    def forget(self, upstream: str) -> None:
        """The upstream is gone for good; the store has been told."""
        self._upstreams.pop(upstream, None)

    async def _of(self, upstream: str) -> _Seen:
        seen = self._upstreams.get(upstream)
        if seen is None:
            stored = await self._store.pins(upstream) if self._store is not None else []
            approved = {row.tool: Pin(row.tool, row.digest, row.definition) for row in stored}
            seen = self._upstreams.setdefault(upstream, _Seen(approved))
        return seen

    async def _keep(
        self, upstream: str, seen: _Seen, pins: Collection[Pin], *, approved_by: str | None
    ) -> None:
        if self._store is not None:
            await self._store.put_pins(upstream, pins, approved_by=approved_by, now=time.time())
        seen.approved |= {pin.tool: pin for pin in pins}


def _pin(tool: Mapping[str, Any]) -> Pin:
    definition = {key: tool[key] for key in PINNED_KEYS if key in tool}
    return Pin(str(tool.get("name")), digest_of(definition), definition)


def digest_of(definition: Mapping[str, Any]) -> str:
    """The same for definitions that say the same: keys are sorted, blanks are none."""
    try:
        canonical = orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer that is too big for it
        canonical = json.dumps(definition, sort_keys=True, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    return hashlib.sha256(canonical).hexdigest()


def _diff(before: Pin | None, after: Pin) -> str:
    lines = difflib.unified_diff(
        _lines(before.definition if before is not None else {}),
        _lines(after.definition),
        "approved" if before is not None else "nothing",
        "now",
        lineterm="",
    )
    return "\n".join(lines)[:MAX_DIFF]


def _lines(definition: Mapping[str, Any]) -> list[str]:
    return json.dumps(definition, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
