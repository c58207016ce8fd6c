"""The commands for MCP clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from mcp_bridge.connect.configurations import CLIENTS


@pytest.mark.parametrize(
    ("words", "url"),
    [
        (["public/lab"], "http://127.0.0.1:9527/public/mcp/lab/mcp"),
        (["ws-a/b:lab"], "http://127.0.0.1:9527/ws-a/mcp/b:lab/mcp"),
        (["public"], "http://127.0.0.1:9527/public/mcp"),
        (["public/"], "http://127.0.0.1:9527/public/mcp"),
        (["public", "--server", "https://x.example/base/"], "https://x.example/base/public/mcp"),
        (["--url", "https://x.example/mcp"], "https://x.example/mcp"),
    ],
)
def test_the_endpoint_is_a_service_a_workspace_or_a_url(
    capsys: pytest.CaptureFixture[str], words: list[str], url: str
) -> None:
    assert main(["connect", "cursor", *words, "--json"]) == 0
    servers = json.loads(capsys.readouterr().out)["content"]["mcpServers"]
    assert [server["url"] for server in servers.values()] == [url]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cursor"], "Name either"),
        (["cursor", "public", "--url", "https://x.example"], "Name either"),
        (["cursor", "--url", "ftp://x.example"], "not an http"),
        (["nobody", "public"], "claude-code"),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["connect", *words]) == 2
    written = capsys.readouterr().err
    assert says in written
    assert written.count("\n") == 1


def test_clients_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect"]) == 0
    assert capsys.readouterr().out.split() == list(CLIENTS)


def test_a_configuration_is_written_to_the_project(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["connect", "vscode", "public/lab", "--write", "--name", "mine"]) == 0
    written = json.loads((tmp_path / ".vscode" / "mcp.json").read_text())
    assert list(written["servers"]) == ["mine"]
    assert "token" not in capsys.readouterr().out
    assert main(["connect", "jetbrains", "public/lab", "--write"]) == 1


def test_a_token_that_has_to_be_filled_in_is_mentioned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["connect", "claude-desktop", "public/lab", "--with-token", "--write"]) == 0
    assert "Put the token there, in place of <your token>" in capsys.readouterr().out
