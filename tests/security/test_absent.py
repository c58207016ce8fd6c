"""Lines of the security requirements about parts that this server does not have: sessions of apps
and workers (S10 to S13), search (S16), state that several servers share (S36, S37). What is not
there must not answer, whatever it is called by; and what comes closest to it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.dialects import postgresql

from gateway.app import Parts, build
from gateway.settings import Settings
from gateway.storage.audit import AuditRepository
from gateway.storage.directory import StorageFailed
from gateway.storage.events import EventRepository
from schema.identity import User
from tests.gateway.peer import Peer, RemoteFailure
from tests.security.conftest import MCP

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
GONE = ("get_session_info", "get_logs", "stop", "start", "enable_worker", "disable_worker")
OWNERS = ("server-apps", "workers", "k8s-worker", "artifact-manager")


async def nothing_answers(parts: Parts, http: httpx.AsyncClient, functions: Any) -> None:
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    token = parts.tokens.issue(User("eve"), expires_in_seconds=3600)
    eve = await Peer.join(parts, token=token)
    headers = {"authorization": f"Bearer {token}"}
    body = {"session_id": f"{ann.workspace}/x", "workspace": ann.workspace}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for function in functions:
        with pytest.raises(RemoteFailure):
            await eve.manager(function, **body)
        for service in ("ws", *OWNERS):
            url = f"/public/services/{service}/{function}"
            assert (await http.post(url, json=body, headers=headers)).status_code == 404
    for service in OWNERS:
        with pytest.raises(RemoteFailure, match="not found"):
            await eve.manager("get_service", f"public/{service}")
        answer = await http.post(f"/public/mcp/{service}/mcp", json=message, headers=headers | MCP)
        assert answer.status_code == 404


@pytest.mark.parametrize("function", GONE[:4])
async def test_S10_S11_S12_there_are_no_sessions_to_stop_or_read(
    parts: Parts, http: httpx.AsyncClient, function: str
) -> None:
    await nothing_answers(parts, http, [function])


async def test_S13_there_are_no_workers_to_enable(parts: Parts, http: httpx.AsyncClient) -> None:
    await nothing_answers(parts, http, GONE[4:])


async def test_S10_a_client_of_another_workspace_is_disconnected_by_nobody_else(
    parts: Parts,
) -> None:
    """What comes closest to stopping a session: ``cleanup`` and the operator's ``kickout``."""
    ann = await Peer.join(
        parts, "a", token=parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    )
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=3600))
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await eve.manager("cleanup", ann.workspace)
    address = parts.router.manager_address
    kick = "services.admin-utils.kickout_client"
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await eve.call(address, kick, workspace=ann.workspace, client_id="a")
    assert not ann.closed_with.done()


INJECTED = (
    "x' OR '1'='1", 'x" OR "1"="1', "x'; DROP TABLE audit_log; --", "%", "_", "x' UNION SELECT 1--",
    "\\'; --", "@x:{*}", "*=>[KNN 5 @vector $v]", "x) | (@id:*", "$where", "{{7*7}}",
)  # fmt: skip


@pytest.mark.parametrize("text", INJECTED)
async def test_S16_what_is_asked_for_is_a_value_and_never_a_query(
    tmp_path: Path, text: str
) -> None:
    """Lists and logs take filters; there is no search, nor an order to choose."""
    parts = build(Settings(data_dir=tmp_path, port=9527))[0]
    await parts.load()
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    await ann.manager("create_workspace", {"id": "ann-lab", "description": "secret"})
    await ann.manager("log_event", "kind", {"a": 1})
    assert await ann.manager("get_events", text) == []
    assert await ann.manager("get_event_stats", text) == []
    assert await ann.manager("list_workspaces", {"description": text}) == []
    for query in ({"type": text}, {"id": text}, {"visibility": text}, {"client_id": text}):
        try:
            found = await ann.manager("list_services", query)
        except RemoteFailure as error:
            assert "Invalid query" in str(error)
        else:
            # A lone * is the wildcard that the interface has.
            assert found == [] or text == "*"
    for named in ({"filters": {"id": text}}, {"order_by": text}, {"return_fields": [text]}):
        with pytest.raises(RemoteFailure, match="not enabled"):
            await ann.manager("search_services", "camera", **named)
    for named in ({"before": text}, {"limit": text}):
        with pytest.raises(RemoteFailure, match="Argument"):
            await ann.manager("get_audit_log", **named)
    kept = await ann.manager("get_events", "kind")
    assert [event["event_type"] for event in kept] == ["kind"]
    assert len(await parts.kept.audit.find(ann.workspace, before=None, limit=9)) > 0
    await parts.close()


async def test_S16_filters_are_bound_in_both_dialects() -> None:
    """The statements that reach a database have places for values, in PostgreSQL's form too."""
    statements: list[str] = []

    class Connection:
        async def execute(self, statement: Any, *_: Any) -> Any:
            statements.append(str(statement.compile(dialect=DIALECT)))
            raise LookupError

    class Transaction:
        async def __aenter__(self) -> Connection:
            return Connection()

        async def __aexit__(self, *_: object) -> None:
            pass

    class Database:
        transaction = Transaction

    text = INJECTED[0]
    with pytest.raises(LookupError):
        await AuditRepository(Database()).find(text, before=1, limit=5)  # type: ignore[arg-type]
    with pytest.raises(LookupError):
        await EventRepository(Database()).find(text, text, text, 0.0, 1.0)  # type: ignore[arg-type]
    assert len(statements) == 2
    assert all(text not in statement and "%(" in statement for statement in statements)


async def test_S36_a_server_that_starts_keeps_what_others_have_stored(tmp_path: Path) -> None:
    """There is no setting that empties what is kept; a second server on it does not start."""
    assert not [name for name in Settings.model_fields if "reset" in name or "flush" in name]
    settings = Settings(data_dir=tmp_path, port=9527)
    first = build(settings)[0]
    await first.load()
    ann = await Peer.join(first, token=first.tokens.issue(User("ann"), expires_in_seconds=3600))
    await ann.manager("create_workspace", {"id": "ann-lab", "persistent": True})
    await ann.manager("set_env", "k", "v")
    second = build(settings)[0]
    with pytest.raises(StorageFailed, match="Another server uses"):
        await second.load()
    assert await ann.manager("get_env", "k") == "v"
    await first.close()
    third = build(settings)[0]
    await third.load()
    assert third.workspaces.get("ann-lab") is not None
    await third.close()


async def test_S37_a_client_that_comes_to_another_server_is_not_taken_for_dead() -> None:
    """Servers with the same secret take each other's reconnection tokens."""
    settings = Settings(ephemeral=True, port=9527, jwt_secret="k" * 32)
    here, there = build(settings)[0], build(settings)[0]
    token = here.tokens.issue(User("ann"), expires_in_seconds=3600)
    client = await Peer.join(here, "worker", token=token)
    back = here.hub.reconnection_token(client.session)
    moved = await Peer.join(there, "worker", reconnection_token=back)
    assert moved.address == client.address
    await moved.register("svc", {"f": lambda: 1})
    assert await moved.call(moved.address, "services.svc.f") == 1


async def test_S37_what_fails_at_a_client_that_has_gone_fails_once(parts: Parts) -> None:
    """An answer to nobody is answered by nothing: errors about errors would never end."""
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    gone = await Peer.join(parts)
    gone.leave()
    with pytest.raises(RemoteFailure, match="not connected"):
        await ann.call(gone.address, "services.svc.f")
    before = len(ann.frames)
    for method in ("session.reject", "session.resolve", "session.heartbeat"):
        ann.send({"type": "method", "to": gone.address, "method": method}, {"args": [1]})
    assert len(ann.frames) == before
