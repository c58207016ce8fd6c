"""What the settings make of the application: base path, directories of files, the root token."""

from __future__ import annotations

import importlib
from pathlib import Path

import httpx
import pytest

from gateway.api import Credentials
from gateway.app import build, create_app
from gateway.settings import Settings
from schema.errors import Unauthenticated

TOKEN = "r" * 32


def client_of(**settings: object) -> httpx.AsyncClient:
    app = create_app(Settings(ephemeral=True, **settings))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_below_a_base_path_everything_is_and_beside_it_nothing() -> None:
    async with client_of(base_path="/gw") as client:
        assert (await client.get("/gw/health/liveness")).status_code == 200
        assert (await client.get("/gw/public/services")).status_code == 200
        login = await client.get("/gw/login", follow_redirects=True)
        assert (login.status_code, login.url.path) == (200, "/gw/public/apps/hypha-login/")
        assert (await client.get("/gw", follow_redirects=True)).url.path == "/gw/"
        for path in ("/", "/health/liveness", "/gwx/health/liveness"):
            beside = await client.get(path)
            assert (beside.status_code, beside.json()["type"]) == (404, "NotFound")


@pytest.fixture
def mounts(tmp_path: Path) -> list[str]:
    tools, images = tmp_path / "tools", tmp_path / "images"
    (tools / "sub").mkdir(parents=True)
    images.mkdir()
    (tools / "index.html").write_text("the tools")
    (tools / "sub" / "index.html").write_text("deeper")
    (images / "a.txt").write_text("an image")
    (tmp_path / "secret").write_text("what nobody may read")
    (images / "link").symlink_to(tmp_path / "secret")
    return [f"/tools:{tools}", f"/images/:{images}"]


async def test_directories_of_files_are_served(mounts: list[str]) -> None:
    async with client_of(static_mounts=mounts) as client:
        page = await client.get("/tools?a=b", follow_redirects=True)
        assert (page.text, str(page.url)) == ("the tools", "http://test/tools/?a=b")
        assert page.headers["content-type"].startswith("text/html")
        assert (await client.get("/tools/sub/")).text == "deeper"
        assert (await client.get("/images/a.txt")).text == "an image"
        for path in ("/tools/nothing", "/images/", "/tools/services"):
            assert (await client.get(path)).status_code == 404


async def test_a_copy_of_the_client_is_served_where_the_operator_has_one(tmp_path: Path) -> None:
    (tmp_path / "hypha-rpc-websocket.mjs").write_text("export {}")
    (tmp_path / "config.json").write_text("{}")
    async with client_of(static_mounts=[f"/assets:{tmp_path}"]) as client:
        script = await client.get("/assets/hypha-rpc-websocket.mjs")
        assert script.text == "export {}"
        assert script.headers["content-type"].startswith("text/javascript")
        assert "public_base_url" in (await client.get("/assets/config.json")).json()
    async with client_of() as client:
        absent = await client.get("/assets/hypha-rpc-websocket.mjs")
        assert (absent.status_code, absent.json()["success"]) == (404, False)


@pytest.mark.parametrize(
    "path", ["/images/../secret", "/images/%2e%2e/secret", "/images/..%2fsecret", "/images/link"]
)
async def test_nothing_outside_of_a_directory_is_served(mounts: list[str], path: str) -> None:
    async with client_of(static_mounts=mounts) as client:
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await client.send(request)
        assert answer.status_code == 404
        assert "nobody" not in answer.text


async def test_the_root_token_has_every_right() -> None:
    parts = build(Settings(ephemeral=True, root_token=TOKEN))[0]
    root = await parts.gateway.authenticate(Credentials(TOKEN), "public")
    assert (root.user.id, root.workspace) == ("root", "public")
    for wrong in (TOKEN + "r", TOKEN[:-1], "é" * 32):
        with pytest.raises(Unauthenticated):
            await parts.gateway.authenticate(Credentials(wrong))
    without = build(Settings(ephemeral=True))[0]
    with pytest.raises(Unauthenticated):
        await without.gateway.authenticate(Credentials(TOKEN))


def test_startup_functions_are_refused_where_they_cannot_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLYPORT_STARTUP_FUNCTIONS", "lab:start")
    server = importlib.reload(importlib.import_module("gateway.server"))
    with pytest.raises(RuntimeError, match="need `polyport serve`"):
        _ = server.app
