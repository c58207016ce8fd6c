"""What the tests of the documents share: a service with a schema, and its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.testing import FakeGateway

NUMBER = {"type": "number"}
TWO = {
    "type": "object",
    "properties": {"a": {"type": "number", "description": "First"}, "b": {"type": "integer"}},
    "required": ["a"],
}


def function(parameters: Any = None, description: str = "Do it.") -> dict[str, Any]:
    declared = {"name": "f", "description": description}
    if parameters is not None:
        declared["parameters"] = parameters
    return {"type": "function", "function": declared}


def of(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return function({"type": "object", "properties": properties, **more})


class Offer:
    """Offers ``ws-lab/worker:typed``, again and again."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway

    def __call__(self, schema: Mapping[str, Any], **info: Any) -> None:
        info = {"visibility": "public", **info}
        self._gateway.add_service("ws-lab/worker:typed", {}, service_schema=schema, **info)


async def document(client: httpx.AsyncClient, path: str = "/ws-lab/services/typed") -> Any:
    """The document, once it is known to be valid."""
    answer = await client.get(f"{path}/openapi.json")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    OpenAPIV31SpecValidator(answer.json()).validate()
    return answer.json()
