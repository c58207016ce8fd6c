"""Web services: a FastAPI application and plain functions, offered by hypha-rpc clients, as
browsers and programs reach them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from hypha_rpc.utils.serve import register_asgi_service
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway, polled
from tests.patience import PATIENCE_SECONDS

MB = 1_000_000
CHUNK = 64 * 1024
CHUNKS = 320
MORE_MEMORY = 16 * MB


class Site:
    """The application, and what its endpoints have noticed."""

    def __init__(self) -> None:
        self.app = FastAPI(title="Behind NAT")
        self.next_event = asyncio.Event()
        self.stream_ended = asyncio.Event()
        self.sockets_closed: list[int] = []
        app = self.app

        @app.get("/hello")
        async def hello(name: str) -> dict[str, str]:
            return {"hello": name}

        @app.put("/size")
        async def size(request: Request) -> dict[str, int]:
            parts = [len(part) async for part in request.stream()]
            return {"bytes": sum(parts), "largest": max(parts)}

        @app.get("/zeros")
        async def zeros() -> StreamingResponse:
            async def chunks() -> AsyncIterator[bytes]:
                for _ in range(CHUNKS):
                    yield bytes(CHUNK)

            return StreamingResponse(chunks())

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def items() -> AsyncIterator[str]:
                try:
                    for n in range(1000):
                        yield f"data: {n}\n\n"
                        await self.next_event.wait()
                        self.next_event.clear()
                finally:
                    self.stream_ended.set()

            return StreamingResponse(items(), media_type="text/event-stream")

        @app.websocket("/chat")
        async def chat(socket: WebSocket) -> None:
            await socket.accept()
            try:
                while (text := await socket.receive_text()) != "bye":
                    await socket.send_text(f"{text}!")
                await socket.close(4000, "bye")
            except WebSocketDisconnect as gone:
                self.sockets_closed.append(gone.code)


@pytest.fixture
async def site(connect: Connect) -> AsyncIterator[tuple[Site, str]]:
    """The application, and the path that it is under."""
    provider, site = await connect(), Site()
    config = {"visibility": "public", "root_path": True}
    await register_asgi_service(provider, "site", site.app, config=config)
    yield site, f"/{provider.config.workspace}/apps/site"


def memory_of(gateway: Gateway) -> int:
    """The most that the gateway has used so far, in bytes."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def test_an_application_and_its_docs_page(
    site: tuple[Site, str], http: httpx.AsyncClient
) -> None:
    _, path = site
    assert (await http.get(f"{path}/hello?name=a=b&flag")).json() == {"hello": "a=b"}
    assert (await http.get(f"{path}/hello")).status_code == 422
    assert (await http.get(f"{path}/nothing")).json() == {"detail": "Not Found"}
    assert (await http.get(path, follow_redirects=True)).url.path == f"{path}/"

    page = await http.get(f"{path}/docs")
    document = re.search(r"url: '(.+?)'", page.text)
    assert document is not None
    described = (await http.get(document[1])).json()
    assert described["info"]["title"] == "Behind NAT"
    assert described["servers"] == [{"url": path}]
    assert (await http.get(f"{described['servers'][0]['url']}/hello?name=x")).status_code == 200


async def test_many_requests_at_the_same_time(
    site: tuple[Site, str], http: httpx.AsyncClient
) -> None:
    _, path = site
    answers = await asyncio.gather(*(http.get(f"{path}/hello?name={n}") for n in range(50)))
    assert [answer.json()["hello"] for answer in answers] == [str(n) for n in range(50)]


async def test_events_arrive_when_they_are_made_and_end_with_their_reader(
    site: tuple[Site, str], http: httpx.AsyncClient
) -> None:
    application, path = site
    async with http.stream("GET", f"{path}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        parts = answer.aiter_text()
        assert await anext(parts) == "data: 0\n\n"
        for n in range(1, 4):
            application.next_event.set()
            assert await anext(parts) == f"data: {n}\n\n"
    await application.stream_ended.wait()


async def test_uploads_and_downloads_pass_through_the_gateway(
    site: tuple[Site, str], http: httpx.AsyncClient, gateway: Gateway
) -> None:
    _, path = site
    assert (await http.put(f"{path}/size", content=b"warm")).json()["bytes"] == 4
    before = memory_of(gateway)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield bytes(CHUNK)

    answer = (await http.put(f"{path}/size", content=content())).json()
    assert answer["bytes"] == CHUNKS * CHUNK
    assert answer["largest"] < MB
    received = 0
    async with http.stream("GET", f"{path}/zeros") as download:
        async for part in download.aiter_raw():
            received += len(part)
    assert received == CHUNKS * CHUNK
    assert memory_of(gateway) - before < MORE_MEMORY


async def test_websockets_reach_the_application(site: tuple[Site, str], gateway: Gateway) -> None:
    application, path = site
    url = gateway.url.replace("http://", "ws://") + path
    async with connect_websocket(f"{url}/chat") as socket:
        for text in ("hi", "x" * MB):
            await socket.send(text)
            assert await socket.recv() == f"{text}!"
    await asyncio.to_thread(polled, lambda: application.sockets_closed, PATIENCE_SECONDS)
    assert application.sockets_closed == [1000]
    async with connect_websocket(f"{url}/chat") as socket:
        await socket.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "bye")
    with pytest.raises(InvalidStatus) as refused:
        await connect_websocket(f"{url}-not-there/chat")
    assert refused.value.response.status_code == 404


async def test_an_application_that_disappears_is_answered_for(
    connect: Connect, http: httpx.AsyncClient
) -> None:
    provider, application = await connect(), Site()
    await register_asgi_service(provider, "site", application.app)
    path = f"/{provider.config.workspace}/apps/site"
    async with http.stream("GET", f"{path}/events") as answer:
        parts = answer.aiter_text()
        await anext(parts)
        await provider.disconnect()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(parts)
    assert (await http.get(f"{path}/hello?name=x")).status_code == 404


async def test_functions_answer_by_path(connect: Connect, http: httpx.AsyncClient) -> None:
    provider = await connect()

    def page(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        headers = {"Content-Type": "text/html; charset=utf-8"}
        return {"status": 200, "headers": headers, "body": f"<p>{event['query_string']}</p>"}

    async def who(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        return {"user": event["user"]["id"], "ws": context["ws"], "size": len(event["body"])}

    await provider.register_service(
        {
            "id": "fns",
            "type": "functions",
            "config": {"visibility": "public", "require_context": True},
            "index": page,
            "api": {"who": who},
            "default": lambda event, context=None: {"body": event["function_path"]},
        }
    )
    workspace = provider.config.workspace
    path = f"/{workspace}/apps/fns"
    assert (await http.get(f"{path}/?a=b=c&d")).text == "<p>a=b=c&d</p>"
    posted = await http.post(f"{path}/api/who", content=bytes(MB))
    assert posted.json() == {"user": "anonymouz-http", "ws": workspace, "size": MB}
    assert (await http.get(f"{path}/x/y.css")).text == "/x/y.css"


async def test_the_login_page_is_a_web_service_like_any_other(http: httpx.AsyncClient) -> None:
    page = await http.get("/public/apps/hypha-login/?key=k")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    away = await http.get("/public/apps/hypha-login/profile")
    assert away.status_code == 307
    assert away.headers["location"].endswith("/public/apps/hypha-login/")
