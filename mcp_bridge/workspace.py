"""All services of a workspace as one endpoint, for each set of services that a caller may see.

Tools are called ``<service>__<tool>`` (``names``), and a service that several clients offer is
there once: any of them is called. What is made here is kept until the services change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from gateway.api import Gateway
from mcp_bridge.catalogue import About, Catalogue, Contents
from mcp_bridge.catalogues import Catalogues
from mcp_bridge.names import joined_names
from mcp_bridge.offered import MAX_INSTRUCTIONS, report, version
from mcp_bridge.options import ServiceOptions, toolsets_of
from mcp_bridge.origins import Origin
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import SCHEME, Resource, ResourceTable, Template
from mcp_bridge.text import cut, encodable
from mcp_bridge.tools import FUNCTION_KEY, Tool
from schema.errors import GatewayError
from schema.identity import Caller
from schema.ids import ANY, ServiceId
from schema.services import BUILT_IN, ServiceInfo

logger = logging.getLogger(__name__)

SERVICE_KEY: Final = "polyport/service"
ASK_SECONDS: Final = 5.0
"""What a service may take to say what it offers, before the others are shown without it."""
MAX_WORKSPACES: Final = 200
MAX_KEPT: Final = 16
"""Catalogues of one workspace: callers who see different services have different ones."""
_MAX_GROUP: Final = 120


@dataclass(frozen=True, slots=True)
class Part:
    """One service and what it offers."""

    service: ServiceInfo
    catalogue: Catalogue

    @property
    def name(self) -> str:
        return self.service.id.service_id


@dataclass(slots=True)
class _Kept:
    version: int
    config: Mapping[str, Any]
    catalogues: dict[tuple[int, ...], tuple[Catalogue, Sequence[Part]]] = field(
        default_factory=dict
    )


class WorkspaceCatalogues:
    """See the module."""

    def __init__(self, gateway: Gateway, catalogues: Catalogues) -> None:
        self._gateway = gateway
        self._catalogues = catalogues
        self._kept: dict[str, _Kept] = {}

    async def of(self, caller: Caller, workspace: str) -> Catalogue:
        """What the caller may use there. Raises WorkspaceNotFound."""
        listed = await self._gateway.list_services(caller, workspace)
        services = [service for service in listed if service.id.service_id != BUILT_IN]
        catalogues = await self._all(caller, services)
        kept = self._kept_of(workspace)
        # By identity: whoever is kept here is alive, so no other can have its identity.
        key = tuple(id(catalogue) for catalogue in catalogues if catalogue is not None)
        found = kept.catalogues.get(key)
        if found is None:
            while len(kept.catalogues) >= MAX_KEPT:
                kept.catalogues.pop(next(iter(kept.catalogues)))
            both = zip(services, catalogues, strict=True)
            parts = [
                Part(service, catalogue) for service, catalogue in both if catalogue is not None
            ]
            found = kept.catalogues[key] = (joined(workspace, parts, kept.config), parts)
        return found[0]

    def _kept_of(self, workspace: str) -> _Kept:
        number = self._gateway.workspace_version(workspace)
        config = self._gateway.workspace_config(workspace)
        kept = self._kept.get(workspace)
        if kept is None or kept.version != number or kept.config is not config:
            self._kept.pop(workspace, None)
            while len(self._kept) >= MAX_WORKSPACES:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[workspace] = _Kept(number, config)
        return kept

    async def _all(
        self, caller: Caller, services: Sequence[ServiceInfo]
    ) -> Sequence[Catalogue | None]:
        """The catalogue of each service; None where it cannot be had."""
        found = [self._catalogues.at_hand(service) for service in services]
        missing = [index for index, catalogue in enumerate(found) if catalogue is None]
        if missing:  # hardly ever
            making = (self._make(caller, services[index]) for index in missing)
            for index, made in zip(missing, await asyncio.gather(*making), strict=True):
                found[index] = made
        return found

    async def _make(self, caller: Caller, service: ServiceInfo) -> Catalogue | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._catalogues.of(caller, service)
        except (GatewayError, TimeoutError) as error:
            logger.info("mcp_service_left_out service=%s reason=%r", service.id, str(error)[:200])
            return None


def standing_for(workspace: str, service_id: str) -> ServiceInfo:
    """What stands for all services of a workspace where one is expected."""
    return ServiceInfo(ServiceId(workspace, ANY, service_id), workspace)


def joined(workspace: str, parts: Sequence[Part], config: Mapping[str, Any]) -> Catalogue:
    """One catalogue of all parts; ``config`` is the workspace's own. Pure."""
    tools, omitted = _tools(parts)
    contents = Contents(
        tools=tools,
        resources=_resources(parts),
        prompts=_prompts(parts),
        toolsets=_toolsets(parts, tools, toolsets_of(config)),
        pinned=_pinned(parts, tools),
    )
    report(workspace, omitted, tools)
    name = encodable(workspace)
    about = About({"name": name, "version": version()}, _instructions(name, parts))
    catalogue = Catalogue(about, contents)
    catalogue.usual_mode = "auto"
    return catalogue


def _tools(parts: Sequence[Part]) -> tuple[dict[str, Tool], dict[str, str]]:
    """The tools of all services by their names here, and why some are left out."""
    offered: dict[tuple[str, str], tuple[Tool, list[ServiceInfo]]] = {}
    omitted: dict[str, str] = {}
    for part in parts:
        for name, tool in part.catalogue.tools.items():
            first, services = offered.setdefault((part.name, name), (tool, []))
            if first.definition == tool.definition:
                services.append(part.service)
            else:
                where = f"{part.service.id}.{tool.function}"
                omitted[where] = f"{services[0].id} offers another function of that name"
    names = joined_names(offered)
    tools: dict[str, Tool] = {}
    for pair, (tool, services) in offered.items():
        if pair in names:
            tools[names[pair]] = _renamed(tool, names[pair], pair[0], services)
        else:
            omitted[".".join(pair)] = "its tool name is taken"
    return tools, omitted


def _renamed(tool: Tool, name: str, service: str, services: Sequence[ServiceInfo]) -> Tool:
    meta = {**tool.definition.get("_meta", {}), SERVICE_KEY: encodable(service)}
    meta.setdefault(FUNCTION_KEY, encodable(tool.function))
    definition = {**tool.definition, "name": name, "_meta": meta}
    definition.setdefault("title", encodable(tool.function))
    return replace(tool, name=name, definition=definition, origin=Origin(tuple(services)))


def _resources(parts: Sequence[Part]) -> ResourceTable:
    """Addresses stay as they are, but those that several services have."""
    by_address: dict[str, list[tuple[Part, Resource]]] = {}
    by_template: dict[str, list[tuple[Part, Template]]] = {}
    for part in _distinct(parts):
        for uri, resource in part.catalogue.resources.resources.items():
            by_address.setdefault(uri, []).append((part, resource))
        for template in part.catalogue.resources.templates:
            uri = str(template.definition["uriTemplate"])
            by_template.setdefault(uri, []).append((part, template))
    resources: dict[str, Resource] = {}
    for uri, found in by_address.items():
        for part, resource in found:
            prefix = _prefix(part) if len(found) > 1 else ""
            source = replace(resource.source, origin=Origin((part.service,), prefix))
            definition = {**resource.definition, "uri": prefix + uri}
            resources[prefix + uri] = Resource(definition, source)
    templates = []
    for uri, choices in by_template.items():
        for part, template in choices:
            prefix = _prefix(part) if len(choices) > 1 else ""
            source = replace(template.source, origin=Origin((part.service,), prefix))
            definition = {**template.definition, "uriTemplate": prefix + uri}
            templates.append(Template.of(definition, source))
    return ResourceTable(resources, tuple(templates))


def _prefix(part: Part) -> str:
    return f"{SCHEME}://{quote(encodable(part.name), safe='')}/at/"


def _prompts(parts: Sequence[Part]) -> dict[str, Prompt]:
    offered = {
        (part.name, name): (part.service, prompt)
        for part in _distinct(parts)
        for name, prompt in part.catalogue.prompts.items()
    }
    prompts: dict[str, Prompt] = {}
    for pair, name in joined_names(offered).items():
        service, prompt = offered[pair]
        definition: dict[str, Any] = {"title": pair[1], **prompt.definition, "name": name}
        origin = Origin((service,), name=pair[1])
        prompts[name] = Prompt(definition, replace(prompt.source, origin=origin), prompt.choices)
    return prompts


def _distinct(parts: Sequence[Part]) -> Iterator[Part]:
    """One part of each service, the first, whoever else offers it as well; in their order."""
    first: dict[str, Part] = {}
    for part in parts:
        first.setdefault(part.name, part)
    yield from first.values()


def _toolsets(
    parts: Sequence[Part], tools: Mapping[str, Tool], named: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """The sets that the services name, those that whole services are in, and those that the
    workspace names (``named``): of services, of tools by their names here, or ``service/function``.
    """
    here = {(_service_of(tool), tool.function): name for name, tool in tools.items()}
    sets: dict[str, set[str]] = {}
    for part in _distinct(parts):
        name, own = part.name, part.catalogue.tools
        for label, members in part.catalogue.contents.toolsets.items():
            found = (here.get((name, own[member].function)) for member in members)
            sets.setdefault(label, set()).update(each for each in found if each)
        for label in ServiceOptions.of(part.service).groups:
            found = (here.get((name, tool.function)) for tool in own.values())
            sets.setdefault(label, set()).update(each for each in found if each)
    for label, members in named.items():
        meant = (name for name, tool in tools.items() if members & _words_for(name, tool))
        sets.setdefault(label, set()).update(meant)
    return {label: frozenset(members) for label, members in sets.items()}


def _words_for(name: str, tool: Tool) -> set[str]:
    """What a tool can be called by in a set of the workspace."""
    service = _service_of(tool)
    return {name, service, f"{service}/{tool.function}"}


def _service_of(tool: Tool) -> str:
    return tool.origin.services[0].id.service_id


def _pinned(parts: Sequence[Part], tools: Mapping[str, Tool]) -> frozenset[str]:
    pinned = {
        (part.name, part.catalogue.tools[name].function)
        for part in _distinct(parts)
        for name in part.catalogue.contents.pinned
    }
    return frozenset(n for n, tool in tools.items() if (_service_of(tool), tool.function) in pinned)


def _instructions(workspace: str, parts: Sequence[Part]) -> str:
    lines = [f"The tools of the workspace {workspace}, each named <service>__<tool>. Services:"]
    for part in _distinct(parts):
        about = (part.service.description or part.service.name or "").strip().partition("\n")[0]
        lines.append(f"- {encodable(part.name)}: {cut(encodable(about), _MAX_GROUP)}")
    return cut("\n".join(lines), MAX_INSTRUCTIONS)
