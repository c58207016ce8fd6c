"""What a tool of an MCP server returned, for callers that are no MCP clients. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from schema.errors import ServiceError

TOOL_ERROR: Final = "ToolError"
MAX_ERROR_TEXT: Final = 2_000


def plain_value(result: Mapping[str, Any], output_schema: object) -> Any:
    """The value behind a tool result: the structured content, the one text, or the bytes of the one
    image, sound or file; a result that is more than that stays as it is.

    Raises ServiceError for a result that says that the tool failed.
    """
    blocks = result.get("content") or []
    if result.get("isError"):
        raise ServiceError(_error_text(blocks), remote_type=TOOL_ERROR)
    if "structuredContent" in result:
        return _unwrapped(result["structuredContent"], output_schema)
    if not blocks:
        return None
    if len(blocks) > 1:
        return dict(result)
    return _of_block(blocks[0], result)


def _unwrapped(structured: Any, output_schema: object) -> Any:
    """A value that is no object is wrapped by the official SDKs, because it had to be one."""
    properties = output_schema.get("properties") if isinstance(output_schema, Mapping) else None
    if (
        isinstance(structured, Mapping)
        and list(structured) == ["result"]
        and isinstance(properties, Mapping)
        and list(properties) == ["result"]
    ):
        return structured["result"]
    return structured


def _of_block(block: Mapping[str, Any], result: Mapping[str, Any]) -> Any:
    kind = block.get("type")
    if kind == "text":
        return block.get("text", "")
    resource = block.get("resource")
    if kind == "resource" and isinstance(resource, Mapping) and "text" in resource:
        return resource["text"]
    encoded = resource.get("blob") if isinstance(resource, Mapping) else block.get("data")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return dict(result)
    return dict(result)


def _error_text(blocks: list[Mapping[str, Any]]) -> str:
    texts = [block["text"] for block in blocks if isinstance(block.get("text"), str)]
    return "\n".join(texts)[:MAX_ERROR_TEXT] or "The tool failed without a message"
