"""Which MCP revisions are spoken, and what each of them knows. Pure.

One table of revisions, and functions that take the richest form of a tool, a content block or a
call's result and leave out or rewrite what a revision lacks. Deployed clients of the older
revisions validate strictly, so a key from a later one can break them.

It does not decide which revision a request is in: that is ``ladder``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_bridge.schemas import is_bare, wrapped

PROTOCOL_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
CLIENT_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"
SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"

RESULT: Final = "result"
"""The member that holds a result which is no object, for revisions that want one."""

RESULT_URI: Final = "polyport://result"
"""An embedded resource must have a URI; this one cannot be read again."""

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Revision:
    """One published revision and the features that changed its wire form."""

    name: str
    is_modern: bool = False
    """Stateless with per-request metadata; otherwise the revision opens with ``initialize``."""
    has_audio_and_annotations: bool = True
    has_structured_content: bool = True
    """Also ``title``, ``outputSchema``, ``resource_link`` and ``_meta`` on tools and blocks."""
    has_icons: bool = False
    has_full_schemas: bool = False
    """JSON Schema 2020-12 is what schemas are in, with all of its keywords."""

    def __str__(self) -> str:
        return self.name


_ALL = (
    Revision("2024-11-05", has_audio_and_annotations=False, has_structured_content=False),
    Revision("2025-03-26", has_structured_content=False),
    Revision("2025-06-18"),
    Revision("2025-11-25", has_icons=True, has_full_schemas=True),
    Revision("2026-07-28", is_modern=True, has_icons=True, has_full_schemas=True),
)
LEGACY: Final[Mapping[str, Revision]] = {r.name: r for r in _ALL if not r.is_modern}
MODERN: Final[Mapping[str, Revision]] = {r.name: r for r in _ALL if r.is_modern}
KNOWN: Final[Mapping[str, Revision]] = {r.name: r for r in _ALL}

LATEST_LEGACY: Final = LEGACY["2025-11-25"]
UNDECLARED: Final = LEGACY["2025-03-26"]
"""What a request without any version is: the last revision that had no version header."""


def negotiate(requested: str) -> Revision:
    """The answer to ``initialize``: the requested revision if that can be opened by a handshake,
    else the newest that can (revision 2025-11-25, lifecycle, version negotiation)."""
    return LEGACY.get(requested, LATEST_LEGACY)


def shape_definition(definition: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """What a list shows of a tool, resource or prompt, without the keys that the revision does not
    have."""
    unknown = set()
    if not revision.has_audio_and_annotations:
        unknown.add("annotations")
    if not revision.has_structured_content:
        unknown |= {"title", "outputSchema", "_meta"}
    if not revision.has_icons:
        unknown.add("icons")
    shaped = {key: value for key, value in definition.items() if key not in unknown}
    if not revision.is_modern and "outputSchema" in shaped and is_bare(shaped["outputSchema"]):
        shaped["outputSchema"] = wrapped(shaped["outputSchema"], RESULT)
    return shaped


def shape_blocks(blocks: Sequence[Block], revision: Revision) -> list[Block]:
    """Content blocks in a form the revision has: older ones get audio as an embedded resource
    and a resource link as text."""
    if revision.has_structured_content:
        return list(blocks)
    return [_older_block(block, revision) for block in blocks]


def _older_block(block: Block, revision: Revision) -> Block:
    kind = block["type"]
    if kind == "resource_link":
        return {"type": "text", "text": f"{block.get('name') or 'resource'}: {block['uri']}"}
    if kind == "audio" and not revision.has_audio_and_annotations:
        resource = {
            "uri": RESULT_URI,
            "mimeType": block["mimeType"],
            "blob": block["data"],
        }
        return {"type": "resource", "resource": resource}
    return {key: value for key, value in block.items() if key != "_meta"}


def shape_prompt_message(message: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """A message of a prompt with its content in a form the revision has."""
    (block,) = shape_blocks([message["content"]], revision)
    return {**message, "content": block}


def carries_structured(revision: Revision, is_object: bool) -> bool:
    """True if a result of this revision may have the value as ``structuredContent``; a value that
    is not an object only since the stateless revision."""
    return revision.has_structured_content and (is_object or revision.is_modern)


def finish_result(
    result: dict[str, Any],
    revision: Revision,
    server_info: Mapping[str, Any],
    result_type: str = "complete",
) -> dict[str, Any]:
    """Add what every result of a stateless revision carries. Older ones stay as they are: their
    clients reject keys they do not know, even in an empty result."""
    if revision.is_modern:
        result["resultType"] = result_type
        result["_meta"] = {**result.get("_meta", {}), SERVER_INFO_KEY: server_info}
    return result
