"""The HTTP transport of hypha-rpc, driven message by message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest
from starlette.types import ASGIApp

from gateway.app import Parts, build
from gateway.settings import Settings
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer
from tests.gateway.transports.stream_client import Reply, StreamClient, replied, settled
from tests.http_proxy.asgi import Exchange

Client = Callable[..., StreamClient]
OK = Reply(200, None)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        ephemeral=True,
        http_ping_seconds=60,
        http_reconnect_grace_seconds=60,
        reconnect_gap_seconds=0,
    )


@pytest.fixture
def built(settings: Settings) -> tuple[Parts, ASGIApp]:
    parts, routes = build(settings)
    return parts, next(route.app for route in routes if route.path == "/rpc")


@pytest.fixture
def parts(built: tuple[Parts, ASGIApp]) -> Parts:
    return built[0]


@pytest.fixture
async def client(built: tuple[Parts, ASGIApp]) -> AsyncIterator[Client]:
    clients: list[StreamClient] = []

    def make(client_id: str | None = None, **options: Any) -> StreamClient:
        clients.append(StreamClient(built[1], client_id, **options))
        return clients[-1]

    yield make
    for each in clients:
        await each.__aexit__()


def token_for(parts: Parts, user_id: str = "ann", seconds: float = 60, **scope: Any) -> str:
    return parts.tokens.issue(User(user_id, scope=Scope(**scope)), expires_in_seconds=seconds)


def call(to: str, method: str = "services.svc.f", **more: Any) -> dict[str, Any]:
    return {"type": "method", "to": to, "method": method, **more}


# The stream


async def test_the_first_message_is_what_a_websocket_client_is_told(
    parts: Parts, client: Client
) -> None:
    me = await client("me", token=token_for(parts)).open()
    session = parts.router.get(me.address)
    assert session is not None
    expected = parts.hub.connection_info(session)
    assert {**me.info, "reconnection_token": ""} == {**expected, "reconnection_token": ""}
    assert me.info["reconnection_token"].count(".") == 2
    assert me.headers == {
        "content-type": "application/x-msgpack-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "access-control-allow-origin": "*",
    }


async def test_replies_and_messages_of_others_come_on_the_stream(
    parts: Parts, client: Client
) -> None:
    me, peer = await client().open(), await Peer.join(parts)
    assert await me.manager("echo", {"deep": [1, None, b"\xff"]}) == {"deep": [1, None, b"\xff"]}
    peer.send(call(me.address), {"args": [1]})
    header, body = await me.message()
    assert (header["from"], header["method"], body) == (
        peer.address,
        "services.svc.f",
        {"args": [1]},
    )
    await peer.register("svc", {"f": lambda n: n + 1})
    assert await me.call(peer.address, "services.svc.f", 1) == 2
    assert peer.contexts[-1]["user"] == me.info["user"]


async def test_control_messages_are_answered_on_the_stream(parts: Parts, client: Client) -> None:
    me = await client("me").open()
    assert await me.post({"type": "ping"}) == OK
    assert await me.message() == ({"type": "pong"}, {})
    assert await me.post({"type": "refresh_token"}) == OK
    header, _ = await me.message()
    assert header.keys() == {"type", "reconnection_token"}
    me.line.disconnect()
    again = await client("me").open(reconnection_token=header["reconnection_token"])
    assert again.address == me.address


async def test_anonymous_clients_have_a_user_and_a_workspace_each(client: Client) -> None:
    one, other = await client("same").open(), await client("same").open()
    assert one.workspace != other.workspace
    assert one.info["user"]["id"] != other.info["user"]["id"]


class TestAnIdleStream:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(ephemeral=True, http_ping_seconds=0.01)

    async def test_is_kept_alive(self, client: Client) -> None:
        me = await client().open()
        assert [await me.message() for _ in range(3)] == [({"type": "ping"}, {})] * 3

    async def test_is_not_filled_with_pings_that_nobody_reads(
        self, parts: Parts, client: Client
    ) -> None:
        me = await client().open()
        session = parts.router.get(me.address)
        assert session is not None
        me.line.reading.clear()
        await me.line.blocked.wait()
        waiting = session.outbox.waiting_bytes
        await asyncio.sleep(0.05)
        assert session.outbox.waiting_bytes == waiting


# Who gets no stream


@pytest.mark.parametrize(
    ("query", "token", "status", "detail"),
    [
        ({"client_id": ""}, None, 400, "client_id is required"),
        ({"client_id": "a/b"}, None, 400, "Invalid client id: a/b"),
        ({}, "garbage", 401, "The token is not valid"),
        ({"reconnection_token": "x"}, None, 401, "Invalid reconnection token: The token is not"),
        ({"workspace": "ws-user-root"}, None, 403, "Permission denied for workspace"),
        ({"workspace": "ws-nowhere"}, None, 404, "does not exist or is not accessible"),
    ],
)
async def test_who_gets_no_stream_is_told_why(
    parts: Parts, client: Client, query: dict[str, str], token: str | None, status: int, detail: str
) -> None:
    me = client("me", token=token)
    await me.get(**query)
    reply = await replied(me.line)
    assert reply.status == status
    assert detail in str(reply.detail)
    assert parts.hub.connections == 0


@pytest.mark.parametrize("query", [{"client_id": "other"}, {"workspace": "ws-other"}])
async def test_a_reconnection_token_is_for_its_own_client(
    client: Client, query: dict[str, str]
) -> None:
    me = await client("me").open()
    thief = client("me")
    await thief.get(reconnection_token=me.info["reconnection_token"], **query)
    reply = await replied(thief.line)
    assert reply.status == 401
    assert "Invalid reconnection token" in str(reply.detail)


async def test_an_id_in_use_is_refused_and_its_stream_goes_on(parts: Parts, client: Client) -> None:
    token = token_for(parts)
    incumbent = await client("same", token=token).open()
    second = client("same", token=token)
    await second.get()
    ping, _ = await incumbent.message()
    pong = {"type": "method", "to": ping["from"], "method": f"{ping['session']}.resolve"}
    assert await incumbent.post(pong, {"args": ["pong"]}) == OK
    reply = await replied(second.line)
    assert reply.status == 409
    assert "Client already exists and is active" in str(reply.detail)
    assert await incumbent.manager("echo", 1) == 1


async def test_a_stopping_server_ends_its_streams_and_opens_no_more(
    parts: Parts, client: Client
) -> None:
    me = await client("me").open()
    draining = asyncio.create_task(parts.hub.drain())
    assert await me.line.rest() == b""
    await draining
    await me.line.finished()
    await me.get()
    status, headers = await me.line.start()
    assert (status, headers["retry-after"]) == (503, "5")
    assert (await me.post({"type": "ping"})).status == 503


@pytest.mark.parametrize("method", ["PUT", "HEAD", "DELETE"])
async def test_other_methods_are_refused(built: tuple[Parts, ASGIApp], method: str) -> None:
    async with Exchange(built[1], "/rpc?client_id=me", method=method) as other:
        status, headers = await other.start()
    assert (status, headers["allow"]) == (405, "GET, POST, OPTIONS")


async def test_web_pages_may_ask_first(built: tuple[Parts, ASGIApp]) -> None:
    asks = {"access-control-request-headers": "authorization,content-type"}
    async with Exchange(built[1], "/rpc", method="OPTIONS", headers=asks) as preflight:
        status, headers = await preflight.start()
    assert status == 204
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-headers"] == "authorization,content-type"
    assert headers["access-control-allow-methods"] == "GET, POST, OPTIONS"


class TestAListOfOrigins:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(ephemeral=True, allow_origins=("https://good.example",))

    @pytest.mark.parametrize(
        ("origin", "expected"),
        [("https://good.example", "https://good.example"), ("https://bad.example", None)],
    )
    async def test_is_kept_to(
        self, built: tuple[Parts, ASGIApp], client: Client, origin: str, expected: str | None
    ) -> None:
        me = await client(headers={"origin": origin}).open()
        assert me.headers.get("access-control-allow-origin") == expected
        asks = Exchange(built[1], "/rpc", method="OPTIONS", headers={"origin": origin})
        async with asks as preflight:
            _, headers = await preflight.start()
        assert headers.get("access-control-allow-origin") == expected
        assert headers["vary"] == "Origin"


# Messages that are not taken


async def test_a_message_needs_a_client_a_body_and_a_stream(parts: Parts, client: Client) -> None:
    me, peer = await client().open(), await Peer.join(parts)
    assert await me.post({"type": "ping"}, client_id="") == Reply(400, "client_id is required")
    assert await me.post() == Reply(400, "Empty request body")
    # 400 is what clients send again after: their stream may be about to open.
    nobody = Reply(400, f"No stream is open for the client {me.workspace}/nobody")
    assert await me.post({"type": "ping"}, client_id="nobody") == nobody
    ghost = StreamClient(me._door, peer.session.client_id)
    ghost.info = {"workspace": peer.workspace}
    assert (await ghost.post({"type": "ping"})).status == 400  # it came by websocket


async def test_a_message_that_cannot_be_routed_is_answered_with_the_reason(
    parts: Parts, client: Client
) -> None:
    me = await client().open()
    assert (await me.post("nonsense")).status == 422
    assert (await me.post({"type": "unheard of"})).status == 422
    assert (await me.post({"type": "gossip", "to": "elsewhere/*"})).status == 403
    too_long = call(me.address, session="s1"), {"args": [bytes(600_000)]}
    reply = await me.post(*too_long)
    assert reply.status == 413
    assert "over the limit" in str(reply.detail)
    header, _ = await me.message()
    assert header["method"] == "s1.reject"
    assert await me.manager("echo", 1) == 1


class TestABodyOverTheLimit:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(ephemeral=True, max_frame_bytes=1024 * 1024)

    async def test_is_not_read_to_its_end(self, client: Client) -> None:
        me = await client().open()
        async with me.sending(*[bytes(400_000)] * 5) as post:
            assert (await replied(post)).status == 413
            assert post.received_by_app == 3


async def test_a_client_that_goes_away_in_mid_message_is_not_answered(client: Client) -> None:
    me = await client().open()
    async with me.sending(b"half", b"never sent") as post:
        post._incoming.get_nowait()
        post._incoming.get_nowait()
        post.disconnect()
        await post.finished()
        assert post.unread == 0
    assert await me.manager("echo", 1) == 1


async def test_a_client_that_falls_silent_in_mid_message_is_asked_to_send_it_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transports.http_stream.BODY_SECONDS", 0.01)
    me = await client().open()
    async with me.sending(b"half", b"") as post:
        post._incoming.get_nowait()
        post._incoming.get_nowait()
        assert (await replied(post)).status == 400
    assert await me.manager("echo", 1) == 1


class TestAClientThatSendsTooMuch:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(ephemeral=True, max_burst_messages=2, max_messages_per_second=0.001)

    async def test_is_told_and_disconnected(self, client: Client) -> None:
        me = await client().open()
        message = {"type": "gossip", "to": "*"}
        assert [(await me.post(message)).status for _ in range(3)] == [200, 200, 429]
        header, _ = await me.message()
        assert header["type"] == "error"
        assert "Rate limit exceeded" in header["message"]
        assert await me.line.rest() == b""
        assert (await me.post(message)).status == 400

    async def test_s25_does_not_starve_another_client_of_the_user(
        self, parts: Parts, client: Client
    ) -> None:
        token = token_for(parts)
        flooding, other = await client(token=token).open(), await client(token=token).open()
        message = {"type": "gossip", "to": "*"}
        assert [(await flooding.post(message)).status for _ in range(3)][-1] == 429
        assert [(await other.post(message)).status for _ in range(2)] == [200, 200]


# Who may speak for a client


async def test_a_message_needs_the_token_that_the_stream_was_opened_with(
    parts: Parts, client: Client
) -> None:
    grants = {"ws-user-ann": Permission.ADMIN}
    me = await client(token=token_for(parts, workspaces=grants)).open()
    peer = await Peer.join(parts)
    await peer.manager("subscribe", "heard")
    others = {
        None: 401,
        "garbage": 401,
        token_for(parts, "bob"): 403,
        token_for(parts, "bob", workspaces=grants): 403,
        # Made for others by this very user.
        await me.manager("generate_token"): 403,
        # The same user, bound to something else.
        token_for(parts, workspaces=grants, client_id="other"): 403,
        token_for(parts, workspaces=grants, current_workspace="ws-other"): 403,
        token_for(parts, workspaces=grants, extra_scopes=("file:download",)): 403,
        token_for(parts, workspaces={"*": Permission.READ}): 403,
        peer.parts.hub.reconnection_token(peer.session): 401,
    }
    message = call(peer.address, "stolen")
    got = {token: (await me.post(message, token=token)).status for token in others}
    assert got == others
    assert await me.post(call(peer.address, "honest")) == OK
    assert [msgpack.unpackb(peer.frames[-1])["method"]] == ["honest"]
    assert not any(b"stolen" in frame for frame in peer.frames)


async def test_a_token_that_expires_still_serves_the_stream_that_it_opened(
    client: Client, monkeypatch: pytest.MonkeyPatch, parts: Parts
) -> None:
    me = await client("me", token=token_for(parts)).open()
    other = token_for(parts, "bob")
    now = parts.tokens._clock()
    monkeypatch.setattr(parts.tokens, "_clock", lambda: now + 3600)
    assert await me.post({"type": "ping"}) == OK
    assert (await me.post({"type": "ping"}, token=other)).status == 403
    # It opens no other, but the one that comes after this.
    late = client("late", token=me.token)
    await late.get()
    assert (await replied(late.line)).status == 401
    token = me.info["reconnection_token"]
    await me.open(reconnection_token=token)
    assert await me.post({"type": "ping"}) == OK


async def test_a_revoked_token_serves_no_more(client: Client, parts: Parts) -> None:
    me = await client("me", token=token_for(parts)).open()
    parts.tokens.revoke(str(me.token))
    assert (await me.post({"type": "ping"})).status == 401


async def test_the_stream_of_an_anonymous_client_is_for_those_without_a_token(
    parts: Parts, client: Client
) -> None:
    me = await client().open()
    assert (await me.post({"type": "ping"}, token=token_for(parts))).status == 403
    minted = await me.manager("generate_token")
    assert (await me.post({"type": "ping"}, token=minted)).status == 403
    mate = await client(token=minted).open()
    assert mate.workspace == me.workspace
    assert (await mate.post({"type": "ping"}, token=None)).status == 401
    assert await me.post({"type": "ping"}) == OK


async def test_a_client_without_a_token_that_keeps_cookies_is_known_by_its_cookie(
    client: Client,
) -> None:
    me = await client("me").open()
    cookie = me.keep_cookie()
    assert await me.post({"type": "ping"}) == OK
    for other in ("", f"{cookie.partition('=')[0]}=guessed", "polyport=x"):
        me.sends["cookie"] = other
        assert (await me.post({"type": "ping"})).status == 401
    me.line.disconnect()
    again = await client("me").open(reconnection_token=me.info["reconnection_token"])
    assert again.keep_cookie() == cookie
    assert await again.post({"type": "ping"}) == OK


async def test_scripts_are_given_no_cookies_that_would_pile_up_in_a_browser(
    parts: Parts, client: Client
) -> None:
    script = await client(headers={"sec-fetch-mode": "cors"}).open()
    assert "set-cookie" not in script.headers
    assert await script.post({"type": "ping"}) == OK
    with_token = await client(token=token_for(parts)).open()
    assert "set-cookie" not in with_token.headers


async def test_a_user_who_comes_back_without_a_token_must_show_the_token_or_the_cookie(
    parts: Parts, client: Client
) -> None:
    me = await client("me", token=token_for(parts)).open()
    me.line.disconnect()
    again = await client("me").open(reconnection_token=me.info["reconnection_token"])
    assert (await again.post({"type": "ping"})).status == 401
    assert await again.post({"type": "ping"}, token=me.token) == OK
    again.keep_cookie()
    assert await again.post({"type": "ping"}) == OK


async def test_the_workspace_of_a_message_may_be_left_to_the_token(
    parts: Parts, client: Client
) -> None:
    me = await client(token=token_for(parts)).open()
    assert await me.post({"type": "ping"}, workspace="") == OK


# Order, and what a client does not read


async def test_a_long_message_is_not_overtaken_by_one_sent_after_it(
    parts: Parts, client: Client
) -> None:
    me, peer = await client().open(), await Peer.join(parts)
    long = msgpack.packb(call(peer.address, "long")) + msgpack.packb({"args": [bytes(1000)]})
    async with me.sending(long[:500], long[500:]) as first:
        rest = [first._incoming.get_nowait(), first._incoming.get_nowait()]
        first._incoming.put_nowait(rest[0])
        short = msgpack.packb(call(peer.address, "short"))
        async with me.sending(short) as second, me.sending(b"") as empty:
            assert not await settled(second)
            assert (await replied(empty)).status == 400
            assert not await settled(second)
            first._incoming.put_nowait(rest[1])
            assert [await replied(first), await replied(second)] == [OK, OK]
    got = [b"long" if b"long" in frame else b"short" for frame in peer.frames]
    assert got == [b"long", b"short"]


async def test_messages_for_a_client_that_does_not_read_wait_in_order(
    parts: Parts, client: Client
) -> None:
    me, peer = await client().open(), await Peer.join(parts)
    session = parts.router.get(me.address)
    assert session is not None
    me.line.reading.clear()
    for number in range(50):
        peer.send(call(me.address), {"args": [number]})
    assert session.outbox.waiting_bytes > 0
    me.line.reading.set()
    assert [(await me.message())[1]["args"][0] for _ in range(50)] == list(range(50))
    assert session.outbox.waiting_bytes == 0


async def test_what_a_lost_stream_did_not_take_comes_on_the_next_one(
    parts: Parts, client: Client
) -> None:
    me, peer = await client("me").open(), await Peer.join(parts)
    me.line.reading.clear()
    for number in range(3):
        peer.send(call(me.address), {"args": [number]})
    me.line.disconnect()
    await me.line.finished()
    peer.send(call(me.address), {"args": [3]})
    again = await client("me").open(reconnection_token=me.info["reconnection_token"])
    assert [(await again.message())[1]["args"][0] for _ in range(4)] == [0, 1, 2, 3]


class TestAClientThatReadsTooSlowly:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(ephemeral=True, stalled_client_seconds=0.01, http_ping_seconds=60)

    async def test_is_given_up(
        self, parts: Parts, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.transports.stream.END_SECONDS", 0.01)
        me, peer = await client().open(), await Peer.join(parts)
        me.line.reading.clear()
        peer.send(call(me.address), {"args": [1]})
        await me.line.finished()
        assert parts.router.get(me.address) is None
        assert me.line.lost


# Coming back and leaving


OPEN = {"visibility": "public"}


async def test_a_second_stream_of_a_client_takes_over_and_the_first_one_ends(
    parts: Parts, client: Client
) -> None:
    me, peer = await client("me").open(), await Peer.join(parts)
    await me.manager("subscribe", "news")
    await me.manager("register_service", {"id": f"{me.address}:svc", "config": OPEN})
    again = await client("me").open(reconnection_token=me.info["reconnection_token"])
    assert again.address == me.address
    assert await me.line.rest() == b""
    await me.line.finished()
    peer.send(call(again.address), {"args": [1]})
    assert (await again.message())[1] == {"args": [1]}
    assert [s["id"] for s in await again.manager("list_services")] == [f"{me.address}:svc"]
    await again.post({"type": "news", "to": "*"})
    assert (await again.message())[0]["type"] == "news"


async def test_a_message_that_arrives_after_another_stream_took_over_is_sent_again(
    parts: Parts, client: Client
) -> None:
    me, peer = await client("me").open(), await Peer.join(parts)
    message = msgpack.packb(call(peer.address))
    async with me.sending(message[:9], message[9:]) as post:
        rest = [post._incoming.get_nowait(), post._incoming.get_nowait()]
        post._incoming.put_nowait(rest[0])
        assert not await settled(post)
        await client("me").open(reconnection_token=me.info["reconnection_token"])
        post._incoming.put_nowait(rest[1])
        assert (await replied(post)).status == 400
    assert peer.frames == []
    assert await me.post(call(peer.address)) == OK
    assert len(peer.frames) == 1


class TestAClientThatHasGone:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            ephemeral=True,
            http_ping_seconds=60,
            http_reconnect_grace_seconds=0.5,
            reconnect_gap_seconds=0,
        )

    async def test_keeps_its_services_for_the_grace(self, parts: Parts, client: Client) -> None:
        me = await client("me", token=token_for(parts)).open()
        watcher = await Peer.join(parts, token=token_for(parts))
        await watcher.manager("subscribe", "client_disconnected")
        await me.manager("register_service", {"id": f"{me.address}:svc", "config": {}})
        me.line.disconnect()
        await me.line.finished()
        assert parts.registry.of_client(me.address)
        message = await watcher.event("client_disconnected")
        assert message["data"] == {"id": "me", "workspace": me.workspace}
        assert not parts.registry.of_client(me.address)


async def test_the_end_of_a_stream_that_the_server_asked_for_is_final(
    parts: Parts, client: Client
) -> None:
    me = await client("me").open()
    session = parts.router.get(me.address)
    assert session is not None
    session.close(1008, "You are not welcome")
    assert (await me.message())[0] == {"type": "error", "message": "You are not welcome"}
    assert await me.line.rest() == b""
    await me.line.finished()
    assert parts.router.get(me.address) is None
