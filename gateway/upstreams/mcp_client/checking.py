"""Whether what a server sends has the form that clients rely on. Pure.

Results go through the gateway as they are. A client may take one that is malformed for the
gateway's own fault, and fail over it altogether, so such a result is an error here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.upstreams.readable import readable

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("uri", "name"),
}
"""Members of a content block that must be texts."""


def is_tool_result(result: Mapping[str, Any], *, is_modern: bool) -> bool:
    """For ``tools/call``. Before revision 2026-07-28 structured content is an object."""
    structured = result.get("structuredContent")
    return (
        _all(result.get("content", []), is_block)
        and isinstance(result.get("isError", False), bool)
        and isinstance(result.get("_meta", {}), Mapping)
        and (is_modern or structured is None or isinstance(structured, Mapping))
    )


def is_contents(result: Mapping[str, Any]) -> bool:
    """For ``resources/read``."""
    return _all(result.get("contents"), _is_contents)


def is_prompt(result: Mapping[str, Any]) -> bool:
    """For ``prompts/get``."""
    return _all(result.get("messages"), _is_message)


def is_completion(result: Mapping[str, Any]) -> bool:
    """For ``completion/complete``."""
    completion = result.get("completion")
    return isinstance(completion, Mapping) and _all(
        completion.get("values"), lambda value: isinstance(value, str)
    )


def is_block(block: object) -> bool:
    """A content block of a kind that there is."""
    if not isinstance(block, Mapping):
        return False
    kind = block.get("type")
    if kind == "resource":
        return _is_contents(block.get("resource"))
    texts = _TEXTS.get(kind) if isinstance(kind, str) else None
    return texts is not None and all(isinstance(block.get(key), str) for key in texts)


def entries(listed: object, key: str) -> list[dict[str, Any]]:
    """Those entries of a list that have the text that they are known by and can be shown, without
    members that are null. One that is malformed costs nobody the others."""
    if not isinstance(listed, list):
        return []
    found = (
        readable({name: value for name, value in entry.items() if value is not None})
        for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get(key), str) and entry[key]
    )
    return [entry for entry in found if entry is not None]


def _is_contents(contents: object) -> bool:
    if not isinstance(contents, Mapping) or not isinstance(contents.get("uri"), str):
        return False
    return isinstance(contents.get("text"), str) or isinstance(contents.get("blob"), str)


def _is_message(message: object) -> bool:
    if not isinstance(message, Mapping) or message.get("role") not in ("user", "assistant"):
        return False
    return is_block(message.get("content"))


def _all(values: object, is_good: Callable[[object], bool]) -> bool:
    return isinstance(values, list) and all(map(is_good, values))
