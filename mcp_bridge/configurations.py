"""Ready configurations of MCP clients for one endpoint. Pure; the only place that knows them.

No credential is ever put in: where one is needed, each client's own way to read it from the
environment or to ask for it is written.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

TOKEN_VARIABLE: Final = "POLYPORT_TOKEN"  # noqa: S105 - the name of a variable


def configurations(name: str, url: str, *, needs_token: bool) -> dict[str, Any]:
    """Per client: the file the configuration goes into, its content, or the command to run."""
    key = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return {
        "claude-code": {
            "command": _claude_command(key, url, needs_token),
            "file": ".mcp.json",
            "content": {"mcpServers": {key: _typed(url, needs_token, "${%s}")}},
        },
        "cursor": {
            "file": ".cursor/mcp.json",
            "content": {"mcpServers": {key: _plain(url, needs_token, "${env:%s}")}},
        },
        "vscode": {"file": ".vscode/mcp.json", "content": _vscode(key, url, needs_token)},
    }


def _claude_command(key: str, url: str, needs_token: bool) -> str:
    words = ["claude", "mcp", "add", "--transport", "http", key, shlex.quote(url)]
    if needs_token:
        words.append(f'--header "Authorization: Bearer ${TOKEN_VARIABLE}"')
    return " ".join(words)


def _plain(url: str, needs_token: bool, variable: str) -> dict[str, Any]:
    server: dict[str, Any] = {"url": url}
    if needs_token:
        server["headers"] = {"Authorization": f"Bearer {variable % TOKEN_VARIABLE}"}
    return server


def _typed(url: str, needs_token: bool, variable: str) -> dict[str, Any]:
    return {"type": "http", **_plain(url, needs_token, variable)}


def _vscode(key: str, url: str, needs_token: bool) -> dict[str, Any]:
    """VS Code says ``servers`` and asks for secrets by ``inputs``."""
    content: dict[str, Any] = {"servers": {key: _typed(url, needs_token, "${input:%s}")}}
    if needs_token:
        asked = {"type": "promptString", "id": TOKEN_VARIABLE, "password": True}
        content["inputs"] = [{**asked, "description": "Polyport token"}]
    return content
