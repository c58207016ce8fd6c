"""The configuration of upstreams: the forms that people have, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.upstreams.config_file import ConfigMistake, parse, read_config
from gateway.upstreams.entries import BadEntry, Document, Program, Remote, Upstream, service_id
from gateway.upstreams.expansion import Expansion
from gateway.upstreams.oauth_entry import OAuthEntry
from schema.services import Visibility


def read(entries: dict[str, Any], **variables: str) -> list[Upstream]:
    return parse(entries, Expansion(variables, may_read_files=True), Visibility.PUBLIC)


def test_the_three_kinds_are_told_by_their_keys() -> None:
    program, remote, old, document = read(
        {
            "My Server": {"command": "npx", "args": ["-y", "x", 1], "env": {"A": 1, "B": True}},
            "remote": {"url": "https://a.example/mcp", "headers": {"X-Key": "k"}},
            "old": {"type": "sse", "url": "https://a.example/sse", "timeout": 60000},
            "api": {"openapi": "https://a.example/openapi.json", "include": ["GET *"]},
        }
    )
    assert program.name == "My-Server"
    assert program.target == Program("npx", ("-y", "x", "1"), {"A": "1", "B": "true"})
    assert remote.target == Remote("https://a.example/mcp", {"X-Key": "k"}, oauth=OAuthEntry())
    assert old.target == Remote("https://a.example/sse", is_sse=True, oauth=OAuthEntry())
    assert old.call_seconds == 60
    assert document.target == Document("https://a.example/openapi.json", include=("GET *",))


@pytest.mark.parametrize("group", ["mcpServers", "servers"])
def test_both_forms_of_the_file_are_read(tmp_path: Path, group: str) -> None:
    file = tmp_path / "mcp.json"
    entries = {"a": {"type": "stdio", "command": "x"}, "b": {"disabled": True}}
    file.write_text(json.dumps({group: entries, "inputs": []}))
    assert [u.name for u in read_config(Settings(mcp_config=file))] == ["a"]


def test_values_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-file\n")
    [upstream] = read(
        {
            "a": {
                "url": "${BASE}/mcp",
                "headers": {
                    "A": "Bearer ${env:TOKEN}",
                    "B": "${LEVEL:-low}",
                    "C": f"${{file:{secret}}}",
                },
            }
        },
        BASE="https://a.example",
        TOKEN="t",
    )
    headers = {"A": "Bearer t", "B": "low", "C": "from-file"}
    assert upstream.target == Remote("https://a.example/mcp", headers, oauth=OAuthEntry())


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "exactly one of"),
        ({"command": "x", "url": "https://a.example"}, "exactly one of"),
        ("text", "must be a map"),
        ({"command": "x", "args": "y"}, "'args' must be a list"),
        ({"command": "x", "env": {"A": {}}}, "'env.A' must be text"),
        ({"command": "a\0b"}, "'command' must be text"),
        ({"url": "ftp://a.example"}, "no http or https URL"),
        ({"url": "https://user:canary@a.example"}, "has a password in it"),
        ({"url": "https://a.example", "type": "carrier-pigeon"}, "none of http and sse"),
        ({"url": "https://a.example", "headers": {"A": "b\r\nC: d"}}, "printable ASCII"),
        ({"url": "https://a.example", "headers": {"A b": "c"}}, "no name of a header"),
        ({"url": "https://${HOST}/mcp"}, "environment variable HOST is not set"),
        ({"url": "https://a.example", "headers": {"A": "${input:a-key}"}}, "variable A_KEY"),
        ({"command": "${workspaceFolder}/x"}, "is not set"),
        ({"command": "${command:pick}"}, "is not known here"),
        ({"command": "x", "envFile": "/nowhere/.env"}, "cannot be read"),
        ({"command": "x", "sandboxEnabled": True}, "wants a sandbox"),
        ({"url": "https://a.example", "headersHelper": "x"}, "does not run"),
        ({"command": "x", "includeTools": "a"}, "'includeTools' must be a list"),
        ({"command": "x", "timeout": -1}, "number of seconds"),
        ({"command": "x", "visibility": "secret"}, "'visibility' is"),
        ({"command": "x", "auth": "oauth"}, "'auth' is"),
    ],
)
def test_a_mistake_is_named_with_its_server_and_without_secrets(entry: Any, words: str) -> None:
    with pytest.raises(BadEntry, match=words) as caught:
        read({"broken": entry})
    assert "server 'broken'" in caught.value.message
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("name", ["ws", "default", "built-in"])
def test_names_that_mean_something_else_are_a_mistake(name: str) -> None:
    with pytest.raises(BadEntry, match=f"the name '{name}' belongs to the gateway"):
        service_id(name)


def test_two_servers_of_one_name_are_a_mistake() -> None:
    with pytest.raises(BadEntry, match="another one is called"):
        read({"a b": {"command": "x"}, "a-b": {"command": "y"}})


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ("[]", "needs the key"), ('{"mcpServers": []}', "needs the key")],
)
def test_a_file_that_is_none_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(ConfigMistake, match=words):
        read_config(Settings(mcp_config=file))
    with pytest.raises(ConfigMistake, match="cannot be read"):
        read_config(Settings(mcp_config=tmp_path / "nothing.json"))


def test_servers_are_public_only_where_nobody_else_gets_to(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"a": {"command": "x"}}}')

    def visibility(**settings: Any) -> Visibility:
        return read_config(Settings(mcp_config=file, **settings))[0].visibility

    assert visibility(host="127.0.0.1") is Visibility.PUBLIC
    assert visibility(host="0.0.0.0") is Visibility.PROTECTED
    assert visibility(host="0.0.0.0", mcp_visibility="public") is Visibility.PUBLIC


def test_a_file_of_an_editor_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "from-environment")
    folder = tmp_path / "project"
    (folder / ".vscode").mkdir(parents=True)
    (folder / ".env").write_text("# ours\nexport A='one'\nB = two\n\nC=x=y\n")
    file = folder / ".vscode" / "mcp.json"
    file.write_text("""{
      // what VS Code asks for
      "inputs": [
        {"id": "api-key", "type": "promptString", "password": true},
        {"id": "level", "type": "promptString", "default": "low"}, /* and more */
      ],
      "servers": {
        "local": {
          "type": "stdio",
          "command": "${workspaceFolder}/run",
          "args": ["--url", "http://x//y", "${workspaceFolderBasename}", "${userHome}${/}x"],
          "envFile": "${workspaceFolder}/.env",
          "env": {"B": "three", "LEVEL": "${input:level}"},
          "dev": {"watch": "**/*.ts"},
        },
        "remote": {"url": "https://a.example", "headers": {"K": "${input:api-key}"}},
      },
    }""")
    local, remote = read_config(Settings(mcp_config=file))
    assert local.target == Program(
        f"{folder}/run",
        ("--url", "http://x//y", "project", f"{Path.home()}/x"),
        {"A": "one", "B": "three", "C": "x=y", "LEVEL": "low"},
    )
    assert remote.target == Remote(
        "https://a.example", {"K": "from-environment"}, oauth=OAuthEntry()
    )


def test_the_settings_of_an_editor_have_them_deeper_down(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"editor.x": 1, "mcp": {"servers": {"a": {"command": "~/bin/x"}}}}')
    [upstream] = read_config(Settings(mcp_config=file))
    assert upstream.target == Program(str(Path.home() / "bin/x"))


@pytest.mark.parametrize(
    ("keys", "offered"),
    [
        ({}, ["get_a", "get_b", "put"]),
        ({"includeTools": ["get_a", "put"]}, ["get_a", "put"]),
        ({"tools": ["*"], "disabledTools": ["put"]}, ["get_a", "get_b"]),
        ({"include": ["get_*"], "exclude": ["*_b"]}, ["get_a"]),
    ],
)
def test_tools_are_chosen_as_other_programs_do_it(keys: dict[str, Any], offered: list[str]) -> None:
    [upstream] = read({"a": {"command": "x", **keys}})
    assert [name for name in ("get_a", "get_b", "put") if upstream.offers(name)] == offered


def test_a_missing_brace_is_said_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"a": {"command": "x"}\n')
    with pytest.raises(ConfigMistake, match="line 2"):
        read_config(Settings(mcp_config=file))
