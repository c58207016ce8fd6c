"""Servers that want a login get it from an administrator, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer

from gateway.upstreams.login import callbacks
from gateway.upstreams.supervisor import State
from schema.errors import ServiceError, Unavailable
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.upstreams.conftest import Run, call, listening, running, status, until
from tests.gateway.upstreams.login.conftest import (
    GATEWAY,
    Guarded,
    come_back,
    in_state,
    log_in,
    login_url,
    open_in_browser,
    servers,
)
from tests.gateway.upstreams.login.guarded_server import CODE, SECRET, TOKEN, GuardedServer

READER = Caller(
    User("ann", scope=Scope({"public": Permission.READ}, current_workspace="public")), "public"
)


async def test_an_administrator_logs_in_and_the_tools_are_there(
    run: Run, guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    parts = await run({"demo": guarded.entry()})
    await in_state(parts, State.NEEDS_LOGIN)
    url = await login_url(parts)
    [record] = await servers(parts, "list")
    assert (record["state"], record["login_url"]) == ("needs login", url)
    page = await come_back(parts, await open_in_browser(url))
    assert (page.status_code, "demo is connected" in page.text) == (200, True)
    await in_state(parts, State.RUNNING)
    assert await call(parts, "good") == "good"
    [asked] = guarded.server.asked
    assert asked["redirect_uri"] == f"{GATEWAY}/oauth/upstreams/callback"
    assert asked["resource"] == f"http://127.0.0.1:{guarded.port}/mcp"
    record = await servers(parts, "status", "demo")
    assert (record["state"], "login_url" in record) == ("running", False)
    for secret in (TOKEN, CODE, SECRET, asked["state"]):
        assert secret not in caplog.text + str(record) + page.text


async def test_who_only_uses_the_servers_does_not_see_where_to_log_in(
    run: Run, guarded: Guarded
) -> None:
    parts = await run({"demo": guarded.entry()})
    await in_state(parts, State.NEEDS_LOGIN)
    [record] = await servers(parts, "list", by=READER)
    assert record["state"] == "needs login"
    assert "login_url" not in record
    assert "state=" not in str(record)
    with pytest.raises(Unavailable, match="has to log the gateway in"):
        await call(parts, "good")


async def test_a_login_is_kept_sealed_and_serves_after_a_restart(
    tmp_path: Path, guarded: Guarded
) -> None:
    kept = {"ephemeral": False, "data_dir": tmp_path / "data"}
    async with running(tmp_path, {"demo": guarded.entry()}, **kept) as parts:
        await log_in(parts)
        await in_state(parts, State.RUNNING)
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert not any(secret.encode() in content for secret in (TOKEN, SECRET))
    async with running(tmp_path, {"demo": guarded.entry()}, **kept) as parts:
        await in_state(parts, State.RUNNING)
        assert await call(parts, "good") == "good"
    assert len(guarded.server.asked) == 1


async def test_a_token_that_has_ended_is_renewed_by_itself(run: Run, guarded: Guarded) -> None:
    guarded.server.refreshes = True
    parts = await run({"demo": guarded.entry()})
    await log_in(parts)
    await in_state(parts, State.RUNNING)
    guarded.server.good.clear()
    assert await call(parts, "good") == "good"
    assert guarded.server.forms[-1]["grant_type"] == "refresh_token"
    assert len(guarded.server.asked) == 1


async def test_a_login_that_is_revoked_is_asked_for_again(run: Run, guarded: Guarded) -> None:
    parts = await run({"demo": guarded.entry()})
    await log_in(parts)
    await in_state(parts, State.RUNNING)
    assert await call(parts, "good") == "good"
    guarded.server.good.clear()
    with pytest.raises(ServiceError, match="needs a login") as raised:
        await call(parts, "good")
    assert raised.value.remote_type == "LoginRequired"
    await in_state(parts, State.NEEDS_LOGIN)
    with pytest.raises(ServiceError, match="needs a login"):
        await call(parts, "good")
    await log_in(parts)
    await in_state(parts, State.RUNNING)
    assert await call(parts, "good") == "good"


async def test_a_tool_that_needs_more_leaves_the_others_running(run: Run, guarded: Guarded) -> None:
    parts = await run({"demo": guarded.entry()})
    await log_in(parts)
    await in_state(parts, State.RUNNING)
    with pytest.raises(ServiceError, match="needs further permissions"):
        await call(parts, "restricted")
    assert status(parts).supervisor.state is State.RUNNING
    assert await call(parts, "good") == "good"
    await log_in(parts)
    assert set(guarded.server.asked[-1]["scope"].split()) == {"read", "write"}
    assert await call(parts, "restricted") == "good"
    assert await call(parts, "good") == "good"


async def test_an_answer_counts_once_and_only_for_a_login_that_waits(
    run: Run, guarded: Guarded
) -> None:
    parts = await run({"demo": guarded.entry()})
    answer = await open_in_browser(await login_url(parts))
    assert (await come_back(parts, answer, wait=5.0)).status_code == 429
    for wrong, code in (
        (f"{GATEWAY}/oauth/upstreams/callback?code=x&state=guessed", 404),
        (f"{GATEWAY}/oauth/upstreams/callback?code=x", 404),
        (f"{answer}&code=other", 400),
    ):
        assert (await come_back(parts, wrong)).status_code == code
    assert (await come_back(parts, answer)).status_code == 200
    assert (await come_back(parts, answer)).status_code == 404
    assert len(guarded.server.forms) == 1


@pytest.mark.parametrize(
    "brings",
    [
        {"error": "access_denied", "error_description": "<script>alert(1)</script>"},
        {"code": CODE, "iss": "https://evil.example"},
    ],
)
async def test_a_login_that_fails_can_be_tried_again(
    run: Run, guarded: Guarded, brings: dict[str, str]
) -> None:
    parts = await run({"demo": guarded.entry()})
    first = await login_url(parts)
    guarded.server.answers = brings
    page = await come_back(parts, await open_in_browser(first))
    assert page.status_code == 400
    assert "<script" not in page.text
    assert guarded.server.forms == []
    await login_url(parts, after=first)
    assert (await servers(parts, "status", "demo"))["login_failure"]
    guarded.server.answers = {}
    assert (await log_in(parts)).status_code == 200
    await in_state(parts, State.RUNNING)


async def test_an_address_to_log_in_at_is_good_for_a_while(
    run: Run, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "LOGIN_SECONDS", 2.0)
    parts = await run({"demo": guarded.entry()})
    first = await login_url(parts)
    answer = await open_in_browser(first)
    await login_url(parts, after=first)
    assert (await come_back(parts, answer)).status_code == 404


async def test_who_restarts_a_server_gets_another_address(run: Run, guarded: Guarded) -> None:
    parts = await run({"demo": guarded.entry()})
    first = await login_url(parts)
    record = await servers(parts, "restart", "demo")
    assert (record["state"], record["login_url"] == first) == ("needs login", False)
    assert (await come_back(parts, await open_in_browser(first))).status_code == 404
    assert (await log_in(parts)).status_code == 200


async def test_logging_out_forgets_the_login_and_the_registration(
    run: Run, guarded: Guarded
) -> None:
    parts = await run({"demo": guarded.entry()})
    await log_in(parts)
    await in_state(parts, State.RUNNING)
    record = await servers(parts, "log_out", "demo")
    assert record["state"] == "needs login"
    assert len(guarded.server.registered) == 2


async def test_a_program_among_servers_logs_in_without_anybody(run: Run, guarded: Guarded) -> None:
    config = {"grant": "client_credentials", "clientId": "robot", "clientSecret": SECRET}
    parts = await run({"demo": guarded.entry(**config, scope="read")})
    await in_state(parts, State.RUNNING)
    assert await call(parts, "good") == "good"
    assert guarded.server.forms[0]["grant_type"] == "client_credentials"
    assert (guarded.server.asked, guarded.server.registered) == ([], [])


async def test_a_server_that_has_its_credential_or_wants_no_login_is_not_logged_in_to(
    run: Run, guarded: Guarded
) -> None:
    credential = {"headers": {"Authorization": "Bearer of-another-time"}}
    for entry in ({**guarded.entry(), **credential}, {**guarded.entry(), "oauth": False}):
        parts = await run({"demo": entry})
        supervisor = status(parts).supervisor
        await until(lambda: supervisor.failures > 0)  # noqa: B023 - it is awaited here
        assert "HTTP 401" in (supervisor.reason or "")
        await parts.close()
    assert guarded.server.registered == []


async def test_the_older_transport_logs_in_as_well(run: Run) -> None:
    made = MCPServer("demo", log_level="CRITICAL")
    made.add_tool(lambda: "good", name="good")
    server = GuardedServer(made.sse_app())
    async with listening(server, timeout_graceful_shutdown=0) as port:
        parts = await run({"demo": {"type": "sse", "url": f"http://127.0.0.1:{port}/sse"}})
        await log_in(parts)
        await in_state(parts, State.RUNNING)
        assert await call(parts, "good") == "good"
        await parts.close()
