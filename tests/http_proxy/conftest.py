"""The HTTP door over a gateway in memory that offers one public service, ``calc``, and friends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.extensions import ExtensionContext
from gateway.settings import Settings
from gateway.testing import FakeGateway
from http_proxy import create

MAX_BODY = 64 * 1024
MAX_RESPONSE = 10 * 1024 * 1024


def add(a: Any, b: Any) -> Any:
    return a + b


def echo(*args: Any, **kwargs: Any) -> Any:
    return {"args": list(args), "kwargs": kwargs}


def identity(value: Any = None) -> Any:
    return value


async def later(value: Any = None) -> Any:
    return value


@pytest.fixture
def gateway() -> FakeGateway:
    gateway = FakeGateway()
    gateway.add_service(
        "ws-lab/worker:calc",
        {
            "add": add,
            "echo": echo,
            "identity": identity,
            "later": later,
            "pi": 3.14,
            "zero": 0,
            "nothing": None,
            "no": False,
            "empty": "",
            "settings": {"depth": {"value": 7}},
            "ns": {"deep": {"f": add}},
            "items": [add, "second"],
        },
        visibility="public",
    )
    gateway.add_service("ws-lab/worker:private", {"add": add})
    gateway.add_service("ws-lab/worker:hidden", {"add": add}, visibility="unlisted")
    gateway.add_token("good", "alice", {"ws-lab": "a"})
    return gateway


@pytest.fixture
def app(gateway: FakeGateway) -> Starlette:
    settings = Settings(max_body_bytes=MAX_BODY, max_response_bytes=MAX_RESPONSE)
    return Starlette(routes=create(ExtensionContext(gateway, settings)))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
