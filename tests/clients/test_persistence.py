"""What was answered survives, however the server ends; and two servers do not share a directory."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from hypha_rpc import connect_to_server

from tests.clients.gateways import ROOT, START_SECONDS, Gateway, free_port, started

TOKEN = "r" * 40
ENVIRONMENT = {"POLYPORT_ROOT_TOKEN": TOKEN}


def arguments(directory: Path) -> tuple[str, ...]:
    return ("-m", "gateway.server", "--port", "0", "--data-dir", str(directory))


def ask(gateway: Gateway, path: str, token: str = TOKEN, **body: Any) -> Any:
    answer = httpx.post(
        f"{gateway.url}{path}", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_was_answered_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with started(tmp_path, ENVIRONMENT, arguments(directory)) as gateway:
        config = {"id": "cell-lab", "description": "Microscopes", "persistent": True}
        ask(gateway, "/public/services/ws/create_workspace", config=config)
        minting = {"workspace": "cell-lab", "permission": "admin"}
        token = ask(gateway, "/public/services/ws/generate_token", config=minting)
        async with connect_to_server({"server_url": gateway.url, "token": token}) as server:
            assert server.config.workspace == "cell-lab"
            await server.set_env("DATABASE_URL", "postgres://localhost:5432/mydb")
            await server.share_workspace(user_id="ada", permission="read")
            await server.log_event("measured", {"value": 1})
            gateway.end(signal.SIGKILL)

    with started(tmp_path, ENVIRONMENT, arguments(directory)) as gateway:
        async with connect_to_server({"server_url": gateway.url, "token": token}) as server:
            assert await server.get_env("DATABASE_URL") == "postgres://localhost:5432/mydb"
            assert [m["user_id"] for m in await server.list_members()] == ["root", "ada"]
            (event,) = await server.get_events("measured")
            assert event["data"] == {"value": 1}
        record = ask(gateway, "/public/services/ws/get_workspace_info", workspace="cell-lab")
        assert record["description"] == "Microscopes"
        assert gateway.end() == 0
    everything = b"".join(path.read_bytes() for path in directory.iterdir())
    assert b"cell-lab" in everything
    assert b"postgres://localhost" not in everything
    assert {path.stat().st_mode & 0o077 for path in directory.iterdir()} == {0}


def test_a_second_server_on_a_directory_ends_with_a_sentence(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with started(tmp_path, ENVIRONMENT, arguments(directory)):
        second = subprocess.run(
            [sys.executable, *arguments(directory)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.startswith(f"Another server uses the data directory {directory}.")
    assert len(second.stderr.splitlines()) == 1


def test_servers_that_are_told_nothing_keep_apart_and_find_their_data_again(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    usual = tmp_path / "polyport"

    def serve(port: int) -> tuple[str, ...]:
        return ("-m", "gateway.server", "--port", str(port))

    first, second = free_port(), free_port()
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
    with started(tmp_path / "one", home, serve(first)):
        with started(tmp_path / "two", home, serve(second)) as gateway:
            assert str(usual / f"port-{second}") in gateway.written()
        key = (usual / f"port-{second}" / "signing.key").read_text()
    with started(tmp_path / "two", home, serve(second)):
        assert (usual / f"port-{second}" / "signing.key").read_text() == key
    assert (usual / "signing.key").read_text() != key


def test_the_first_start_prints_an_administrator_key_once_and_rotate_admin_replaces_it(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "data"

    def keys(text: str) -> list[str]:
        return re.findall(r"^Administrator key: (pp_\S+) ", text, re.MULTILINE)

    with started(tmp_path, {}, arguments(directory)) as gateway:
        (key,) = keys(gateway.written())
        assert gateway.written().count(key) == 1
        ask(gateway, "/ws-user-root/services/admin-utils/list_workspaces", key)
        rotate = [sys.executable, "-m", "gateway", "rotate-admin", "--data-dir", str(directory)]
        refused = subprocess.run(rotate, cwd=ROOT, capture_output=True, text=True)
        assert refused.returncode == 1 and "Another server uses" in refused.stderr
        assert gateway.end() == 0
    (new,) = keys(subprocess.run(rotate, cwd=ROOT, capture_output=True, text=True).stdout)
    with started(tmp_path, {}, arguments(directory)) as gateway:
        assert keys(gateway.written()) == []
        ask(gateway, "/ws-user-root/services/admin-utils/list_workspaces", new)
        old = httpx.get(
            f"{gateway.url}/public/services", headers={"Authorization": f"Bearer {key}"}
        )
        assert old.status_code == 401
        assert gateway.end() == 0
