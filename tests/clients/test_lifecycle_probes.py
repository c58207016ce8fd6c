"""What existing callers rely on over more than one request: workspaces, singletons, a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway, started
from tests.clients.raw import admitted

ROOT = "r" * 40


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"POLYPORT_ROOT_TOKEN": ROOT, "HYPHA_HTTP_RATE_LIMIT": "0"}


async def test_a_workspace_lives_and_ends_over_http(http: httpx.AsyncClient) -> None:
    async def ask(where: str, function: str, /, **body: Any) -> Any:
        answer = await http.post(
            f"/{where}/services/ws/{function}",
            json=body,
            headers={"authorization": f"Bearer {ROOT}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def workspaces() -> set[str]:
        return {entry["id"] for entry in await ask("public", "list_workspaces")}

    made = await ask("public", "create_workspace", config={"id": "cell-lab", "persistent": True})
    assert made["id"] == "cell-lab"
    assert "cell-lab" in await workspaces()

    await ask("cell-lab", "set_env", key="API_KEY", value="k")
    assert await ask("cell-lab", "get_env", key="API_KEY") == "k"
    await ask("cell-lab", "set_env", key="API_KEY", value=None)
    assert await ask("cell-lab", "get_env") == {}

    item = {"bookmark_type": "workspace", "id": "cell-lab"}
    await ask("public", "bookmark", item=item)
    await ask("public", "unbookmark", item=item)

    await ask("public", "delete_workspace", workspace="cell-lab")
    assert "cell-lab" not in await workspaces()
    gone = await http.get("/cell-lab/info", headers={"authorization": f"Bearer {ROOT}"})
    assert gone.status_code == 404


async def test_a_singleton_is_one_client_s_alone(connect: Connect, http: httpx.AsyncClient) -> None:
    first = await connect()
    token = await first.generate_token()
    second = await connect(token=token, workspace=first.config.workspace)
    service = {"id": "one", "config": {"singleton": True, "visibility": "public"}}
    await first.register_service({**service, "who": lambda: "first"})
    with pytest.raises(Exception, match="singleton service with the same name"):
        await second.register_service({**service, "who": lambda: "second"})
    url = f"/{first.config.workspace}/services/one/who"
    assert (await http.get(url)).json() == "first"


async def test_a_client_returns_with_its_token_after_a_restart(tmp_path: Path) -> None:
    arguments = ("-m", "gateway.server", "--port", "0", "--data-dir", str(tmp_path / "data"))
    with started(tmp_path, {}, arguments) as gateway:
        async with admitted(gateway, client_id="robot") as client:
            before = client.info
        assert gateway.end() == 0
    with started(tmp_path, {}, arguments) as gateway:
        await _returns(gateway, before)
        assert gateway.end() == 0


async def _returns(gateway: Gateway, before: dict[str, Any]) -> None:
    hello = {
        "client_id": "robot",
        "workspace": before["workspace"],
        "reconnection_token": before["reconnection_token"],
    }
    async with admitted(gateway, **hello) as client:
        assert client.info["workspace"] == before["workspace"]
        assert client.info["user"]["id"] == before["user"]["id"]
