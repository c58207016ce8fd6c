"""What connections and failures leave behind, and what comes back. The numbers are those of the
security requirements."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import GatewayError
from schema.identity import Caller, User
from tests.gateway.peer import Peer, RemoteFailure

SERVICE = "/public/services/hypha-login"


def token(parts: Parts, name: str = "ann") -> str:
    return parts.tokens.issue(User(name), expires_in_seconds=600)


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(thing) is kind for thing in gc.get_objects())


async def test_S30_a_thousand_requests_that_fail_leave_nothing(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann = await Peer.join(parts, token=token(parts))
    headers = {"authorization": f"Bearer {token(parts, 'eve')}"}
    caller = await parts.gateway.authenticate(Credentials(token(parts, "eve")), ann.workspace)

    async def fail(times: int) -> None:
        for number in range(times):
            for service in (f"none-{number}", "none*"):
                with pytest.raises(GatewayError):
                    await parts.gateway.find_service(caller, ann.workspace, service)
            with pytest.raises(GatewayError):
                await parts.gateway.authenticate(Credentials(f"bad.{number}"))
        for number in range(times // 20):
            url = f"/{ann.workspace}/services/none-{number}/f"
            assert (await http.post(url, json={}, headers=headers)).status_code == 404

    await fail(20)
    tasks, callers = len(asyncio.all_tasks()), alive(Caller)
    await fail(330)
    assert len(asyncio.all_tasks()) == tasks
    assert alive(Caller) <= callers + 2
    assert len(parts.router.sessions()) == 1


async def test_S31_a_client_that_comes_back_ends_its_old_connection(parts: Parts) -> None:
    first = await Peer.join(parts, "worker", token=token(parts))
    await first.register("svc", {"f": int})
    old, address = weakref.ref(first.session.caller), first.address
    back = parts.hub.reconnection_token(first.session)
    second = await Peer.join(parts, "worker", reconnection_token=back)
    assert (await first.closed_with)[0] == 1001
    parts.hub.closed(first.session)  # as the transport does at its end
    first.session = second.session
    del first
    gc.collect()
    assert old() is None
    assert parts.router.get(address) is second.session
    assert parts.hub.connections == 1


async def test_S32_a_client_whose_connection_broke_has_a_while_to_come_back() -> None:
    settings = Settings(
        ephemeral=True, port=9527, reconnect_gap_seconds=0.02, reconnect_grace_seconds=0.01
    )
    parts = build(settings)[0]
    busy, lost = await Peer.join(parts), await Peer.join(parts, "lost", token=token(parts))
    await lost.register("svc", {"f": int})
    events = await Peer.join(parts, token=token(parts))
    await events.manager("subscribe", "client_disconnected")
    lost.break_off()
    assert parts.registry.of_client(lost.address)  # nobody notices a short break
    await events.event("client_disconnected")
    assert not parts.registry.of_client(lost.address)
    assert not busy.closed_with.done() and await busy.manager("echo", 1) == 1


async def test_S33_a_client_that_does_not_read_is_given_up_at_a_bound() -> None:
    settings = Settings(ephemeral=True, port=9527, max_outbox_bytes=1024 * 1024)
    parts = build(settings)[0]
    deaf = await Peer.join(parts, "deaf")
    never = asyncio.Event()

    async def send(frame: bytes) -> None:
        await never.wait()

    deaf.session.outbox.uncork(send)
    other = await Peer.join(parts)
    most = 0
    while not deaf.closed_with.done():
        other.send(
            {"type": "method", "to": deaf.address, "method": "x.y", "session": "s"},
            {"args": [b"x" * 50_000]},
        )
        most = max(most, deaf.session.outbox.queued_bytes)
    assert (await deaf.closed_with)[0] == 1008
    assert most <= 1024 * 1024 + 100_000
    assert parts.router.get(deaf.address) is None


async def test_S34_a_start_waits_for_no_client_of_an_earlier_process(tmp_path: Path) -> None:
    """Registrations live as long as their connections: there are none to be looked at."""
    settings = Settings(data_dir=tmp_path, port=9527)
    earlier = build(settings)[0]
    await earlier.load()
    for number in range(50):
        peer = await Peer.join(earlier, f"c{number}", token=token(earlier, f"u{number}"))
        await peer.register("svc", {"f": int})
        await peer.manager("set_env", "k", "v")
    await earlier.close()
    parts = build(settings)[0]
    await parts.load()
    assert parts.hub.connections == 0
    assert parts.gateway._endpoint.calls_in_flight == 0  # type: ignore[attr-defined]
    assert parts.registry.of_client("ws-user-u1/c1") == []
    assert len(parts.workspaces.all()) >= 50
    await parts.close()


async def test_S35_nobody_stands_in_for_the_login(parts: Parts, http: httpx.AsyncClient) -> None:
    """Not a client with every right, connected or gone, and not one in its own workspace."""
    root = await Peer.join(parts, "stale", token="r0" * 20, workspace="public")
    with pytest.raises(RemoteFailure, match="The server itself offers public/hypha-login"):
        await root.register("hypha-login", {"start": lambda *_: "stolen"})
    eve = await Peer.join(parts, token=token(parts, "eve"))
    await eve.register("hypha-login", {"start": lambda *_: "stolen"})
    for _ in range(2):
        started = (await http.post(f"{SERVICE}/start", json={})).json()
        assert "stolen" not in str(started) and started["key"], started
        root.leave()


@pytest.mark.parametrize("workspace", [None, "ws-user-ann"])
@pytest.mark.parametrize("token", ["x.y.z", "", "a" * 5000])
async def test_S9_no_login_takes_a_token_that_is_not_good(
    http: httpx.AsyncClient, parts: Parts, token: str, workspace: str | None
) -> None:
    """By HTTP here; by a websocket, with hooks and with accounts where those are tested."""
    key = (await http.post(f"{SERVICE}/start", json={})).json()["key"]
    body: dict[str, Any] = {"key": key, "token": token}
    if workspace:
        body["workspace"] = workspace
    answer = await http.post(f"{SERVICE}/report", json=body)
    assert answer.status_code == 400, answer.text
    assert not token or token not in answer.text
    pending = await http.post(f"{SERVICE}/check", json={"key": key, "timeout": 0})
    assert pending.json() is None


async def test_S38_what_the_page_tells_other_windows_is_the_key_alone(
    http: httpx.AsyncClient,
) -> None:
    page = (await http.get("/public/apps/hypha-login/")).text
    messages = re.findall(r"postMessage\((\w+)", page)
    assert messages and set(messages) == {"message"}
    [message] = re.findall(r"const message = (\{.*?\});", page)
    assert message == '{ type: "hypha-login-complete", key }'


async def test_S39_a_code_is_compared_in_constant_time_and_drawn_from_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Attempts, life and bound of codes: ``tests/gateway/auth/local/test_accounts.py``."""
    source = Path("gateway/auth/local").rglob("*.py")
    text = "\n".join(path.read_text("utf-8") for path in source)
    assert "secrets." in text and "compare_digest" in text
    assert not re.search(r"^import random|^from random", text, re.MULTILINE)
