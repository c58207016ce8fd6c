"""Ready configurations of MCP clients for one endpoint. Pure; the only place that knows them.

No credential is ever put in: where one is needed, each client's own way to read it from the
environment or to ask for it is written. The sources are the clients' own documents.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

TOKEN_VARIABLE: Final = "POLYPORT_TOKEN"  # noqa: S105 - the name of a variable
PROGRAM: Final = ("polyport",)
BLANK: Final = "<your token>"
"""Where a client can neither ask for a token nor read a variable."""

Content = Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client is to be connected to. ``program`` starts the command line of Polyport, for
    clients that start local programs only."""

    key: str
    url: str
    needs_token: bool
    program: tuple[str, ...] = PROGRAM

    @classmethod
    def of(
        cls, name: str, url: str, *, needs_token: bool, program: tuple[str, ...] = PROGRAM
    ) -> Endpoint:
        """``name`` becomes the key of the server, of characters that every client takes."""
        return cls(re.sub(r"[^A-Za-z0-9_-]", "-", name), url, needs_token, program)

    def headers(self, variable: str) -> dict[str, str]:
        """The header with the token, as the client's way to name a variable; or none."""
        if not self.needs_token:
            return {}
        return {"Authorization": f"Bearer {variable % TOKEN_VARIABLE}"}

    def plain(self, variable: str, *, key: str = "url", **more: Any) -> dict[str, Any]:
        """The entry that most clients have: an address, and headers if any."""
        headers = self.headers(variable)
        return {**more, key: self.url, **({"headers": headers} if headers else {})}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one client wants. ``file`` is where ``content`` goes, relative to the project or to the
    user's home (``~``); ``command`` does it for the user; ``note`` is what else one has to know."""

    title: str
    file: str | None = None
    content: Content | None = None
    language: str = "json"
    command: str | None = None
    note: str | None = None

    def to_wire(self) -> dict[str, Any]:
        shown = {
            "title": self.title,
            "command": self.command,
            "file": self.file,
            "content": self.content,
            "note": self.note,
        }
        return {key: value for key, value in shown.items() if value is not None}

    @property
    def text(self) -> str:
        """The content as it stands in its file."""
        if isinstance(self.content, str):
            return self.content
        return json.dumps(self.content, indent=2)

    @property
    def blank(self) -> str | None:
        """What is left for the user to fill in, if anything."""
        return BLANK if BLANK in self.text else None


def _claude_code(to: Endpoint) -> Configuration:
    words = ["claude", "mcp", "add", "--transport", "http", to.key, shlex.quote(to.url)]
    if to.needs_token:
        words.append(f'--header "Authorization: Bearer ${TOKEN_VARIABLE}"')
    return Configuration(
        "Claude Code",
        ".mcp.json",
        {"mcpServers": {to.key: to.plain("${%s}", type="http")}},
        command=" ".join(words),
        note="The file is for a project, the command for you.",
    )


def _claude_desktop(to: Endpoint) -> Configuration:
    entry: dict[str, Any] = {
        "command": to.program[0],
        "args": [*to.program[1:], "stdio", "--url", to.url],
    }
    if to.needs_token:
        entry["env"] = {TOKEN_VARIABLE: BLANK}
    return Configuration(
        "Claude Desktop",
        "claude_desktop_config.json",
        {"mcpServers": {to.key: entry}},
        note=(
            "Settings, Developer, Edit Config. Claude Desktop starts local programs only, so the "
            "command line of Polyport connects for it; give its whole path if it is not found. "
            "Connectors in the settings work for servers that are reachable from the internet."
        ),
    )


def _cursor(to: Endpoint) -> Configuration:
    content = {"mcpServers": {to.key: to.plain("${env:%s}")}}
    return Configuration("Cursor", ".cursor/mcp.json", content)


def _vscode(to: Endpoint) -> Configuration:
    content: dict[str, Any] = {"servers": {to.key: to.plain("${input:%s}", type="http")}}
    if to.needs_token:
        asked = {"type": "promptString", "id": TOKEN_VARIABLE, "password": True}
        content["inputs"] = [{**asked, "description": "Polyport token"}]
    note = "The key is servers, and secrets are asked for (inputs)."
    return Configuration("VS Code", ".vscode/mcp.json", content, note=note)


def _copilot(to: Endpoint) -> Configuration:
    entry = {**to.plain("${%s}", type="http"), "tools": ["*"]}
    content = {"mcpServers": {to.key: entry}}
    return Configuration("Copilot CLI", "~/.copilot/mcp-config.json", content)


def _codex(to: Endpoint) -> Configuration:
    lines = [f"[mcp_servers.{to.key}]", f"url = {json.dumps(to.url)}"]
    if to.needs_token:
        lines.append(f'bearer_token_env_var = "{TOKEN_VARIABLE}"')
    return Configuration("Codex", "~/.codex/config.toml", "\n".join(lines) + "\n", "toml")


def _gemini(to: Endpoint) -> Configuration:
    words = ["gemini", "mcp", "add", "--transport", "http", to.key, shlex.quote(to.url)]
    if to.needs_token:
        words.append(f'--header "Authorization: Bearer ${TOKEN_VARIABLE}"')
    content = {"mcpServers": {to.key: to.plain("$%s", key="httpUrl")}}
    note = (
        "httpUrl, because url means an older transport there. Put ?schema=portable behind the URL "
        "if the schema of a tool is refused."
    )
    return Configuration(
        "Gemini CLI", "~/.gemini/settings.json", content, command=" ".join(words), note=note
    )


def _windsurf(to: Endpoint) -> Configuration:
    content = {"mcpServers": {to.key: to.plain("${env:%s}", key="serverUrl")}}
    return Configuration("Windsurf", "~/.codeium/windsurf/mcp_config.json", content)


def _zed(to: Endpoint) -> Configuration:
    content = {"context_servers": {to.key: to.plain("<the value of %s>")}}
    return Configuration("Zed", "~/.config/zed/settings.json", content)


def _goose(to: Endpoint) -> Configuration:
    lines = [
        "extensions:",
        f"  {to.key}:",
        f"    name: {to.key}",
        "    enabled: true",
        "    type: streamable_http",
        f"    uri: {to.url}",
    ]
    if to.needs_token:
        lines += ["    headers:", f"      Authorization: Bearer ${{{TOKEN_VARIABLE}}}"]
        lines.append(f"    env_keys: [{TOKEN_VARIABLE}]")
    text = "\n".join(lines) + "\n"
    return Configuration("Goose", "~/.config/goose/config.yaml", text, "yaml")


def _jetbrains(to: Endpoint) -> Configuration:
    content = {"mcpServers": {to.key: to.plain("<the value of %s>")}}
    note = "Settings, Tools, AI Assistant, Model Context Protocol, Add, As JSON."
    return Configuration("JetBrains", None, content, note=note)


def _chatgpt(to: Endpoint) -> Configuration:
    note = (
        f"Settings, Apps & Connectors, Developer mode, Create: {to.url}. It connects from its own "
        "servers, so the gateway needs a public HTTPS address, and OAuth if it wants a token."
    )
    return Configuration("ChatGPT", note=note)


def _openai_responses(to: Endpoint) -> Configuration:
    tool: dict[str, Any] = {
        "type": "mcp",
        "server_label": to.key,
        "server_url": to.url,
        "require_approval": "never",
    }
    if to.needs_token:
        tool["authorization"] = BLANK
    note = "Calls come from OpenAI's servers, so the gateway needs a public HTTPS address."
    return Configuration("OpenAI Responses API", None, {"tools": [tool]}, note=note)


def _code(to: Endpoint, imports: tuple[str, ...], *lines: str) -> str:
    """A piece of a program, with the address as ``URL`` and the headers, if any, as ``HEADERS``."""
    top = [*imports, "", f'URL = "{to.url}"']
    if to.needs_token:
        top = ["import os", "", *top]
        top.append(f'HEADERS = {{"Authorization": "Bearer " + os.environ["{TOKEN_VARIABLE}"]}}')
    return "\n".join([*top, "", *lines]) + "\n"


def _openai_agents(to: Endpoint) -> Configuration:
    headers = ', "headers": HEADERS' if to.needs_token else ""
    code = _code(
        to,
        ("from agents.mcp import MCPServerStreamableHttp",),
        "server = MCPServerStreamableHttp(",
        f'    params={{"url": URL{headers}}},',
        "    client_session_timeout_seconds=60,",
        ")",
    )
    note = "Without the last argument a call may take no longer than 5 seconds."
    return Configuration("OpenAI Agents SDK", None, code, "python", note=note)


def _langchain(to: Endpoint) -> Configuration:
    headers = ', "headers": HEADERS' if to.needs_token else ""
    code = _code(
        to,
        ("from langchain_mcp_adapters.client import MultiServerMCPClient",),
        f'server = {{"transport": "streamable_http", "url": URL{headers}}}',
        f'client = MultiServerMCPClient({{"{to.key}": server}})',
        "tools = await client.get_tools()",
    )
    return Configuration("LangChain", None, code, "python")


def _pydantic_ai(to: Endpoint) -> Configuration:
    imports = ("from pydantic_ai import Agent", "from pydantic_ai.mcp import MCPToolset")
    agent = "agent = Agent(model, toolsets=[MCPToolset(%s)])"
    if not to.needs_token:
        return Configuration("Pydantic AI", None, _code(to, imports, agent % "URL"), "python")
    code = _code(
        to,
        ("from fastmcp.client.transports import StreamableHttpTransport", *imports),
        "transport = StreamableHttpTransport(URL, headers=HEADERS)",
        agent % "transport",
    )
    return Configuration("Pydantic AI", None, code, "python")


CLIENTS: Final[Mapping[str, Callable[[Endpoint], Configuration]]] = {
    "claude-code": _claude_code,
    "claude-desktop": _claude_desktop,
    "cursor": _cursor,
    "vscode": _vscode,
    "copilot-cli": _copilot,
    "codex": _codex,
    "gemini": _gemini,
    "windsurf": _windsurf,
    "zed": _zed,
    "goose": _goose,
    "jetbrains": _jetbrains,
    "chatgpt": _chatgpt,
    "openai-responses": _openai_responses,
    "openai-agents": _openai_agents,
    "langchain": _langchain,
    "pydantic-ai": _pydantic_ai,
}


def configurations(name: str, url: str, *, needs_token: bool) -> dict[str, Any]:
    """Per client what ``Configuration.to_wire`` shows of it."""
    endpoint = Endpoint.of(name, url, needs_token=needs_token)
    return {client: make(endpoint).to_wire() for client, make in CLIENTS.items()}
