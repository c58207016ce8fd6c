"""hypha-rpc for Python without ``await``: ``hypha_rpc.sync``, and both kinds together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypha_rpc.sync import connect_to_server

from tests.clients.gateways import Gateway


@pytest.fixture
def provider(gateway: Gateway) -> Iterator[Any]:
    with connect_to_server({"server_url": gateway.url}) as server:
        yield server


@pytest.fixture
def caller(gateway: Gateway) -> Iterator[Any]:
    with connect_to_server({"server_url": gateway.url}) as server:
        yield server


def offer(provider: Any, **functions: Any) -> str:
    """Register a public service and return its full id."""
    config = {"visibility": "public"}
    service = provider.register_service({"id": "offer", "config": config, **functions})
    return str(service["id"])


def test_a_service_is_registered_listed_found_and_called(provider: Any, caller: Any) -> None:
    def add(a: int, b: int = 10) -> int:
        return a + b

    full = offer(provider, add=add, deep={"add": add})
    workspace = provider.config.workspace
    assert [s["id"] for s in caller.list_services({"workspace": workspace})] == [full]
    service = caller.get_service(full)
    assert service.add(1) == 11
    assert service.add(1, b=2) == 3
    assert service.deep.add(a=2, b=2) == 4


def test_an_exception_reaches_the_caller(provider: Any, caller: Any) -> None:
    def fail() -> None:
        raise LookupError("no such colour")

    service = caller.get_service(offer(provider, fail=fail))
    with pytest.raises(Exception, match="LookupError: no such colour"):
        service.fail()


def test_a_callback_is_called_back(provider: Any, caller: Any) -> None:
    seen: list[int] = []

    def count_to(n: int, tell: Any) -> int:
        for i in range(n):
            tell(i)
        return n

    service = caller.get_service(offer(provider, count_to=count_to))
    assert service.count_to(3, seen.append) == 3
    assert seen == [0, 1, 2]


def test_a_generator_is_read_with_a_plain_loop(provider: Any, caller: Any) -> None:
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    service = caller.get_service(offer(provider, count=count))
    assert list(service.count(4)) == [0, 1, 2, 3]


def test_arrays_and_long_bytes_go_there_and_back(provider: Any, caller: Any) -> None:
    service = caller.get_service(offer(provider, echo=lambda data: data))
    array = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(service.echo(array), array)
    data = bytes(3_000_000)
    assert service.echo(data) == data


def test_an_unregistered_service_is_gone(provider: Any, caller: Any) -> None:
    full = offer(provider, answer=42)
    assert caller.get_service(full).answer == 42
    provider.unregister_service("offer")
    with pytest.raises(Exception, match="Service not found"):
        caller.get_service(full)
