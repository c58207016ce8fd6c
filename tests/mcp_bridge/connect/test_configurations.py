"""What each client is told."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from mcp_bridge.connect.configurations import CLIENTS, Endpoint, configurations

URL = "https://gateway.example/ws/mcp/lab/mcp"


@pytest.mark.parametrize("needs_token", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_configuration_names_the_endpoint_in_a_form_that_its_client_reads(
    client: str, needs_token: bool
) -> None:
    found = CLIENTS[client](Endpoint.of("lab", URL, needs_token=needs_token))
    assert URL in f"{found.text} {found.command} {found.note}"
    readers: dict[str, Callable[[str], Any]] = {
        "json": json.loads,
        "toml": tomllib.loads,
        "yaml": yaml.safe_load,
    }
    if found.content is None:
        assert found.note
    elif found.language == "python":
        compile(found.text, client, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    else:
        assert readers[found.language](found.text)
    hints = ("POLYPORT_TOKEN", "<your token>")
    has_hint = any(hint in f"{found.text} {found.command}" for hint in hints)
    assert has_hint == (needs_token and found.content is not None)


def test_clients_have_their_own_word_for_the_address() -> None:
    found = configurations("lab", URL, needs_token=False)
    assert found["gemini"]["content"]["mcpServers"]["lab"] == {"httpUrl": URL}
    assert found["vscode"]["content"]["servers"]["lab"] == {"type": "http", "url": URL}
    assert found["windsurf"]["content"]["mcpServers"]["lab"] == {"serverUrl": URL}
    assert found["claude-desktop"]["content"]["mcpServers"]["lab"] == {
        "command": "polyport",
        "args": ["stdio", "--url", URL],
    }
