"""What a function returned, as the content of a tool result. Pure.

Text stays as it is; bytes become an image, a sound or an embedded resource by what they start
with; everything else becomes JSON, once as text for the model and once as structured content. A
value that already is a tool result passes through. Which of this a revision can carry is decided
in ``revisions``.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from mcp_bridge import arrays
from mcp_bridge.revisions import Block
from mcp_bridge.text import cut, encodable
from schema import values

RESULT_URI: Final = "polyport://result"
"""An embedded resource must have a URI; this one cannot be read again."""

MAX_ERROR_TEXT: Final = 2_000
_MAX_DEPTH: Final = 100
_TRACEBACK: Final = "Traceback (most recent call last)"

_BLOCK_FIELDS: Final[Mapping[str, tuple[tuple[str, type], ...]]] = {
    "text": (("text", str),),
    "image": (("data", str), ("mimeType", str)),
    "audio": (("data", str), ("mimeType", str)),
    "resource": (("resource", dict),),
    "resource_link": (("uri", str), ("name", str)),
}


@dataclass(slots=True)
class ToolResult:
    """The outcome of a call in its richest form."""

    content: list[Block]
    encoded: bytes | None = None
    """The value as JSON, if it is more than text and blocks can say: the structured content."""
    is_error: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def has_structured(self) -> bool:
        """False also for null, which clients take for no structured content at all."""
        return self.encoded is not None and self.encoded != b"null"

    @property
    def is_object(self) -> bool:
        """True if the structured content is a JSON object, which older revisions insist on."""
        return self.encoded is not None and self.encoded.startswith(b"{")


def from_value(value: Any) -> ToolResult:
    """The result for a returned value."""
    if isinstance(value, str):
        return ToolResult([_text(value)])
    if (data := _as_bytes(value)) is not None:
        return ToolResult([_binary(data)])
    if isinstance(value, dict) and (shaped := _already_shaped(value)) is not None:
        return shaped
    encoded = to_json(value)
    return ToolResult([_text(encoded.decode())], encoded)


def from_items(items: Sequence[ToolResult], note: str = "") -> ToolResult:
    """The result for all the items of a stream: one JSON list, unless an item is not JSON."""
    notes = [_text(note)] if note else []
    encoded = [json_of for item in items if (json_of := _item_json(item)) is not None]
    if len(encoded) < len(items):
        return ToolResult([block for item in items for block in item.content] + notes)
    listed = b"[" + b",".join(encoded) + b"]"
    return ToolResult([_text(listed.decode()), *notes], b'{"result":' + listed + b"}")


def from_error(message: str) -> ToolResult:
    """The result for a failed call: the text without any traceback, cut to what a model needs."""
    text = message.partition(_TRACEBACK)[0].strip() or "The call failed without a message"
    return ToolResult([_text(cut(text, MAX_ERROR_TEXT))], is_error=True)


def summary(result: ToolResult, limit: int = 1_000) -> str:
    """An item of a stream in a few words, for a progress message."""
    words = (block.get("text") or f"({block['type']})" for block in result.content)
    return cut(" ".join(words), limit)


def size(result: ToolResult) -> int:
    """About how many bytes a result takes."""
    held = (
        block.get("text") or block.get("data") or block.get("resource") for block in result.content
    )
    return sum(len(text) if isinstance(text, str) else len(to_json(text)) for text in held)


def to_json(value: Any) -> bytes:
    """Any value as JSON. What JSON lacks gets its nearest form: NaN is null, bytes are base64,
    arrays are described, integers keep all their digits."""
    if values.rtype(value) is None:
        try:
            encoded = orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)
            if b'"_rtype"' not in encoded:
                return encoded
        except TypeError:  # too big an integer, too deep, half a surrogate pair
            pass
    text = json.dumps(_plain(value, 0), separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def _item_json(item: ToolResult) -> bytes | None:
    """An item of a stream as JSON, or None if it has blocks that JSON would lose."""
    if len(item.content) != 1 or item.content[0]["type"] != "text":
        return None
    return item.encoded or orjson.dumps(item.content[0]["text"])


def _text(text: str) -> Block:
    return {"type": "text", "text": encodable(text)}


def _as_bytes(value: Any) -> bytes | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if values.rtype(value) == values.MEMORY_VIEW and isinstance(value.get("_rvalue"), bytes):
        return bytes(value["_rvalue"])
    return None


def _binary(data: bytes) -> Block:
    encoded = base64.b64encode(data).decode()
    media_type = sniff(data)
    kind = media_type.partition("/")[0]
    if kind in ("image", "audio"):
        return {"type": kind, "data": encoded, "mimeType": media_type}
    resource = {"uri": RESULT_URI, "mimeType": media_type, "blob": encoded}
    return {"type": "resource", "resource": resource}


def sniff(data: bytes) -> str:
    """The media type that the first bytes tell, of those that clients show or play."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12], _UNKNOWN)
    if data[:1] == b"\xff" and data[1:2] in (b"\xfb", b"\xf3", b"\xf2"):
        return "audio/mpeg"
    return next((kind for start, kind in _SIGNATURES if data.startswith(start)), _UNKNOWN)


_UNKNOWN: Final = "application/octet-stream"
_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
)


def _already_shaped(value: dict[str, Any]) -> ToolResult | None:
    """A value that has the form of a tool result, or None."""
    blocks = value.get("content")
    if not isinstance(blocks, list) or not blocks or not all(map(_is_block, blocks)):
        return None
    meta, structured = value.get("_meta"), value.get("structuredContent")
    return ToolResult(
        # Through JSON, since only the fields that must be there have been looked at.
        content=orjson.loads(to_json(blocks)),
        encoded=None if structured is None else to_json(structured),
        is_error=value.get("isError") is True,
        meta=orjson.loads(to_json(meta)) if isinstance(meta, dict) else {},
    )


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    fields = _BLOCK_FIELDS.get(str(block.get("type")))
    if fields is None or not all(isinstance(block.get(name), type_) for name, type_ in fields):
        return False
    if block["type"] != "resource":
        return True
    resource = block["resource"]
    held = resource.get("text", resource.get("blob"))
    return isinstance(resource.get("uri"), str) and isinstance(held, str)


def _default(value: Any) -> Any:
    """What orjson does not know."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _plain(value: Any, depth: int) -> Any:
    """The value from JSON types alone, with encoded values opened."""
    if depth > _MAX_DEPTH:
        return "(nested too deeply)"
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        # Python refuses to write out thousands of digits in decimal.
        return value if value.bit_length() < 10_000 else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _plain_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _default(value)


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> Any:
    kind = value.get(values.RTYPE)
    held = value.get("_rvalue")
    if kind in (values.NDARRAY, values.TYPED_ARRAY):
        return arrays.describe(value)
    if kind in (values.SET, values.MEMORY_VIEW):
        return _plain(held, depth + 1)
    if kind == values.ORDERED_MAP and isinstance(held, list):
        pairs = (pair for pair in held if isinstance(pair, list | tuple) and len(pair) == 2)
        return {str(key): _plain(item, depth + 1) for key, item in pairs}
    return {str(key): _plain(item, depth + 1) for key, item in value.items()}
