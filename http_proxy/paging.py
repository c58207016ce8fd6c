"""Which part of a list of services is asked for. Pure.

A cursor is the id of the last service of a page: pages are ordered by id, so what comes and goes
between two of them neither repeats an entry nor loses one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from schema.errors import InvalidRequest
from schema.services import ServiceInfo, Visibility

MAX_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """A choice among the services, and where to begin and end in them."""

    limit: int | None = None
    cursor: str | None = None
    type: str | None = None
    visibility: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read the parameters of a URL. Raises InvalidRequest."""
        limit = query.get("limit")
        if limit is not None and not (
            limit.isascii() and limit.isdigit() and len(limit) < 9 and int(limit) > 0
        ):
            raise InvalidRequest(f"limit is a whole number above 0, not {limit[:40]!r}")
        visibility = query.get("visibility")
        if visibility is not None and visibility not in {known.value for known in Visibility}:
            raise InvalidRequest(f"There is no visibility {visibility[:40]!r}")
        return cls(
            min(int(limit), MAX_LIMIT) if limit is not None else None,
            query.get("cursor"),
            query.get("type"),
            visibility,
        )

    def cut(
        self, services: Sequence[ServiceInfo], prefix: str
    ) -> tuple[list[ServiceInfo], str | None]:
        """The services of the page, and the cursor of the next if there is one. ``prefix`` is what
        their ids begin with."""
        chosen = [service for service in services if self._wants(service)]
        if self.limit is None and self.cursor is None:
            return chosen, None
        named = {str(service.id).removeprefix(prefix): service for service in chosen}
        ids = sorted(id for id in named if self.cursor is None or id > self.cursor)
        page = ids[: self.limit]
        is_last = len(page) == len(ids)
        return [named[id] for id in page], None if is_last else page[-1]

    def _wants(self, service: ServiceInfo) -> bool:
        return self.type in (None, service.type) and self.visibility in (
            None,
            service.visibility.value,
        )
