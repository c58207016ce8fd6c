"""The service ``public/mcp-servers``: servers that are added, managed and removed at run time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import (
    Conflict,
    FunctionHeld,
    FunctionNotFound,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ServiceNotFound,
    WorkspaceNotFound,
)
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.upstreams.conftest import ROOT, Run, call, find, program, until

CANARY = "canary-4711-secret"


def caller(name: str, workspace: str = "public", permission: str = "a", **more: Any) -> Caller:
    scope = Scope({workspace: Permission.parse(permission)}, current_workspace=workspace)
    return Caller(User(name, scope=scope, **more), workspace)


async def manage(parts: Parts, function: str, *args: Any, by: Caller = ROOT, **kwargs: Any) -> Any:
    service = await parts.gateway.find_service(by, "public", "mcp-servers")
    return await parts.gateway.call(by, service, function, args, kwargs)


async def test_an_operator_adds_a_program_and_removes_it(run: Run) -> None:
    parts = await run({})
    record = await manage(parts, "add", "demo", program(env={"SECRET": CANARY}))
    assert (record["state"], record["kind"], record["held"]) == ("running", "stdio", [])
    assert "add" in record["tools"]
    assert record["service_id"].endswith(":demo")
    assert await call(parts, "environment", name="SECRET") == CANARY
    [listed] = await manage(parts, "list")
    assert listed["name"] == "demo"
    status = await manage(parts, "status", "demo")
    assert CANARY not in str([record, listed, status])
    with pytest.raises(Conflict, match="already"):
        await manage(parts, "add", "demo", program())
    await manage(parts, "remove", "demo")
    assert await manage(parts, "list") == []
    with pytest.raises(ServiceNotFound):
        await find(parts)


async def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(port=9527, data_dir=tmp_path / "data")

    async def started() -> Parts:
        parts, _ = build(settings)
        await parts.load()
        await parts.upstreams.start()
        return parts

    parts = await started()
    entry = program(env={"SECRET": CANARY}, visibility="public")
    await manage(parts, "add", "demo", entry)
    await manage(parts, "add", "gone", program())
    await manage(parts, "remove", "gone")
    await parts.close()
    for file in (tmp_path / "data").iterdir():
        assert CANARY.encode() not in file.read_bytes(), f"{file.name} has a secret in it"
    parts = await started()
    try:
        assert [record["name"] for record in await manage(parts, "list")] == ["demo"]
        assert await call(parts, "environment", name="SECRET") == CANARY
        assert not (await manage(parts, "status", "demo"))["is_configured"]
    finally:
        await parts.close()


async def test_only_an_admin_of_the_workspace_manages_its_servers(run: Run) -> None:
    parts = await run({"demo": program()})
    for by in (
        caller("reader", permission="r"),
        caller("writer", permission="rw"),
        caller("stranger", "ws-user-stranger"),
        caller("anonymouz-1", is_anonymous=True),
    ):
        for function, args in (
            ("add", ("x", {"url": "https://example.com/mcp"})),
            ("remove", ("demo",)),
            ("restart", ("demo",)),
            ("status", ("demo",)),
            ("approve", ("demo",)),
        ):
            with pytest.raises(PermissionDenied):
                await manage(parts, function, *args, by=by, workspace="public")
    with pytest.raises(PermissionDenied):
        await manage(parts, "list", by=caller("stranger", "ws-x"), workspace="public")


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "sh", "args": ["-c", "id"]},
        {"openapi": "/etc/passwd"},
    ],
)
async def test_what_touches_the_machine_of_the_gateway_is_for_its_operators(
    run: Run, entry: dict[str, Any]
) -> None:
    parts = await run({})
    with pytest.raises(PermissionDenied):
        await manage(parts, "add", "demo", entry, by=caller("ann"))
    assert await manage(parts, "list") == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_an_admin_of_a_workspace_cannot_send_the_gateway_into_its_own_network(
    run: Run, host: str
) -> None:
    parts = await run({})
    entry = {"url": f"http://{host}:1/mcp"}
    record = await manage(parts, "add", "demo", entry, by=caller("ann"))
    assert record["state"] != "running"
    assert "private or local address" in record["reason"]


async def test_others_get_nothing_of_the_environment_of_the_gateway(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_TOKEN", CANARY)
    parts = await run({})
    for value in ("${DEMO_TOKEN}", "${env:DEMO_TOKEN}", "${file:/etc/hostname}"):
        entry = {"url": "https://example.com/mcp", "headers": {"Authorization": value}}
        with pytest.raises(InvalidRequest) as caught:
            await manage(parts, "add", "demo", entry, by=caller("ann"))
        assert CANARY not in caught.value.message


async def test_names_and_workspaces_are_checked(run: Run) -> None:
    parts = await run({"demo": program()})
    with pytest.raises(Conflict, match="belongs to the gateway"):
        await manage(parts, "add", "hypha-login", program())
    with pytest.raises(Conflict, match="configuration"):
        await manage(parts, "remove", "demo")
    with pytest.raises(WorkspaceNotFound):
        await manage(parts, "add", "x", program(), workspace="nowhere-at-all")
    with pytest.raises(NotFound):
        await manage(parts, "restart", "nothing")
    with pytest.raises(InvalidRequest, match="exactly one of"):
        await manage(parts, "add", "x", {"args": []})


async def test_servers_go_with_their_workspace(run: Run) -> None:
    parts = await run({})
    await parts.workspaces.create({"name": "team-1"}, User("ann"))
    await manage(parts, "add", "demo", program(), workspace="team-1")
    await parts.gateway.call(
        ROOT, await parts.gateway.find_service(ROOT, "public", "~"), "delete_workspace", ("team-1",)
    )
    await until(lambda: not parts.upstreams.in_workspace("team-1"))


async def test_a_tool_that_changed_is_held_back_until_it_is_approved(
    run: Run, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    parts = await run({"demo": program("--state", str(state))})
    assert await call(parts, "pinned") == "pinned"
    state.write_text("changed")
    record = await manage(parts, "restart", "demo")
    [held] = record["held"]
    assert (held["tool"], held["reason"]) == ("pinned", "changed")
    assert '-"description": "The pinned one."' in held["diff"].replace("- ", "-")
    service = await find(parts)
    assert "pinned" not in service.functions
    assert "add" in service.functions, "the others are not touched"
    with pytest.raises(FunctionHeld, match="waits for the approval"):
        await call(parts, "pinned")
    with pytest.raises(FunctionHeld):
        await parts.gateway.read(ROOT, service, "pinned")
    with pytest.raises(InvalidRequest, match="has changed since"):
        await manage(parts, "approve", "demo", {"pinned": "0" * 64})
    assert await manage(parts, "approve", "demo", {"pinned": held["digest"]}) == ["pinned"]
    assert await call(parts, "pinned") == "pinned"
    assert (await manage(parts, "status", "demo"))["held"] == []


async def test_new_tools_can_have_to_wait_as_well_and_nothing_has_to(
    run: Run, tmp_path: Path
) -> None:
    parts = await run({"demo": program()}, mcp_quarantine="all")
    assert set((await find(parts)).functions) & {"add", "pinned"} == set()
    with pytest.raises(FunctionHeld):
        await call(parts, "add", a=1)
    assert await manage(parts, "approve", "demo", ["add"]) == ["add"]
    assert await call(parts, "add", a=1) == 2
    with pytest.raises(FunctionNotFound):
        await call(parts, "nothing")


async def test_restarts_leave_calls_with_an_answer(run: Run, tmp_path: Path) -> None:
    parts = await run({"demo": program()})
    file = tmp_path / "noted"
    calling = asyncio.create_task(call(parts, "wait", file=str(file)))
    await until(lambda: file.exists())
    await manage(parts, "restart", "demo")
    with pytest.raises(Exception, match="connection to demo was lost"):
        await calling
    assert await call(parts, "add", a=1) == 2
