"""Choosing one service when several match. Pure, given the random choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from schema.errors import AmbiguousService, InvalidRequest
from schema.ids import ServiceQuery
from schema.services import ServiceInfo

SIMPLE_MODES: Final = ("exact", "random", "first", "last", "min_load", "native:random")
PUBLIC_WORKSPACE: Final = "public"


def default_mode(workspace: str) -> str:
    """Services of the workspace ``public`` are interchangeable, elsewhere one must be meant."""
    return "random" if workspace == PUBLIC_WORKSPACE else "exact"


def choose(
    query: ServiceQuery,
    candidates: Sequence[ServiceInfo],
    mode: str | None,
    *,
    pick: Callable[[Sequence[ServiceInfo]], ServiceInfo],
    load: Callable[[ServiceInfo], float],
) -> ServiceInfo:
    """One of ``candidates``, which are in registration order and not empty.

    Raises AmbiguousService (mode ``exact`` with several) and InvalidRequest (no such mode).
    """
    mode = mode or default_mode(query.workspace)
    if mode not in SIMPLE_MODES:
        raise InvalidRequest(
            f"Invalid mode: {mode}. Expected one of {', '.join(SIMPLE_MODES)} "
            "or select:<min|max|first_success>:<function>"
        )
    if len(candidates) == 1 or mode == "first":
        return candidates[0]
    if mode == "last":
        return candidates[-1]
    if mode == "min_load":
        return min(candidates, key=load)
    if mode in ("random", "native:random"):
        return pick(candidates)
    raise AmbiguousService(
        f"Multiple services found for {query}, e.g. {[str(c.id) for c in candidates[:5]]}. "
        "You can either specify the mode as 'random', 'first', 'last', 'native:random', "
        "or use 'select:criteria:function' format."
    )
