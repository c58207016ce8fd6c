"""Services of type ``asgi``, over HTTP: what the application sees, and what its client gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.testing import FakeGateway
from http_proxy.apps import exchange
from schema.errors import ProviderGone
from tests.http_proxy.asgi import Exchange
from tests.patience import PATIENCE_SECONDS

URL = "/ws-lab/apps/web"

Serve = Callable[[dict[str, Any]], Awaitable[None]]
Offer = Callable[..., None]


@pytest.fixture
def offer(gateway: FakeGateway) -> Offer:
    """Offer an application as ``ws-lab/web``."""

    def offer(serve: Serve, **config: Any) -> None:
        gateway.add_service(
            "ws-lab/worker:web",
            {"serve": serve},
            type="asgi",
            config={"visibility": "public", **config},
        )

    return offer


async def respond(args: dict[str, Any], body: bytes = b"", status: int = 200, **more: Any) -> None:
    start = {"type": "http.response.start", "status": status, "headers": [], **more}
    await args["send"](start)
    await args["send"]({"type": "http.response.body", "body": body})


async def test_the_application_sees_the_request(client: httpx.AsyncClient, offer: Offer) -> None:
    seen: dict[str, Any] = {}

    async def serve(args: dict[str, Any]) -> None:
        seen.update(args["scope"])
        await respond(args)

    offer(serve)
    answer = await client.patch(
        f"{URL}/caf%C3%A9/x?flag&a=b=c&_mode=first",
        headers={"authorization": "Bearer good", "cookie": "a=1; access_token=secret; b=2"},
    )
    assert answer.status_code == 200
    headers = seen.pop("headers")
    assert [b"authorization", b"Bearer good"] in [list(pair) for pair in headers]
    assert [b"cookie", b"a=1; b=2"] in [list(pair) for pair in headers]
    assert seen.pop("asgi")["spec_version"] == "2.3"
    assert seen == {
        "type": "http",
        "http_version": "1.1",
        "method": "PATCH",
        "scheme": "http",
        "path": "/café/x",
        "raw_path": b"/caf%C3%A9/x",
        "root_path": "",
        "query_string": b"flag&a=b=c&_mode=first",
        "client": ["127.0.0.1", 123],
        "server": ["test", None],
        "workspace": "ws-lab",
        "service_id": "web",
    }


async def test_options_of_a_service_change_what_it_sees(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    seen: dict[str, Any] = {}

    async def serve(args: dict[str, Any]) -> None:
        seen.update(args["scope"])
        await respond(args)

    offer(serve, root_path=True, strip_authorization=True)
    await client.get(f"{URL}/docs", headers={"authorization": "Bearer good"})
    assert (seen["root_path"], seen["path"]) == ("/ws-lab/apps/web", "/ws-lab/apps/web/docs")
    assert seen["raw_path"] == b"/ws-lab/apps/web/docs"
    assert b"authorization" not in [pair[0] for pair in seen["headers"]]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_every_method_reaches_the_application_and_its_headers_come_back_as_they_are(
    client: httpx.AsyncClient, offer: Offer, method: str
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        headers = [(b"set-cookie", b"a=1"), ("set-cookie", "b=2"), (b"connection", b"close")]
        await respond(args, args["scope"]["method"].encode(), 207, headers=headers)

    offer(serve)
    answer = await client.request(method, f"{URL}/")
    assert (answer.status_code, answer.text) == (207, "" if method == "HEAD" else method)
    assert answer.headers.multi_items() == [("set-cookie", "a=1"), ("set-cookie", "b=2")]


OF_THE_ORIGIN = [
    ("set-cookie", "access_token=stolen; Path=/"),
    ("Set-Cookie", " access_token = stolen"),
    ("service-worker-allowed", "/"),
    ("clear-site-data", '"*"'),
    ("strict-transport-security", "max-age=1"),
    ("report-to", "{}"),
    ("nel", "{}"),
    ("alt-svc", 'h2=":1"'),
]


async def test_a_site_does_not_speak_for_the_whole_origin_unless_it_is_the_operators(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await respond(args, headers=[*OF_THE_ORIGIN, ("set-cookie", "my_access_token=1")])

    def index(event: Any) -> dict[str, Any]:
        return {"headers": dict(OF_THE_ORIGIN), "body": "x"}

    for workspace in ("ws-lab", "public"):
        more = {"config": {"visibility": "public"}}
        gateway.add_service(f"{workspace}/w:site", {"serve": serve}, type="asgi", **more)
        gateway.add_service(f"{workspace}/w:pages", {"index": index}, type="functions", **more)
    site = (await client.get("/ws-lab/apps/site/")).headers
    assert site.multi_items() == [("set-cookie", "my_access_token=1")]
    pages = (await client.get("/ws-lab/apps/pages/")).headers
    own = {name.lower() for name, _ in OF_THE_ORIGIN}
    assert own.isdisjoint(pages)
    for name in ("site", "pages"):
        client.cookies.clear()
        assert own <= (await client.get(f"/public/apps/{name}/")).headers.keys()


async def test_bodies_are_passed_on_part_by_part_in_both_directions(
    app: Starlette, offer: Offer
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await args["send"]({"type": "http.response.start", "status": 200})
        more = True
        while more:
            message = await args["receive"]()
            more = message["more_body"]
            part = {"body": message["body"].upper(), "more_body": more}
            await args["send"]({"type": "http.response.body", **part})
        assert (await args["receive"]())["type"] == "http.disconnect"

    offer(serve)
    async with Exchange(app, f"{URL}/", method="POST", parts=(b"one", b"two", b"")) as request:
        assert (await request.start())[0] == 200
        assert [await request.part() for _ in range(3)] == [b"ONE", b"TWO", b""]
        await request.finished()


async def test_not_more_than_two_parts_are_read_ahead(app: Starlette, offer: Offer) -> None:
    called, go_on = asyncio.Event(), asyncio.Event()

    async def serve(args: dict[str, Any]) -> None:
        called.set()
        await go_on.wait()
        while (await args["receive"]())["more_body"]:
            pass
        await respond(args)

    offer(serve)
    parts = tuple(b"%d" % n for n in range(50))
    async with Exchange(app, f"{URL}/", method="PUT", parts=parts) as request:
        await called.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert request.received_by_app <= exchange.READ_AHEAD + 2
        go_on.set()
        assert (await request.start())[0] == 200


async def test_a_slow_reader_slows_the_application(app: Starlette, offer: Offer) -> None:
    sent = 0

    async def serve(args: dict[str, Any]) -> None:
        nonlocal sent
        await args["send"]({"type": "http.response.start", "status": 200})
        for _ in range(100):
            await args["send"]({"type": "http.response.body", "body": b"x", "more_body": True})
            sent += 1

    offer(serve)
    async with Exchange(app, f"{URL}/") as request:
        request.reading.clear()
        await request.blocked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == 0
        request.reading.set()
        await request.start()
        assert len(await request.rest()) == 100


async def test_messages_that_are_not_waited_for_are_all_written_in_order(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        send = args["send"]
        messages = [{"type": "http.response.start", "status": 200}]
        messages += [{"type": "http.response.body", "body": b"%d," % n, "more_body": n < 99}
                     for n in range(100)]  # fmt: skip
        serve.tasks = [asyncio.ensure_future(send(m)) for m in messages]  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    offer(serve)
    answer = await client.get(f"{URL}/")
    assert answer.text == "".join(f"{n}," for n in range(100))


async def test_when_the_client_leaves_receive_says_so_and_send_fails(
    app: Starlette, offer: Offer
) -> None:
    started, outcome = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve(args: dict[str, Any]) -> None:
        await args["send"]({"type": "http.response.start", "status": 200})
        await args["receive"]()
        started.set()
        message = await args["receive"]()
        try:
            await args["send"]({"type": "http.response.body", "body": b"x"})
        except exchange.ClientLeft as error:
            outcome.set_result((message, error.message))
            raise

    offer(serve)
    async with Exchange(app, f"{URL}/") as request:
        await started.wait()
        request.disconnect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await outcome == ({"type": "http.disconnect"}, "The client has disconnected")
        await request.finished()


async def test_a_program_that_goes_on_without_its_client_is_given_up(
    app: Starlette, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LEAVE_SECONDS", 0.01)
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(args: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    offer(serve)
    async with Exchange(app, f"{URL}/") as request:
        await started.wait()
        request.disconnect()
        await request.finished()
    assert cancelled.is_set()


async def test_an_application_that_fails_is_answered_for(
    client: httpx.AsyncClient, offer: Offer
) -> None:
    async def fail(args: dict[str, Any]) -> None:
        raise ValueError("bad thing")

    offer(fail)
    answer = await client.get(f"{URL}/")
    assert (answer.status_code, answer.json()["detail"]) == (400, "ValueError: bad thing")

    async def silent(args: dict[str, Any]) -> None: ...

    offer(silent)
    answer = await client.get(f"{URL}/")
    assert (answer.status_code, answer.json()["code"]) == (500, "service_error")

    async def gone(args: dict[str, Any]) -> None:
        raise ProviderGone("away")

    offer(gone)
    assert (await client.get(f"{URL}/")).status_code == 502


async def test_a_response_without_an_end_is_finished_unless_part_of_it_is_missing(
    app: Starlette, offer: Offer
) -> None:
    async def endless(args: dict[str, Any]) -> None:
        await args["send"]({"type": "http.response.start", "status": 200})
        await args["send"]({"type": "http.response.body", "body": b"all", "more_body": True})

    offer(endless)
    async with Exchange(app, f"{URL}/") as request:
        await request.start()
        assert await request.rest() == b"all"

    async def short(args: dict[str, Any]) -> None:
        headers = [(b"content-length", b"10")]
        await args["send"]({"type": "http.response.start", "status": 200, "headers": headers})
        await args["send"]({"type": "http.response.body", "body": b"part", "more_body": True})

    offer(short)
    async with Exchange(app, f"{URL}/") as request:
        await request.start()
        assert await request.part() == b"part"
        await request.finished()
        assert request.unread == 0


@pytest.mark.parametrize(
    "message",
    [
        None,
        {"type": "http.response.push"},
        {"type": "http.response.body"},
        {"type": "http.response.start", "status": 101},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")]},
        {"type": "http.response.start", "status": 200, "headers": [b"ab"]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", 5)]},
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused(
    client: httpx.AsyncClient, offer: Offer, message: Any
) -> None:
    async def serve(args: dict[str, Any]) -> None:
        await args["send"](message)

    offer(serve)
    answer = await client.get(f"{URL}/")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_the_anonymous_caller_is_in_the_workspace_of_the_url(
    client: httpx.AsyncClient, gateway: FakeGateway, offer: Offer
) -> None:
    offer(respond)
    await client.get(f"{URL}/")
    await client.get(f"{URL}/", headers={"authorization": "Bearer good"})
    callers = [call[0] for call in gateway.calls]
    assert [(c.user.id, c.workspace) for c in callers] == [
        ("anonymouz-http", "ws-lab"),
        ("alice", "ws-lab"),
    ]
    assert callers[0].user.scope.permission_on("ws-lab") is None


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/ws-lab/apps/nothing/", None, 404, "service_not_found"),
        ("/ws-lab/apps/calc/", None, 404, "service_not_found"),
        ("/ws-lab/apps/private/", None, 403, "permission_denied"),
        ("/ws-lab/apps/web/", "bad", 401, "unauthenticated"),
        ("/ws-lab/apps/a%2Ab/", None, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_reached_is_told(
    client: httpx.AsyncClient, offer: Offer, path: str, token: str | None, status: int, code: str
) -> None:
    offer(respond)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_root_without_a_slash_leads_to_the_one_with_it(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ws-lab/apps/worker:web?a=b%2F")
    assert answer.status_code == 307
    assert answer.headers["location"] == "./worker:web/?a=b%2F"


@pytest.mark.parametrize("path", ["/ws-lab/apps/private/", "/ws-lab/apps/nothing/x"])
async def test_a_preflight_is_answered_though_it_brings_no_credential(
    client: httpx.AsyncClient, path: str
) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "PUT"}
    asked["access-control-request-headers"] = "authorization"
    preflight = await client.options(path, headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    assert (await client.options(path)).status_code in (403, 404)
