"""Results that are too long for a model: cut, announced, and kept to be read in pages.

A page is a part of the text, cut between characters. What is kept is in memory, for its caller
alone, bounded and for a time: whoever wants more of it later calls the tool again.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from mcp_bridge.content import ToolResult
from mcp_bridge.revisions import Block
from schema.identity import Caller

SCHEME: Final = "polyport-result"
PAGE_CHARS: Final = 50_000
"""Of a page, whose text is one string of JSON and costs a model a few thousand tokens."""
KEPT_SECONDS: Final = 600.0
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
MAX_KEPT_BYTES_PER_CALLER: Final = 16 * 1024 * 1024
MAX_BINARY_CHARS: Final = 4 * 1024 * 1024
"""Of a block in base64, some 3 MiB of data; beyond that it is linked to."""


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: str
    block: Block
    until: float
    size: int


class Oversize:
    """What was cut, by its address."""

    def __init__(self, clock: Any = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0
        self._sizes: dict[str, int] = {}

    def fit(self, caller: Caller, result: ToolResult, limit: int) -> ToolResult:
        """The result, if its text has at most ``limit`` characters and no block is too large; else
        one that fits, with a link to what it had."""
        text, has_large = 0, False
        for block in result.content:
            if block["type"] == "text":
                text += len(block["text"])
            elif _is_large(block):
                has_large = True
        is_long = max(text, len(result.encoded or b"")) > limit
        if not is_long and not has_large:
            return result
        room, content = limit, []
        for block in result.content:
            if is_long and block["type"] == "text":
                kept = block["text"][:room]
                room -= len(kept)
                content.extend(self._cut(caller, block, kept))
            elif _is_large(block):
                content.extend(self._linked(caller, block))
            else:
                content.append(block)
        # Half a value would not be what the tool declares.
        return replace(result, content=content, encoded=None if is_long else result.encoded)

    def read(self, caller: Caller, uri: str) -> list[Mapping[str, Any]] | None:
        """The contents at an address that was given to this caller; None if there is nothing."""
        parts = urlsplit(uri)
        kept = self._kept.get(parts.netloc) if parts.scheme == SCHEME else None
        if kept is None or kept.owner != _owner(caller) or kept.until < self._clock():
            return None
        if kept.block["type"] != "text":
            return [{"uri": uri, **_blob(kept.block)}]
        text: str = kept.block["text"]
        asked = parse_qs(parts.query).get("page", ["1"])[-1]
        page = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
        pages = _pages(text)
        if not 1 <= page <= pages:
            return None
        start = (page - 1) * PAGE_CHARS
        meta: dict[str, Any] = {"polyport/page": page, "polyport/pages": pages}
        if page < pages:
            meta["polyport/next"] = f"{SCHEME}://{parts.netloc}?page={page + 1}"
        shown = {"uri": uri, "mimeType": "text/plain", "text": text[start : start + PAGE_CHARS]}
        return [{**shown, "_meta": meta}]

    def _cut(self, caller: Caller, block: Block, kept: str) -> list[Block]:
        text: str = block["text"]
        if len(kept) == len(text):
            return [block]
        uri, pages = self._keep(caller, block, len(text.encode())), _pages(text)
        how = (
            f"The whole is at {uri}?page=1 to {uri}?page={pages} (resources/read), "
            f"for {KEPT_SECONDS / 60:.0f} minutes."
            if uri
            else "It is too long to be kept; ask for less."
        )
        left_out = len(text) - len(kept)
        note = f"[Cut: {left_out} of {len(text)} characters are left out. {how}]"
        blocks: list[Block] = [{**block, "text": kept}, {"type": "text", "text": note}]
        if uri:
            blocks.append(_link(f"{uri}?page=1", "the whole result", "text/plain", note))
        return blocks

    def _linked(self, caller: Caller, block: Block) -> list[Block]:
        held = _blob(block)
        uri = self._keep(caller, block, len(held["blob"]))
        kind = held.get("mimeType", "application/octet-stream")
        note = f"[{kind}, {len(held['blob']) * 3 // 4} bytes: too large to be shown here]"
        if not uri:
            return [{"type": "text", "text": note}]
        return [{"type": "text", "text": note}, _link(uri, "the data", kind, note)]

    def _keep(self, caller: Caller, block: Block, size: int) -> str:
        """Keep a block and return its address, or nothing if it is too much."""
        owner, now = _owner(caller), self._clock()
        while self._kept and next(iter(self._kept.values())).until < now:
            self._forget(next(iter(self._kept)))
        if size > MAX_KEPT_BYTES_PER_CALLER:
            return ""
        while self._sizes.get(owner, 0) + size > MAX_KEPT_BYTES_PER_CALLER:
            self._forget(next(key for key, kept in self._kept.items() if kept.owner == owner))
        while self._size + size > MAX_KEPT_BYTES:
            self._forget(next(iter(self._kept)))
        key = secrets.token_hex(16)
        self._kept[key] = _Kept(owner, block, now + KEPT_SECONDS, size)
        self._size += size
        self._sizes[owner] = self._sizes.get(owner, 0) + size
        return f"{SCHEME}://{key}"

    def _forget(self, key: str) -> None:
        kept = self._kept.pop(key)
        self._size -= kept.size
        self._sizes[kept.owner] -= kept.size
        if not self._sizes[kept.owner]:
            del self._sizes[kept.owner]


def _owner(caller: Caller) -> str:
    # Who has no name shares one; the address itself cannot be guessed.
    return f"{caller.user.id} {caller.user.is_anonymous}"


def _pages(text: str) -> int:
    return -(-len(text) // PAGE_CHARS)


def _is_large(block: Block) -> bool:
    if block["type"] in ("image", "audio"):
        return len(block["data"]) > MAX_BINARY_CHARS
    blob = block["resource"].get("blob") if block["type"] == "resource" else None
    return isinstance(blob, str) and len(blob) > MAX_BINARY_CHARS


def _blob(block: Block) -> dict[str, Any]:
    if block["type"] == "resource":
        held = block["resource"]
        return {key: held[key] for key in ("mimeType", "blob") if key in held}
    return {"mimeType": block["mimeType"], "blob": block["data"]}


def _link(uri: str, name: str, media_type: str, note: str) -> Block:
    return {
        "type": "resource_link",
        "uri": uri,
        "name": name,
        "mimeType": media_type,
        "description": note.strip("[]"),
    }
