"""The catalogues of the services that are in use: made once per registration.

A registration is immutable and a new one is a new object, so a catalogue is kept by its identity
and goes with it. What a service says by functions can change at any time; it is asked again after
a moment.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from gateway.api import Gateway
from mcp_bridge import content
from mcp_bridge.catalogue import Catalogue
from mcp_bridge.declared import (
    Declared,
    answering,
    declares,
    from_object,
    listed_tool,
    lists,
)
from mcp_bridge.offered import catalogue_of
from mcp_bridge.prompts import Prompt
from mcp_bridge.resources import Resource, ResourceTable, Source, Template
from schema.identity import Caller
from schema.services import ServiceInfo

FRESH_SECONDS: Final = 2.0
"""How long the answers of a service that lists by functions are good for."""

_NONE: Final = (None, 0.0)


class Catalogues:
    """See the module."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._kept: WeakKeyDictionary[ServiceInfo, tuple[Catalogue, float]] = WeakKeyDictionary()
        """With the time up to which it is good."""

    async def of(self, caller: Caller, service: ServiceInfo) -> Catalogue:
        """Raises what reading or calling the service raises, if it has to be asked."""
        catalogue = self.at_hand(service)
        if catalogue is not None:
            return catalogue
        declared, until = None, math.inf
        if lists(service):
            declared = await self._ask(caller, service)
            until = time.monotonic() + FRESH_SECONDS
        elif declares(service):
            declared = from_object(service, await self._gateway.read(caller, service))
        catalogue = catalogue_of(service, declared)
        self._kept[service] = (catalogue, until)
        return catalogue

    def at_hand(self, service: ServiceInfo) -> Catalogue | None:
        """The catalogue of a service that need not be asked; None if it has to be made."""
        catalogue, until = self._kept.get(service, _NONE)
        return catalogue if time.monotonic() < until else None

    async def _ask(self, caller: Caller, service: ServiceInfo) -> Declared:
        """What a service answers that lists by functions."""
        asked = answering(service)

        async def ask(function: str, key: str) -> list[Mapping[str, Any]]:
            if function not in asked:
                return []
            answer = content.opened(await self._gateway.call(caller, service, function))
            entries = answer.get(key) if isinstance(answer, Mapping) else answer
            return [e for e in entries if isinstance(e, Mapping)] if entries else []

        tools, resources, templates, prompts = await asyncio.gather(
            ask("list_tools", "tools"),
            ask("list_resources", "resources"),
            ask("list_resource_templates", "resourceTemplates"),
            ask("list_prompts", "prompts"),
        )
        found = (listed_tool(content.named(tool)) for tool in tools)
        return Declared(
            tools=tuple(tool for tool in found if tool is not None),
            resources=_listed_resources(resources, templates),
            prompts=_listed_prompts(prompts),
            via="call_tool" if "call_tool" in asked else None,
            answering=asked,
        )


def _listed_resources(
    resources: list[Mapping[str, Any]], templates: list[Mapping[str, Any]]
) -> ResourceTable:
    source = Source("read_resource", is_function=True, parameters=("uri",))
    listed = (content.named(entry) for entry in resources)
    families = (content.named(entry) for entry in templates)
    return ResourceTable(
        {e["uri"]: Resource(_with_name(e, e["uri"]), source) for e in listed if _has(e, "uri")},
        tuple(
            Template.of(_with_name(e, e["uriTemplate"]), source)
            for e in families
            if _has(e, "uriTemplate")
        ),
    )


def _listed_prompts(prompts: list[Mapping[str, Any]]) -> tuple[Prompt, ...]:
    source = Source("get_prompt", is_function=True, parameters=("name", "arguments"))
    named = (content.named(entry) for entry in prompts)
    return tuple(Prompt(entry, source, {}) for entry in named if _has(entry, "name"))


def _has(entry: Mapping[str, Any], key: str) -> bool:
    return isinstance(entry.get(key), str) and bool(entry[key])


def _with_name(entry: Mapping[str, Any], usual: str) -> dict[str, Any]:
    return {"name": usual, **entry}
