"""Configurations in the files of clients, beside what is there."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest

from mcp_bridge.connect.configurations import CLIENTS, Endpoint
from mcp_bridge.connect.files import NotWritten, place, write

HERE = Endpoint.of("lab tools", "https://gateway.example/ws/mcp/lab/mcp", needs_token=True)


def test_what_is_there_stays_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    mine = {"theme": "dark", "mcpServers": {"other": {"command": "x"}, "lab-tools": {"url": "old"}}}
    file.write_text(json.dumps(mine))
    found = CLIENTS["cursor"](HERE)
    write(found, file)
    once = file.read_text()
    write(found, file)
    assert file.read_text() == once
    assert json.loads(once) == {
        "theme": "dark",
        "mcpServers": {
            "other": {"command": "x"},
            "lab-tools": {
                "url": HERE.url,
                "headers": {"Authorization": "Bearer ${env:POLYPORT_TOKEN}"},
            },
        },
    }
    assert json.loads((tmp_path / "mcp.json.bak").read_text()) == json.loads(once)


def test_a_new_file_is_the_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "settings.json"
    write(CLIENTS["gemini"](HERE), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_toml_is_appended_once(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('model = "m"  # mine\n')
    write(CLIENTS["codex"](HERE), file)
    assert file.read_text().startswith('model = "m"  # mine\n')
    assert tomllib.loads(file.read_text())["mcp_servers"]["lab-tools"] == {
        "url": HERE.url,
        "bearer_token_env_var": "POLYPORT_TOKEN",
    }
    with pytest.raises(NotWritten, match="already"):
        write(CLIENTS["codex"](HERE), file)


@pytest.mark.parametrize("text", ['{"a": 1} // comment', "[1]", '"text"'])
def test_a_file_that_would_lose_something_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(NotWritten):
        write(CLIENTS["vscode"](HERE), file)
    assert file.read_text() == text


def test_each_client_has_its_place(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    found = {}
    for client, make in CLIENTS.items():
        try:
            found[client] = place(make(HERE), home=home, project=project).relative_to(tmp_path)
        except NotWritten:
            continue
    assert found["cursor"] == Path("project/.cursor/mcp.json")
    assert found["codex"] == Path("home/.codex/config.toml")
    assert found["claude-desktop"].name == "claude_desktop_config.json"
    assert "chatgpt" not in found
