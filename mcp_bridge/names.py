"""Tool names: from dotted function paths to names that every client and model provider takes. Pure.

Dots and slashes are legal in MCP, but several model providers refuse a whole request over one
tool name outside ``[A-Za-z0-9_-]{1,64}``. A name is only ever looked up in the table made here,
never taken apart again.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

MAX_NAME: Final = 64
"""Limit of the strictest model providers."""

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


def names_of(wanted: Mapping[str, str]) -> dict[str, str]:
    """Tool name by function path, for functions that want a name. Of several that want the same,
    the first has it; the others have no entry and must be left out."""
    names = wire_names(wanted.values())
    owners: dict[str, str] = {}
    for path, name in wanted.items():
        if name in names:
            owners.setdefault(name, path)
    return {path: names[name] for name, path in owners.items()}


def wire_names(paths: Iterable[str]) -> dict[str, str]:
    """Tool name by function path; no two paths share one. A path without an entry found its name
    taken and must be left out.

    A legal path is its own name. Another has its dots turned into ``_`` if nothing else in the
    service is called so; else it ends in a hash of the whole path, so that it is the same name
    on every run and in whatever order functions were registered.
    """
    distinct = list(dict.fromkeys(paths))
    names = {path: path for path in distinct if _LEGAL.fullmatch(path)}
    others = [path for path in distinct if path not in names]
    wanted = Counter(_plain(path) for path in others)
    taken = set(names)
    for path in others:
        plain = _plain(path)
        if _LEGAL.fullmatch(plain) and wanted[plain] == 1 and plain not in names:
            names[path] = plain
            taken.add(plain)
    for path in others:
        if path not in names and (hashed := _hashed(path)) not in taken:
            names[path] = hashed
            taken.add(hashed)
    return {path: names[path] for path in distinct if path in names}


def joined_names(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Tool name by pair of service and tool, for an endpoint over several services:
    ``<service>__<tool>``. A pair without an entry found its name taken and must be left out.

    A service id with ``__`` inside or ``_`` at its ends would make the place of the separator
    ambiguous, so such names end in a hash of the pair, like those that are too long.
    """
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    distinct = list(dict.fromkeys(pairs))
    plain = {pair: _joined(pair) for pair in distinct}
    # Names in their own right first, so that no hash can take one away.
    for pair in sorted(distinct, key=lambda pair: plain[pair] is None):
        name = plain[pair] or _hashed("__".join(pair), of="\0".join(pair))
        if name not in taken:
            names[pair] = name
            taken.add(name)
    return {pair: names[pair] for pair in distinct if pair in names}


def _joined(pair: tuple[str, str]) -> str | None:
    service, tool = pair
    if "__" in service or service.startswith("_") or service.endswith("_"):
        return None
    name = f"{service}__{tool}"
    return name if _LEGAL.fullmatch(name) else None


def _plain(path: str) -> str:
    return path.replace(".", "_")


def _hashed(path: str, *, of: str | None = None) -> str:
    whole = path if of is None else of
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = _ILLEGAL.sub("_", path)[: MAX_NAME - len(digest) - 1]
    return f"{head}_{digest}"
