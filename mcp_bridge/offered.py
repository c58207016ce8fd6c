"""What one service offers as an endpoint of its own: contents and introduction of its catalogue.

A registration is immutable and a new one is a new object, so what is made here is kept by the
identity of the registration, and goes with it (``catalogues``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from typing import Final

from mcp_bridge import tools
from mcp_bridge.catalogue import About, Catalogue, Contents
from mcp_bridge.declared import LISTS, MCP_TYPE, Declared
from mcp_bridge.options import ServiceOptions
from mcp_bridge.resources import ResourceTable, constants_of
from mcp_bridge.text import cut, encodable
from schema.functions import FunctionInfo
from schema.services import ServiceInfo, Visibility

logger = logging.getLogger(__name__)

MAX_INSTRUCTIONS: Final = 2_000
"""Clients cut longer ones."""

_LONG_NAME: Final = 48
"""Clients put their own prefix in front, and model providers count the sum."""


def catalogue_of(service: ServiceInfo, declared: Declared | None = None) -> Catalogue:
    """The catalogue of a service; ``declared`` is what a service of type ``mcp`` says itself.

    It does not hold the service, which is the weak key that it is kept under.
    """
    options = ServiceOptions.of(service)
    table = _tool_table(service, declared, options)
    contents = Contents(
        tools=table.tools,
        resources=_resource_table(service, declared),
        prompts={prompt.name: prompt for prompt in declared.prompts} if declared else {},
        toolsets={
            name: frozenset(_named(table.tools, members))
            for name, members in options.toolsets.items()
        },
        pinned=frozenset(_named(table.tools, options.pinned)),
    )
    report(service.id, {**table.omitted, **(declared.omitted if declared else {})}, table.tools)
    is_private = service.visibility is Visibility.PROTECTED
    about = About(_server_info(service), _instructions(service), is_private)
    catalogue = Catalogue(about, contents, options.profile)
    catalogue.usual_mode = options.mode or "all"
    return catalogue


def _tool_table(
    service: ServiceInfo, declared: Declared | None, options: ServiceOptions
) -> tools.ToolTable:
    functions = [f for f in service.functions.values() if not _completes(service, f)]
    if declared is None:
        return tools.build(map(options.applied, functions))
    if declared.via is not None:
        listed = map(options.applied, declared.tools)
        return tools.build(listed, by_name=True, via=declared.via)
    apart = declared.answering.union(LISTS)
    others = [f for f in functions if f.path.partition(".")[0] not in apart]
    named = [replace(f, declared={**f.declared, "name": f.path}) for f in others]
    return tools.build(map(options.applied, [*declared.tools, *named]), by_name=True)


def _completes(service: ServiceInfo, function: FunctionInfo) -> bool:
    """Whether it is no tool, but answers ``completion/complete``."""
    return service.type == MCP_TYPE and function.path == "complete"


def _named(table: Mapping[str, tools.Tool], members: frozenset[str]) -> Iterator[str]:
    """Names of the tools that are meant by their names or by their functions."""
    return (name for name, tool in table.items() if name in members or tool.function in members)


def _resource_table(service: ServiceInfo, declared: Declared | None) -> ResourceTable:
    if declared is None:
        return ResourceTable({r.uri: r for r in constants_of(service)})
    # Texts of entries, their names for example, are no contents.
    constants = {r.uri: r for r in constants_of(service, but_not=LISTS)}
    resources = declared.resources
    return ResourceTable({**resources.resources, **constants}, resources.templates)


def _server_info(service: ServiceInfo) -> dict[str, str]:
    info = {"name": encodable(service.id.service_id), "version": version()}
    if service.name and service.name != service.id.service_id:
        info["title"] = encodable(service.name)
    return info


@lru_cache(maxsize=1)
def version() -> str:
    try:
        return metadata.version("polyport")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "0"


def _instructions(service: ServiceInfo) -> str:
    texts = (service.description, service.docs)
    words = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    return cut(encodable("\n\n".join(words)), MAX_INSTRUCTIONS)


def report(where: object, omitted: Mapping[str, str], named: Mapping[str, tools.Tool]) -> None:
    """Tell the operator of what is left out, and of names that some clients cannot take."""
    for path, reason in omitted.items():
        logger.warning("mcp_tool_omitted service=%s function=%r reason=%r", where, path, reason)
    for name in named:
        if len(name) > _LONG_NAME:
            logger.info("mcp_tool_name_long service=%s name=%s", where, name)
