"""The resources that describe services."""

from __future__ import annotations

import httpx
import msgpack
import pytest

from gateway.testing import FakeGateway

TOKEN = {"Authorization": "Bearer good"}


@pytest.mark.parametrize("path", ["/ws-lab/services", "/ws-lab/services/"])
async def test_a_workspace_lists_its_services_with_and_without_a_slash(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(f"{path}?ignored=1")
    assert answer.status_code == 200
    (entry,) = answer.json()
    assert set(entry) == {
        "id", "name", "type", "description", "docs", "app_id", "service_schema", "config",
    }  # fmt: skip
    assert (entry["id"], entry["name"]) == ("worker:calc", "calc")
    assert entry["service_schema"]["add"]["type"] == "function"


async def test_a_member_sees_protected_services_and_nobody_unlisted_ones(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/ws-lab/services", headers=TOKEN)
    assert [entry["id"] for entry in answer.json()] == ["worker:calc", "worker:private"]


async def test_an_unknown_workspace_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ws-none/services")
    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "code": "workspace_not_found",
        "type": "WorkspaceNotFound",
        "detail": "Workspace 'ws-none' not found",
    }


@pytest.mark.parametrize("path", ["/ws-lab/services/calc", "/ws-lab/services/worker:calc/"])
async def test_one_service_is_shown_with_its_full_id(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["id"]) == (200, "ws-lab/worker:calc")


async def test_an_unlisted_service_is_shown_to_who_knows_its_name(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/ws-lab/services/hidden")).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("nope", 404), ("private", 403), ("a*", 400)])
async def test_a_service_that_cannot_be_shown_says_why(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await client.get(f"/ws-lab/services/{path}")
    assert (answer.status_code, answer.json()["success"]) == (status, False)


async def test_who_is_authorised_is_told_only_inside(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service(
        "ws-lab/worker:shared",
        {},
        config={"authorized_workspaces": ["ws-anonymous", "ws-secret"]},
    )
    outside = (await client.get("/ws-lab/services/shared")).json()
    inside = (await client.get("/ws-lab/services/shared", headers=TOKEN)).json()
    assert "authorized_workspaces" not in outside["config"]
    assert inside["config"]["authorized_workspaces"] == ["ws-anonymous", "ws-secret"]
    listed = (await client.get("/ws-lab/services")).json()
    assert all("authorized_workspaces" not in e["config"] for e in listed)


async def test_the_workspace_manager_describes_itself(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service("ws-lab/gateway:~", {"ping": lambda: "pong"}, visibility="public")
    answer = await client.get("/ws-lab/services/ws")
    assert "ping" in answer.json()["service_schema"]


async def test_mode_chooses_which_instance_is_shown(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    for number in (1, 2):
        gateway.add_service(f"ws-lab/worker-{number}:twin", {}, visibility="public")
    assert (await client.get("/ws-lab/services/twin")).status_code == 400
    last = await client.get("/ws-lab/services/twin?_mode=last")
    assert last.json()["id"] == "ws-lab/worker-2:twin"


async def test_lists_come_as_msgpack_to_those_who_ask(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ws-lab/services", headers={"Accept": "application/msgpack"})
    assert msgpack.unpackb(answer.content)[0]["id"] == "worker:calc"


async def test_the_record_of_a_workspace_is_the_managers(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    def get_workspace_info(workspace: str) -> dict[str, str]:
        return {"id": workspace}

    functions = {"get_workspace_info": get_workspace_info}
    gateway.add_service("ws-lab/manager:~", functions, visibility="public")
    assert (await client.get("/ws-lab/info")).json() == {"id": "ws-lab"}
    assert (await client.post("/ws-lab/info")).status_code == 405
