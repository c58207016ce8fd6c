"""The audit log: what is in it, who reads it, and that nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.auth.audit import AuditLog
from gateway.settings import Settings
from gateway.storage.audit import AuditEntry
from schema.errors import ServiceError
from schema.identity import Caller, User
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
    stranger = await Peer.join(parts)
    await stranger.call(owner.address, "services.svc.f")
    entries = await owner.manager("get_audit_log")
    assert what(entries) == [("f", "ok"), ("g", "service_error"), ("f", "ok")]
    assert [entry["door"] for entry in entries] == ["websocket", "http", "http"]
    assert entries[0]["user_id"] == stranger.session.user.id
    assert len(entries[-1]["arguments"]) == 64
    await parts.kept.audit.close()


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


@pytest.mark.parametrize(("mode", "kept"), [("off", None), ("full", '["x"]')])
async def test_the_setting_says_what_is_kept_of_arguments(mode: Any, kept: str | None) -> None:
    log = AuditLog(arguments=mode)
    log.note(Caller(User("ann"), "ws-lab"), CALL, ["x"], log.now(), None)
    log.note(Caller(User("ann"), "ws-lab"), CALL, ["x"], log.now(), None, is_secret=True)
    secret, open_ = await log.find(None, before=None, limit=2)
    assert open_["arguments"] == kept
    assert secret["arguments"] != '["x"]'
    await log.close()
