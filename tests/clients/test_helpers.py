"""What hypha-rpc makes of the server's functions: shortcuts that its users see first."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypha_rpc.sync
import pytest
from fastapi import FastAPI
from hypha_rpc import get_remote_service
from hypha_rpc.rpc import RemoteException
from hypha_rpc.utils.launch import launch_external_services
from hypha_rpc.utils.serve import register_asgi_service

from tests.clients.conftest import NODE, Connect
from tests.clients.gateways import Gateway
from tests.clients.programs import running
from tests.patience import PATIENCE_SECONDS

PUBLIC = {"visibility": "public"}
LAUNCHED = Path(__file__).parent / "scripts" / "offering_provider.py"


async def offer_sums(provider: Any) -> str:
    """Register a public service that adds, and return its path in a URL."""
    service = {"id": "sums", "config": PUBLIC, "add": lambda a, b: a + b}
    full: str = (await provider.register_service(service))["id"]
    return full.replace("/", "/services/", 1)


# A service by its URL


@pytest.mark.parametrize("form", ["exact", "any client", "with app"])
async def test_a_service_is_got_by_its_url(gateway: Gateway, connect: Connect, form: str) -> None:
    path = await offer_sums(await connect(client_id="adder"))
    if form == "any client":
        path = path.replace("adder:", "")
    elif form == "with app":
        path += "@*"
    url = f"{gateway.url}/{path}"
    async with get_remote_service(url) as service:
        assert await service.add(1, 2) == 3
        assert service.id.endswith("/adder:sums")
    connection = get_remote_service(url, {"method_timeout": 10})
    assert await (await connection).add(a=3, b=4) == 7
    await connection.wm.disconnect()


async def test_a_service_of_its_own_workspace_is_got_with_a_token(
    gateway: Gateway, connect: Connect
) -> None:
    provider = await connect()
    service = {"id": "own", "double": lambda number: number * 2}
    full = (await provider.register_service(service))["id"]
    url = f"{gateway.url}/{full.replace('/', '/services/', 1)}"
    async with get_remote_service(url, token=await provider.generate_token()) as found:
        assert await found.double(21) == 42
    stranger = get_remote_service(url)
    with pytest.raises(RemoteException, match="Permission denied"):
        await stranger
    await stranger.wm.disconnect()


def test_a_service_is_got_by_its_url_without_asyncio(gateway: Gateway) -> None:
    with hypha_rpc.sync.connect_to_server({"server_url": gateway.url}) as provider:
        service = {"id": "sums", "config": PUBLIC, "add": lambda a, b: a + b}
        full = provider.register_service(service)["id"]
        url = f"{gateway.url}/{full.replace('/', '/services/', 1)}"
        with hypha_rpc.sync.get_remote_service(url) as found:
            assert found.add(1, 2) == 3


async def test_a_service_is_got_by_its_url_in_javascript(
    node: tuple[str | Path, ...], gateway: Gateway, connect: Connect
) -> None:
    path = await offer_sums(await connect())
    url = f"{gateway.url}/{path}"
    async with running(*node, NODE / "remote.mjs", gateway.url, url) as program:
        assert await program.value() == {"id": path.replace("/services/", "/"), "sum": 3}
        assert await program.end() == 0


# Probes


async def test_probes_tell_the_state_of_their_program(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    ready = asyncio.Event()

    def readiness() -> dict[str, str]:
        if not ready.is_set():
            raise RuntimeError("still loading")
        return {"status": "ok"}

    async def liveness() -> dict[str, str]:
        return {"status": "ok"}

    program = await connect()
    await program.register_probes({"readiness": readiness, "liveness": liveness})
    url = f"/{program.config.workspace}/services/probes"

    async def states() -> list[int]:
        return [(await http.get(f"{url}/{n}")).status_code for n in ("readiness", "liveness")]

    assert await states() == [500, 200]
    assert (await http.get(f"{url}/readiness")).json()["detail"] == "RuntimeError: still loading"
    ready.set()
    assert await states() == [200, 200]
    assert (await http.get(f"{url}/readiness")).json() == {"status": "ok"}
    described = (await http.get(url)).json()
    assert (described["type"], set(described["service_schema"])) == (
        "probes",
        {"readiness", "liveness"},
    )

    await program.register_probes({"liveness": liveness})
    assert await states() == [404, 200]
    await program.disconnect()
    assert await states() == [404, 404]


# Programs and web applications


@pytest.fixture
def signals() -> Iterator[None]:
    """What the launcher does to the handlers of signals is undone, or Ctrl-C in a test run would
    end it as if all was well."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
async def test_a_program_is_launched_and_awaited(connect: Connect) -> None:
    server = await connect()
    process = await launch_external_services(
        server,
        f"{sys.executable} {LAUNCHED} {{server_url}} {{workspace}} {{token}}",
        check_services=["launched"],
        timeout=PATIENCE_SECONDS,
    )
    try:
        assert await (await server.get_service("launched")).double(4) == 8
    finally:
        await process.kill()


async def test_a_web_application_is_registered(connect: Connect) -> None:
    app = FastAPI()

    @app.get("/hello/{name}")
    def hello(name: str) -> str:
        return f"Hello {name}!"

    program, caller = await connect(), await connect()
    registered = await register_asgi_service(program, "web", app, service_name="Web")
    (listed,) = await caller.list_services({"workspace": program.config.workspace, "type": "asgi"})
    assert (listed["id"], listed["name"]) == (registered["id"], "Web")

    # What a server does that offers it under an address.
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/hello/Ada",
        "raw_path": b"/hello/Ada",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
    }
    request = {"type": "http.request", "body": b"", "more_body": False}
    web = await caller.get_service(registered["id"])
    await web.serve({"scope": scope, "receive": lambda: request, "send": sent.append})
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (200, b'"Hello Ada!"')


# Applications in the old sense: what a client exports


async def test_what_a_client_exports_is_its_app(connect: Connect) -> None:
    program = await connect(client_id="viewer")
    await program.export({"name": "Viewer", "config": PUBLIC, "show": lambda what: f"see {what}"})
    assert [app["id"] for app in await program.list_apps()] == [
        f"{program.config.workspace}/viewer:default"
    ]
    assert await (await program.get_app("viewer")).show("cells") == "see cells"

    stranger = await connect()
    assert await stranger.list_apps() == []
    (app,) = await stranger.list_apps(program.config.workspace)
    assert app["name"] == "Viewer"
    found = await stranger.get_app(f"{program.config.workspace}/viewer")
    assert await found.show("cells") == "see cells"


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_program_is_set_up_before_its_export_returns(
    connect: Connect, transport: str
) -> None:
    program = await connect(client_id="viewer", transport=transport)
    seen: list[Any] = []

    async def setup(context: Any = None) -> None:
        seen.append(context["user"]["id"])
        seen.append(await program.echo("asked of the gateway meanwhile"))

    await program.register_service(
        {"id": "default", "config": {"require_context": True}, "setup": setup}
    )
    assert seen == [program.config.user["id"], "asked of the gateway meanwhile"]


# Events


class Heard:
    """Events of some types, in order. ``next`` waits for one."""

    def __init__(self, client: Any, *types: str) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for type in types:
            client.on(type, self._hear)

    def _hear(self, event: dict[str, Any]) -> None:
        self.events.put_nowait((event["type"], event.get("data")))

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.events.get()


async def test_a_subscriber_hears_of_services_and_clients(
    connect: Connect, gateway: Gateway
) -> None:
    watcher = await connect()
    types = ["service_added", "service_removed", "client_connected", "client_disconnected"]
    heard = Heard(watcher, *types)
    await watcher.subscribe(types)
    token = await watcher.generate_token()
    workspace = watcher.config.workspace

    member = await connect(client_id="member", token=token)
    assert await heard.next() == (
        "client_connected",
        {"id": f"{workspace}/member", "workspace": workspace},
    )
    await member.register_service({"id": "sums", "type": "maths", "add": lambda a, b: a + b})
    kind, service = await heard.next()
    assert kind == "service_added"
    assert (service["id"], service["type"]) == (f"{workspace}/member:sums", "maths")
    await member.unregister_service("sums")
    kind, service = await heard.next()
    assert (kind, service["id"]) == ("service_removed", f"{workspace}/member:sums")
    await member.disconnect()
    assert await heard.next() == (
        "client_disconnected",
        {"id": "member", "workspace": workspace},
    )


async def test_clients_of_a_workspace_tell_each_other_news(connect: Connect) -> None:
    teller = await connect()
    token = await teller.generate_token()
    near, far = await connect(token=token), await connect()
    heard, unheard = Heard(near, "news"), Heard(far, "news")
    for client in (near, far):
        await client.subscribe("news")
    for number in range(3):
        await teller.emit({"type": "news", "to": "*", "data": {"number": number}})
    for number in range(3):
        assert await heard.next() == ("news", {"number": number})

    await near.unsubscribe("news")
    await teller.emit({"type": "news", "to": "*", "data": "too late"})
    # What is answered after the news was sent comes after it, if it comes.
    for client in (teller, near, far):
        await client.echo("!")
    assert heard.events.empty()
    assert unheard.events.empty()
