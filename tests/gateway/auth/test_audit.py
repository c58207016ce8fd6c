"""The audit log: what is in it, who reads it, and that nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgpack
import pytest

from gateway.api import Credentials
from gateway.app import Parts, build, create_app
from gateway.auth.audit import AuditLog
from gateway.registry.relay_audit import WAIT_SECONDS, RelayAudit
from gateway.settings import Settings
from gateway.storage.rows import AuditEntry
from schema.errors import GatewayError, PermissionDenied, ServiceError
from schema.identity import Caller, User
from schema.services import Visibility
from tests.gateway.peer import Peer, RemoteFailure

CALL = ("ws-lab", "http", "svc", "f")


async def ann(parts: Parts) -> Peer:
    return await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=600))


def what(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["function"], entry["outcome"]) for entry in reversed(entries)]


async def test_what_changes_who_may_do_what_is_logged_with_who_did_it(parts: Parts) -> None:
    owner = await ann(parts)
    token = await owner.manager("generate_token")
    await owner.manager("set_env", "k", "a secret")
    with pytest.raises(RemoteFailure):
        await (await Peer.join(parts, token=token)).manager("generate_token")
    entries = await owner.manager("get_audit_log")
    assert what(entries) == [
        ("generate_token", "ok"),
        ("set_env", "ok"),
        ("generate_token", "permission_denied"),
    ]
    first = entries[-1]
    assert (first["user_id"], first["door"], first["target"]) == ("ann", "websocket", "manager")
    assert first["credential"] == owner.session.user.credential_id
    assert "a secret" not in str(entries) and token not in str(entries)


async def test_a_log_is_for_whoever_administers_the_workspace(parts: Parts) -> None:
    owner = await ann(parts)
    reader = await Peer.join(parts, token=await owner.manager("generate_token"))
    for peer in (reader, await Peer.join(parts)):
        with pytest.raises(RemoteFailure, match="Permission denied"):
            await peer.manager("get_audit_log", workspace=owner.workspace)


async def test_calls_are_logged_when_that_is_on(settings: Settings) -> None:
    parts = build(settings.model_copy(update={"audit_calls": True}))[0]
    owner = await ann(parts)

    def fail() -> None:
        raise ValueError("no")

    await owner.register("svc", {"f": lambda *_, **__: 1, "g": fail})
    caller = await parts.gateway.authenticate(Credentials())
    found = await parts.gateway.find_service(caller, owner.workspace, "svc")
    await parts.gateway.call(caller, found, "f", (1,), {"a": 2})
    with pytest.raises(ServiceError):
        await parts.gateway.call(caller, found, "g")
    await owner.register("closed", {"f": fail}, config={"visibility": "protected"})
    with pytest.raises(PermissionDenied):
        await parts.gateway.find_service(caller, owner.workspace, "closed")
    entries = await owner.manager("get_audit_log")
    assert what(entries) == [("f", "ok"), ("g", "service_error"), ("", "permission_denied")]
    assert [entry["door"] for entry in entries] == ["http", "http", "http"]
    assert "closed" in entries[0]["target"]
    assert len(entries[-1]["arguments"]) == 64
    await parts.kept.audit.close()


async def test_the_log_says_which_door_a_call_came_by() -> None:
    app = create_app(Settings(ephemeral=True, port=9527, audit_calls=True))
    parts: Parts = app.state.parts
    owner = await ann(parts)
    await owner.register("svc", {"f": lambda *_: 1})
    await owner.register("closed", {"f": int}, config={"visibility": "protected"})
    token = parts.tokens.issue(User("ann"), expires_in_seconds=60)
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
    }
    url = f"/{owner.workspace}"
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    read, list_ = {"name": "get_env", "arguments": {}}, call | {"method": "tools/list"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
        named = call | {"params": {"name": "f", "arguments": {}}}
        await http.post(f"{url}/mcp/svc/mcp", json=named, headers=headers)
        await http.get(f"{url}/services/svc/f", headers=headers)
        await http.post(f"{url}/mcp/ws/mcp", json=call | {"params": read}, headers=headers)
        await http.get(f"{url}/services/ws/get_env", headers=headers)
        del headers["authorization"]
        await http.post(f"{url}/mcp/closed/mcp", json=list_, headers=headers)
        await http.get(f"{url}/services/closed/f", headers=headers)
    entries = await owner.manager("get_audit_log")
    doors = [(entry["function"], entry["door"]) for entry in reversed(entries)]
    assert doors == [
        ("f", "mcp"), ("f", "http"), ("get_env", "mcp"), ("get_env", "http"),
        ("", "mcp"), ("", "http"),
    ]  # fmt: skip
    await parts.kept.audit.close()


async def test_relayed_calls_are_logged_with_what_came_of_them(settings: Settings) -> None:
    parts = build(settings.model_copy(update={"audit_calls": True}))[0]
    owner = await ann(parts)

    def fail() -> None:
        raise ValueError("no")

    await owner.register("svc", {"f": lambda *_: 1, "g": fail, "wait": asyncio.Event().wait})
    await owner.register("closed", {"f": int}, config={"visibility": "protected"})
    stranger = await Peer.join(parts, remote="203.0.113.9")
    assert await stranger.call(owner.address, "services.svc.f") == 1
    for method in ("svc.g", "closed.f"):
        with pytest.raises(RemoteFailure):
            await stranger.call(owner.address, f"services.{method}")
    with pytest.raises(RemoteFailure, match="not connected"):
        await stranger.call(f"{owner.workspace}/nobody", "services.svc.f")
    silent = {"type": "method", "to": owner.address, "method": "services.svc.f"}
    stranger.send(silent, {"args": []})
    waiting = silent | {"method": "services.svc.wait", "session": "s"}
    stranger.send(waiting, {"args": [], "promise": "*"})
    await parts.kept.audit.close()
    entries = await parts.kept.audit.find(owner.workspace, before=None, limit=10)
    assert what(entries) == [
        ("f", "ok"),
        ("g", "service_error"),
        ("f", "permission_denied"),
        ("f", "provider_gone"),
        ("f", "passed_on"),
        ("wait", "no_answer"),
    ]
    who = {(e["user_id"], e["address"], e["door"]) for e in entries}
    assert who == {(stranger.session.user.id, "203.0.113.9", "websocket")}
    assert {e["target"] for e in entries[:2]} == {f"{owner.address}:svc"}


async def test_a_call_in_chunks_is_logged_like_any_other(settings: Settings) -> None:
    parts = build(settings.model_copy(update={"audit_calls": True}))[0]
    owner = await ann(parts)
    await owner.register("svc", {"f": lambda *_: 1})
    stranger = await Peer.join(parts)
    whole = msgpack.packb(
        {"type": "method", "to": owner.address, "method": "services.svc.f", "session": "s"}
    ) + msgpack.packb({"args": []})
    cache = "services.built-in.message_cache"
    for action in ("create", "set", "process"):
        owner.functions[f"{cache}.{action}"] = lambda *_: None
    await stranger.call(owner.address, f"{cache}.create", "k")
    await stranger.call(owner.address, f"{cache}.set", "k", 0, whole)
    await stranger.call(owner.address, f"{cache}.process", "k")
    answer = {"type": "method", "to": stranger.address, "method": "s.resolve"}
    owner.send(answer, {"args": [1]})
    entries = await parts.kept.audit.find(owner.workspace, before=None, limit=10)
    assert what(entries) == [("f", "ok")]
    await parts.kept.audit.close()


async def test_an_outcome_is_not_waited_for_without_end() -> None:
    now = 0.0
    log = AuditLog(with_calls=True)
    relayed = RelayAudit(log, clock=lambda: now)
    sender = SimpleNamespace(caller=Caller(User("ann"), "ws-lab"), address="a/b", remote=None)
    relayed.passed(sender, "ws-lab/c", "services.svc.f", "s")  # type: ignore[arg-type]
    now = WAIT_SECONDS
    relayed.passed(sender, "ws-lab/c", "services.svc.g", "t")  # type: ignore[arg-type]
    relayed._sweep()
    assert what(await log.find(None, before=None, limit=9)) == [("f", "no_answer")]
    relayed.settled("a/b", "t", "ok")
    relayed.settled("a/b", "s", "ok")
    await log.close()
    found = await log.find(None, before=None, limit=9)
    assert what(found) == [("f", "no_answer"), ("g", "ok")]


async def test_own_and_hosted_services_are_logged_without_secrets(settings: Settings) -> None:
    more = {"audit_calls": True, "audit_arguments": "full"}
    parts = build(settings.model_copy(update=more))[0]
    owner = await ann(parts)

    async def run(*_: Any) -> int:
        return 1

    schema = {"f": {"type": "function", "function": {"name": "f", "parameters": {}}}}
    sid = parts.hosting.id_of(owner.workspace, "hosted")
    info = parts.hosting.describe(sid, schema, visibility=Visibility.PROTECTED)
    parts.hosting.publish(info, run)
    stranger = await Peer.join(parts, remote="203.0.113.9")
    for peer in (owner, stranger):
        with suppress(RemoteFailure):
            await peer.call(sid.provider, "services.hosted.f", x="seen")
    secret = {"name": "hosted", "credential": "hunter2", "workspace": owner.workspace}
    manager = f"public/{parts.router.manager_id}"
    with pytest.raises(RemoteFailure):
        await owner.call(manager, "services.mcp-servers.set_credential", **secret)
    caller = await parts.gateway.authenticate(Credentials())
    service = await parts.gateway.find_service(caller, "public", "mcp-servers")
    with pytest.raises(GatewayError):
        await parts.gateway.call(caller, service, "set_credential", (), secret)
    entries = await parts.kept.audit.find(None, before=None, limit=10)
    assert what(entries)[:2] == [("f", "ok"), ("f", "permission_denied")]
    assert entries[-2]["address"] == "203.0.113.9" and "seen" in entries[-1]["arguments"]
    assert "hunter2" not in str(entries)
    await parts.kept.audit.close()


async def test_the_address_of_a_websocket_is_in_the_log_of_management(parts: Parts) -> None:
    token = parts.tokens.issue(User("ann"), expires_in_seconds=600)
    owner = await Peer.join(parts, token=token, remote="203.0.113.9")
    await owner.manager("share_workspace", user_id="bob", permission="read")
    await owner.manager("set_env", "k", "v")
    entries = await owner.manager("get_audit_log")
    assert what(entries) == [("share_workspace", "ok"), ("set_env", "ok")]
    assert {entry["address"] for entry in entries} == {"203.0.113.9"}


async def test_nothing_is_lost_when_the_server_stops(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=9527)
    parts = build(settings)[0]
    await parts.load()
    owner = await ann(parts)
    await owner.manager("generate_token")
    await parts.close()
    again = build(settings)[0]
    await again.load()
    found = await again.kept.audit.find(owner.workspace, before=None, limit=10)
    assert what(found) == [("generate_token", "ok")]
    assert await again.kept.audit.find("ws-other", before=None, limit=10) == []
    assert await again.kept.audit.find(None, before=found[0]["number"], limit=10) == []
    await again.close()


class Rows:
    """A repository that fails when it is told to."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.fails = False
        self.dropped_before: list[float] = []

    async def append(self, entries: list[AuditEntry]) -> None:
        if self.fails:
            raise OSError("disk full")
        self.entries += entries

    async def drop_before(self, time: float) -> None:
        self.dropped_before.append(time)


async def test_entries_that_cannot_be_written_are_kept_for_the_next_time() -> None:
    rows = Rows()
    log = AuditLog(rows, clock=lambda: 1e6, retention_seconds=100)  # type: ignore[arg-type]
    caller = Caller(User("ann"), "ws-lab")
    rows.fails = True
    log.note(caller, CALL, [1], 1e6, None)
    with pytest.raises(OSError, match="disk full"):
        await log.flush()
    rows.fails = False
    log.note(caller, CALL, [2], 1e6, asyncio.CancelledError())
    await log.close()
    assert [entry.outcome for entry in rows.entries] == ["ok", "internal_error"]
    assert rows.dropped_before == [1e6 - 100]


async def test_what_waits_for_a_broken_database_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.auth.audit.MAX_UNWRITTEN", 3)
    rows = Rows()
    log = AuditLog(rows)  # type: ignore[arg-type]
    rows.fails = True
    for number in range(5):
        log.note(Caller(User("ann"), "ws-lab"), CALL, [number], float(number), None)
        with suppress(OSError):
            await log.flush()
    assert log.lost == 2
    assert "waiting=3 lost=2" in caplog.text
    rows.fails = False
    await log.close()
    assert [entry.time for entry in rows.entries] == [0, 1, 2]


async def test_a_name_that_no_database_takes_keeps_no_entry_out() -> None:
    rows = Rows()
    log = AuditLog(rows)  # type: ignore[arg-type]
    log.note(Caller(User("ann"), "w"), ("ws\0\ud800", *CALL[1:]), None, 1.0, None)
    await log.close()
    assert rows.entries[0].workspace == "ws\ufffd?"


@pytest.mark.parametrize(("mode", "kept"), [("off", None), ("full", '["x"]')])
async def test_the_setting_says_what_is_kept_of_arguments(mode: Any, kept: str | None) -> None:
    log = AuditLog(arguments=mode)
    log.note(Caller(User("ann"), "ws-lab"), CALL, ["x"], log.now(), None)
    log.note(Caller(User("ann"), "ws-lab"), CALL, ["x"], log.now(), None, is_secret=True)
    secret, open_ = await log.find(None, before=None, limit=2)
    assert open_["arguments"] == kept
    assert secret["arguments"] != '["x"]'
    await log.close()
