"""What was answered survives, however the server ends; and two servers do not share a directory."""

from __future__ import annotations

import asyncio
import itertools
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypha_rpc import connect_to_server

from tests.clients.gateways import ROOT, Gateway, free_port, started
from tests.clients.oauth_user import Kept, User, mcp_client
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.long

TOKEN = "r" * 40
WRITES = 100
ENVIRONMENT = {"POLYPORT_ROOT_TOKEN": TOKEN}


def arguments(directory: Path) -> tuple[str, ...]:
    return ("-m", "gateway.server", "--port", "0", "--data-dir", str(directory))


def ask(gateway: Gateway, path: str, token: str = TOKEN, **body: Any) -> Any:
    answer = httpx.post(
        f"{gateway.url}{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE_SECONDS,
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


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_while_it_writes(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "data"
    acknowledged: set[str] = set()
    headers = {"authorization": f"Bearer {TOKEN}"}

    async def write(http: httpx.AsyncClient, writer: int) -> None:
        for number in itertools.count():
            key = f"KEY_{writer}_{number}"
            sent = {"key": key, "value": key}
            answer = await http.post("/ws-user-root/services/ws/set_env", json=sent)
            assert answer.status_code == 200, answer.text
            acknowledged.add(key)
            if len(acknowledged) == WRITES:
                gateway.process.kill()

    with started(tmp_path, ENVIRONMENT, arguments(directory)) as gateway:
        async with httpx.AsyncClient(
            base_url=gateway.url, headers=headers, timeout=PATIENCE_SECONDS
        ) as http:
            writers = [write(http, number) for number in range(8)]
            ended = await asyncio.gather(*writers, return_exceptions=True)
        assert all(isinstance(error, httpx.TransportError) for error in ended), ended
    with started(tmp_path, ENVIRONMENT, arguments(directory)) as gateway:
        kept = ask(gateway, "/ws-user-root/services/ws/get_env")
        assert acknowledged <= kept.keys()
        assert all(key == value for key, value in kept.items())
        assert gateway.end() == 0


async def test_what_users_have_allowed_and_made_survives_a_restart(tmp_path: Path) -> None:
    port = str(free_port())  # tokens of clients are for the address of an endpoint
    serve = ("-m", "gateway.server", "--port", port, "--data-dir", str(tmp_path / "data"))
    environment = {**ENVIRONMENT, "POLYPORT_OAUTH_SERVER": "1"}
    kept = Kept()
    with started(tmp_path, environment, serve) as gateway:
        endpoint = f"{gateway.url}/ws-user-root/mcp/ws/mcp"
        made = ask(gateway, "/ws-user-root/services/ws/generate_api_key", name="ci")
        other = ask(gateway, "/ws-user-root/services/ws/generate_api_key", name="gone")
        ask(gateway, "/ws-user-root/services/ws/revoke_api_key", key_id=other["id"])
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            user = User(http, TOKEN)
            async with mcp_client(endpoint, user.provider(endpoint, kept)) as client:
                await client.call_tool("check_status", {})
        assert gateway.end() == 0
    with started(tmp_path, environment, serve) as gateway:
        assert ask(gateway, "/ws-user-root/services/ws/check_status", made["key"])
        headers = {"authorization": f"Bearer {other['key']}"}
        assert (
            httpx.get(
                f"{gateway.url}/public/services", headers=headers, timeout=PATIENCE_SECONDS
            ).status_code
            == 401
        )
        provider = user.provider(endpoint, kept)
        async with mcp_client(endpoint, provider) as client:
            await client.call_tool("check_status", {})
            before = kept.tokens
            provider.context.token_expiry_time = 1.0  # long ago: what it has now is refreshed
            await client.call_tool("check_status", {})
            assert kept.tokens is not None and kept.tokens != before
        assert len(user.pages) == 1
        assert gateway.end() == 0


@pytest.mark.parametrize(
    ("name", "limit", "sentence"),
    [
        ("file/data", None, "The data directory {} cannot be used (Not a directory)."),
        ("data", 16 * 1024, "The database cannot be used: "),
    ],
    ids=["no-directory", "full-disk"],
)
def test_a_place_that_takes_no_data_ends_the_start_with_a_sentence(
    tmp_path: Path, name: str, limit: int | None, sentence: str
) -> None:
    (tmp_path / "file").write_text("")
    directory = tmp_path / name

    def no_more() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = subprocess.run(
        [sys.executable, *arguments(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        preexec_fn=no_more,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(sentence.format(directory))


def test_a_second_server_on_a_directory_ends_with_a_sentence(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with started(tmp_path, ENVIRONMENT, arguments(directory)):
        second = subprocess.run(
            [sys.executable, *arguments(directory)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
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
            f"{gateway.url}/public/services",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
        )
        assert old.status_code == 401
        assert gateway.end() == 0
