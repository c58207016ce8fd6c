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
from mcp_bridge.revisions import RESULT_URI, Block
from mcp_bridge.text import cut, encodable
from schema import values

NOT_FINITE: Final = "Numbers that are not finite (NaN, infinity) are shown as null."

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


def from_value(value: Any, *, may_be_blocks: bool = False) -> ToolResult:
    """The result for a returned value. ``may_be_blocks``: a list of content blocks is what it looks
    like, and not data that happens to have that form."""
    if isinstance(value, str):
        return ToolResult([_text(value)])
    if _is_of_sdk(value):
        value, may_be_blocks = opened(value), True
    if may_be_blocks and isinstance(value, list) and value and all(map(is_block, value)):
        return ToolResult(orjson.loads(to_json(named(value))))
    if (data := as_bytes(value)) is not None:
        return ToolResult([_binary(data)])
    if isinstance(value, dict) and (shaped := _already_shaped(value)) is not None:
        return shaped
    encoded = to_json(value)
    shown = [_text(encoded.decode())]
    if b"null" in encoded and _has_non_finite(value):
        shown.append(_text(NOT_FINITE))
    return ToolResult(shown, encoded)


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


def _has_non_finite(value: Any) -> bool:
    """Whether there is a number that JSON has no form for."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, float) and not math.isfinite(node):
            return True
        if values.rtype(node) in (values.NDARRAY, values.TYPED_ARRAY):
            if arrays.has_non_finite(node):
                return True
        elif isinstance(node, Mapping):
            pending.extend(node.values())
        elif isinstance(node, list | tuple):
            pending.extend(node)
    return False


def _item_json(item: ToolResult) -> bytes | None:
    """An item of a stream as JSON, or None if it has blocks that JSON would lose."""
    is_one = len(item.content) == 1 or item.content[1:] == [_text(NOT_FINITE)]
    if not is_one or item.content[0]["type"] != "text":
        return None
    return item.encoded or orjson.dumps(item.content[0]["text"])


def _text(text: str) -> Block:
    return {"type": "text", "text": encodable(text)}


def as_bytes(value: Any) -> bytes | None:
    """The bytes that a value is, or None."""
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


_WIRE_NAMES: Final[Mapping[str, str]] = {
    "mime_type": "mimeType",
    "meta": "_meta",
    "is_error": "isError",
    "structured_content": "structuredContent",
    "input_schema": "inputSchema",
    "output_schema": "outputSchema",
    "uri_template": "uriTemplate",
    "last_modified": "lastModified",
    "read_only_hint": "readOnlyHint",
    "destructive_hint": "destructiveHint",
    "idempotent_hint": "idempotentHint",
    "open_world_hint": "openWorldHint",
}
"""Names that objects of the Python SDK have where JSON has another."""


def opened(value: Any) -> Any:
    """The value of an object of the MCP SDK, which hypha-rpc carries as a pydantic model, with the
    names it has in JSON; other values as they are."""
    if isinstance(value, list):
        return [opened(item) for item in value]
    if values.rtype(value) == values.PYDANTIC_MODEL and isinstance(value.get("_rvalue"), Mapping):
        return named(value["_rvalue"])
    if isinstance(value, dict) and values.rtype(value) is None:
        return {key: opened(item) for key, item in value.items()}
    return value


def _is_of_sdk(value: Any) -> bool:
    sample = value[0] if isinstance(value, list) and value else value
    return values.rtype(sample) == values.PYDANTIC_MODEL


def named(node: Any) -> Any:
    """A description with the names of JSON, and without what is not set."""
    if isinstance(node, list):
        return [named(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        _WIRE_NAMES.get(key, key): item if key in _FREE else named(item)
        for key, item in node.items()
        if item is not None
    }


_FREE: Final = frozenset(
    {"inputSchema", "input_schema", "outputSchema", "output_schema", "structured_content",
     "structuredContent", "meta", "_meta", "arguments"}
)  # fmt: skip
"""Members whose own names are not ours to change."""


def _already_shaped(value: dict[str, Any]) -> ToolResult | None:
    """A value that has the form of a tool result, or None."""
    blocks = value.get("content")
    if not isinstance(blocks, list) or not blocks or not all(map(is_block, blocks)):
        return None
    meta, structured = value.get("_meta"), value.get("structuredContent")
    return ToolResult(
        # Through JSON, since only the fields that must be there have been looked at.
        content=orjson.loads(to_json(named(blocks))),
        encoded=None if structured is None else to_json(structured),
        is_error=value.get("isError") is True,
        meta=orjson.loads(to_json(meta)) if isinstance(meta, dict) else {},
    )


def is_block(block: Any) -> bool:
    """Whether a value is a content block (of either generation of the Python SDK)."""
    if not isinstance(block, dict):
        return False
    fields = _BLOCK_FIELDS.get(str(block.get("type")))
    block = {**block, "mimeType": block.get("mimeType", block.get("mime_type"))}
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
    if kind in (values.SET, values.MEMORY_VIEW, values.PYDANTIC_MODEL):
        return _plain(held, depth + 1)
    if kind == values.ORDERED_MAP and isinstance(held, list):
        pairs = (pair for pair in held if isinstance(pair, list | tuple) and len(pair) == 2)
        return {str(key): _plain(item, depth + 1) for key, item in pairs}
    return {str(key): _plain(item, depth + 1) for key, item in value.items()}
