"""What ``gateway.api.Gateway`` promises, asked of both implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.api import Credentials, Gateway
from gateway.app import Parts, build
from gateway.settings import Settings
from gateway.testing import FakeGateway
from schema.errors import (
    AmbiguousService,
    FunctionNotFound,
    InvalidRequest,
    PermissionDenied,
    ServiceError,
    ServiceNotFound,
    Unauthenticated,
    WorkspaceNotFound,
)
from schema.identity import Caller
from schema.services import ServiceInfo
from tests.gateway.peer import Peer
from tests.patience import PATIENCE_SECONDS


@dataclass
class Bench:
    """A gateway with one provider, and how to arrange the rest."""

    gateway: Gateway
    workspace: str
    offer: Callable[..., Any]
    withdraw: Callable[[str], Any]
    insider: Caller
    insider_token: str


def add(a: int, b: int) -> int:
    return a + b


async def wait_for(n: int) -> int:
    return n


def fail() -> None:
    raise ValueError("bad thing")


async def count(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


API: dict[str, Any] = {"add": add, "wait_for": wait_for, "fail": fail}


async def fake_bench() -> Bench:
    gateway = FakeGateway()
    workspace = "ws-lab"
    token_caller = gateway.add_token("insider", "ann", {workspace: "rw"})
    gateway.add_service(f"{workspace}/seed:seed", {})

    async def offer(client: str, service: str, functions: dict[str, Any], **config: Any) -> None:
        gateway.add_service(f"{workspace}/{client}:{service}", functions, config=config)

    async def withdraw(client: str) -> None:
        for service in await gateway.list_services(token_caller, workspace):
            if service.id.client_id == client:
                gateway.remove_service(str(service.id))

    return Bench(gateway, workspace, offer, withdraw, token_caller, "insider")


async def real_bench() -> Bench:
    parts: Parts = build(Settings(ephemeral=True))[0]
    owner = await Peer.join(parts, "owner")
    peers: dict[str, Peer] = {}
    token = await owner.manager("generate_token")

    async def offer(client: str, service: str, functions: dict[str, Any], **config: Any) -> None:
        if client not in peers:
            peers[client] = await Peer.join(parts, client, token=token)
        await peers[client].register(service, functions, config=config)

    async def withdraw(client: str) -> None:
        peers.pop(client).leave()

    insider = await parts.gateway.authenticate(Credentials(token))
    return Bench(parts.gateway, owner.workspace, offer, withdraw, insider, token)


@pytest.fixture(params=["fake", "real"])
async def bench(request: pytest.FixtureRequest) -> Bench:
    return await (fake_bench() if request.param == "fake" else real_bench())


async def anonymous(bench: Bench) -> Caller:
    return await bench.gateway.authenticate(Credentials())


async def test_a_function_is_called_by_position_and_by_name(bench: Bench) -> None:
    await bench.offer("p", "svc", API, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    assert await bench.gateway.call(caller, service, "add", (1, 2)) == 3
    assert await bench.gateway.call(caller, service, "add", (1,), {"b": 5}) == 6
    assert await bench.gateway.call(caller, service, "wait_for", (), {"n": 7}) == 7


async def test_a_function_that_raises_is_a_service_error_with_its_type(bench: Bench) -> None:
    await bench.offer("p", "svc", API, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "p:svc")
    with pytest.raises(ServiceError) as caught:
        await bench.gateway.call(caller, service, "fail")
    assert caught.value.remote_type == "ValueError"
    assert "bad thing" in caught.value.message


async def test_wrong_arguments_are_a_type_error_of_the_service(bench: Bench) -> None:
    await bench.offer("p", "svc", API, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    for kwargs in ({}, {"a": 1}, {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(ServiceError) as caught:
            await bench.gateway.call(caller, service, "add", (), kwargs)
        assert caught.value.remote_type == "TypeError"


async def test_finding_reports_what_is_missing_closed_or_ambiguous(bench: Bench) -> None:
    await bench.offer("p", "closed", API, visibility="protected")
    await bench.offer("p", "twice", API, visibility="public")
    await bench.offer("q", "twice", API, visibility="public")
    caller = await anonymous(bench)
    find = bench.gateway.find_service
    with pytest.raises(ServiceNotFound):
        await find(caller, bench.workspace, "nothing")
    with pytest.raises(ServiceNotFound):
        await find(caller, "ws-nowhere", "svc")
    with pytest.raises(PermissionDenied):
        await find(caller, bench.workspace, "closed")
    with pytest.raises(AmbiguousService):
        await find(caller, bench.workspace, "twice")
    with pytest.raises(InvalidRequest):
        await find(caller, bench.workspace, "a*b")
    assert (await find(caller, bench.workspace, "twice", mode="last")).id.client_id == "q"
    assert (await find(bench.insider, bench.workspace, "closed")).id.client_id == "p"


async def test_a_closed_service_cannot_be_called_with_an_entry_got_elsewhere(bench: Bench) -> None:
    await bench.offer("p", "closed", API, visibility="protected")
    service = await bench.gateway.find_service(bench.insider, bench.workspace, "closed")
    caller = await anonymous(bench)
    with pytest.raises(PermissionDenied):
        await bench.gateway.call(caller, service, "add", (1, 2))
    with pytest.raises(PermissionDenied):
        await bench.gateway.read(caller, service)


async def test_lists_show_what_the_caller_may_see(bench: Bench) -> None:
    for visibility in ("public", "protected", "unlisted"):
        await bench.offer("p", visibility, API, visibility=visibility)

    def names(services: list[ServiceInfo]) -> set[str]:
        return {s.id.service_id for s in services} - {"seed", "built-in"}

    caller = await anonymous(bench)
    assert names(await bench.gateway.list_services(caller, bench.workspace)) == {"public"}
    listed = await bench.gateway.list_services(bench.insider, bench.workspace)
    assert names(listed) == {"public", "protected"}
    with pytest.raises(WorkspaceNotFound):
        await bench.gateway.list_services(caller, "ws-nowhere")


async def test_a_bad_credential_is_refused_and_none_is_anonymous(bench: Bench) -> None:
    assert (await anonymous(bench)).user.is_anonymous
    insider = await bench.gateway.authenticate(Credentials(bench.insider_token))
    assert insider.workspace == bench.workspace
    with pytest.raises(Unauthenticated):
        await bench.gateway.authenticate(Credentials("not-a-token"))


async def test_a_member_is_read_and_a_missing_one_is_told(bench: Bench) -> None:
    await bench.offer("p", "svc", API, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    assert await bench.gateway.read(caller, service, "add")
    with pytest.raises(FunctionNotFound):
        await bench.gateway.read(caller, service, "nothing.at.all")


async def test_a_service_that_has_gone_is_not_found_even_with_its_old_entry(bench: Bench) -> None:
    await bench.offer("p", "svc", API, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    await bench.withdraw("p")
    with pytest.raises(ServiceNotFound):
        await bench.gateway.call(caller, service, "add", (1, 2))


async def test_a_workspace_is_not_configured_unless_somebody_does_it(bench: Bench) -> None:
    first = bench.gateway.workspace_config(bench.workspace)
    assert first == {} == bench.gateway.workspace_config("ws-nowhere")
    assert bench.gateway.workspace_config(bench.workspace) is first


async def test_the_version_of_a_workspace_changes_with_its_services(bench: Bench) -> None:
    versions = [bench.gateway.workspace_version(bench.workspace)]
    await bench.offer("p", "svc", API, visibility="public")
    versions.append(bench.gateway.workspace_version(bench.workspace))
    await bench.withdraw("p")
    versions.append(bench.gateway.workspace_version(bench.workspace))
    assert len(set(versions)) == 3
    assert bench.gateway.workspace_version("ws-nowhere") == 0


async def test_a_watcher_hears_of_services_that_come_and_go_until_it_is_stopped(
    bench: Bench,
) -> None:
    heard: list[str] = []
    stop = bench.gateway.watch(bench.workspace, lambda s: heard.append(s.id.service_id))
    bench.gateway.watch("ws-nowhere", lambda _: heard.append("of another workspace"))
    await bench.offer("p", "svc", API, visibility="public")
    assert heard.count("svc") == 1
    await bench.offer("p", "svc", API, visibility="protected")
    assert heard.count("svc") >= 2  # the old registration may be told to have gone
    heard.clear()
    await bench.withdraw("p")
    assert heard.count("svc") == 1
    stop()
    stop()
    await bench.offer("p", "svc", API, visibility="public")
    assert heard.count("svc") == 1
    assert "of another workspace" not in heard


async def test_cancelling_the_caller_ends_the_call(bench: Bench) -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    await bench.offer("p", "svc", {"hang": hang}, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    calling = asyncio.create_task(bench.gateway.call(caller, service, "hang"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await started.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_functions_among_the_arguments_are_called_back_during_the_call(bench: Bench) -> None:
    heard: list[Any] = []

    async def tell(value: Any) -> Any:
        heard.append(value)
        return {"heard": value}

    async def use(by_position: Any, by_name: Any) -> list[Any]:
        return [await by_position["deep"][0]("first"), await by_name("second")]

    await bench.offer("p", "svc", {"use": use}, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    async with asyncio.timeout(PATIENCE_SECONDS):
        value = await bench.gateway.call(
            caller, service, "use", ({"deep": [tell]},), {"by_name": tell}
        )
    assert value == [{"heard": "first"}, {"heard": "second"}]
    assert heard == ["first", "second"]


async def test_calls_of_a_lent_function_start_in_order(bench: Bench) -> None:
    heard: list[int] = []
    all_heard = asyncio.Event()

    async def tell(n: int) -> None:
        heard.append(n)
        if n == 49:
            all_heard.set()
        await all_heard.wait()

    async def use(tell: Any) -> None:
        await asyncio.gather(*(tell(n) for n in range(50)))

    await bench.offer("p", "svc", {"use": use}, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await bench.gateway.call(caller, service, "use", (tell,))
    assert heard == list(range(50))


async def test_a_lent_function_expires_with_the_call(bench: Bench) -> None:
    kept: list[Any] = []
    failures: list[str] = []

    async def tell() -> None:
        raise AssertionError("called after the end")

    async def keep(function: Any) -> None:
        kept.append(function)

    async def use() -> None:
        try:
            await kept[0]()
        except Exception as error:  # noqa: BLE001 - each implementation has its own
            failures.append(str(error))

    await bench.offer("p", "svc", {"keep": keep, "use": use}, visibility="public")
    caller = await anonymous(bench)
    service = await bench.gateway.find_service(caller, bench.workspace, "svc")
    await bench.gateway.call(caller, service, "keep", (tell,))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await bench.gateway.call(caller, service, "use")
    assert len(failures) == 1
    assert "Method expired or not found" in failures[0]
