"""`make bench-gateways`: MCP gateways beside this one, on the same work in one run.

The work is a call of the tool ``add``, by the handshake-era protocol that all of them speak. Others
stand in front of an MCP server on FastMCP; Polyport is measured in front of the same server, and
with the function in a hypha-rpc provider, which is what it is made for.

FASTMCP_PYTHON, MCP_PROXY_PYTHON and CONTEXTFORGE_PYTHON name the Pythons of environments that have
them; what is not named is left out.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from tests.bench.measure import Calls, wrk
from tests.bench.report import machine, table
from tests.bench.sections import with_section
from tests.bench.servers import Server, polyport, provider, started
from tests.clients.gateways import free_port

TITLE: Final = "MCP gateways"
CONNECTIONS: Final = 8
SCRIPT: Final = Path(__file__).with_name("mcp_server.py")
HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-06-18",
}
INTRODUCTION: Final = f"""\
`make bench-gateways` writes this section and the figures behind it, `benchmarks-gateways.json`.
Each gateway takes calls of the tool `add` over {CONNECTIONS} connections, by the protocol of
2025-06-18; the others without sessions, where they have such a mode, and ContextForge without its
rate limiter.
"""


@dataclass(frozen=True)
class Target:
    """An MCP endpoint that has the tool."""

    server: Server
    url: str
    tool: str = "add"
    token: str | None = None


@dataclass(frozen=True)
class Contender:
    """A way to reach the tool, and the environment variable that names the Python it needs."""

    name: str
    start: Callable[[ExitStack], Target]
    needs: tuple[str, ...] = ()


def python(variable: str) -> str:
    return os.environ[variable]


def upstream(stack: ExitStack) -> Server:
    """The MCP server over HTTP."""
    port = free_port()
    command = [python("FASTMCP_PYTHON"), str(SCRIPT), "serve", str(port)]
    return stack.enter_context(started("FastMCP", command, {}, port=port, probe=None))


def direct(stack: ExitStack) -> Target:
    server = upstream(stack)
    return Target(server, f"{server.url}/mcp")


def fastmcp_proxy(stack: ExitStack) -> Target:
    behind, port = upstream(stack), free_port()
    command = [python("FASTMCP_PYTHON"), str(SCRIPT), "proxy", str(port), f"{behind.url}/mcp"]
    server = stack.enter_context(started("FastMCP proxy", command, {}, port=port, probe=None))
    return Target(server, f"{server.url}/mcp")


def mcp_proxy(stack: ExitStack) -> Target:
    port = free_port()
    command = [
        *(python("MCP_PROXY_PYTHON"), "-m", "mcp_proxy", "--stateless", "--port", str(port)),
        *("--log-level", "ERROR", "--", python("FASTMCP_PYTHON"), str(SCRIPT), "stdio"),
    ]
    server = stack.enter_context(started("mcp-proxy", command, {}, port=port, probe="/status"))
    return Target(server, f"{server.url}/mcp/")


def contextforge(stack: ExitStack) -> Target:
    behind, port, user = upstream(stack), free_port(), "admin@example.com"
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    environment = {
        "DATABASE_URL": f"sqlite:///{directory}/mcp.db",
        "RATE_LIMITING_ENABLED": "false",
        "TOOL_RATE_LIMIT": "1000000",
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "AUTH_ENCRYPTION_SECRET": secrets.token_hex(32),
        "PLATFORM_ADMIN_EMAIL": user,
        "REQUIRE_USER_IN_DB": "false",
        "LOG_LEVEL": "ERROR",
    }
    command = [
        *(python("CONTEXTFORGE_PYTHON"), "-m", "uvicorn", "mcpgateway.main:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
    ]
    server = stack.enter_context(
        started("ContextForge", command, environment, port=port, probe="/health")
    )
    mint = [
        *(python("CONTEXTFORGE_PYTHON"), "-m", "mcpgateway.utils.create_jwt_token", "--admin"),
        *("--username", user, "--exp", "1000", "--secret", environment["JWT_SECRET_KEY"]),
    ]
    done = subprocess.run(
        mint, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    token = done.stdout.strip().splitlines()[-1]

    def ask(path: str, body: Any = None) -> Any:
        return fetch(server.url + path, body, token=token)

    ask("/gateways", {"name": "up", "url": f"{behind.url}/mcp", "transport": "STREAMABLEHTTP"})
    tool = ask("/tools")[0]
    made = ask("/servers", {"server": {"name": "bench", "associated_tools": [tool["id"]]}})
    return Target(server, f"{server.url}/servers/{made['id']}/mcp/", tool["name"], token)


def polyport_provider(stack: ExitStack) -> Target:
    server = stack.enter_context(polyport())
    service = stack.enter_context(provider(server))
    return Target(server, f"{server.url}/{service.workspace}/mcp/bench/mcp")


def polyport_in_front(stack: ExitStack) -> Target:
    behind = upstream(stack)
    return _configured(stack, {"type": "http", "url": f"{behind.url}/mcp"})


def polyport_in_front_stdio(stack: ExitStack) -> Target:
    arguments = [str(SCRIPT), "stdio"]
    return _configured(stack, {"command": python("FASTMCP_PYTHON"), "args": arguments})


def _configured(stack: ExitStack, server: Mapping[str, Any]) -> Target:
    """Polyport in front of one MCP server of an ``mcpServers`` file."""
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    file = Path(directory, "mcp.json")
    file.write_text(json.dumps({"mcpServers": {"bench": server}}), encoding="utf-8")
    running = stack.enter_context(polyport("--mcp-config", str(file)))
    return Target(running, f"{running.url}/public/mcp/bench/mcp")


CONTENDERS: Final = (
    Contender("Polyport, the function in a provider", polyport_provider),
    Contender("Polyport before FastMCP (HTTP)", polyport_in_front, ("FASTMCP_PYTHON",)),
    Contender("Polyport before FastMCP (stdio)", polyport_in_front_stdio, ("FASTMCP_PYTHON",)),
    Contender("FastMCP itself, no gateway", direct, ("FASTMCP_PYTHON",)),
    Contender("FastMCP create_proxy", fastmcp_proxy, ("FASTMCP_PYTHON",)),
    Contender("mcp-proxy (stdio)", mcp_proxy, ("FASTMCP_PYTHON", "MCP_PROXY_PYTHON")),
    Contender("ContextForge", contextforge, ("FASTMCP_PYTHON", "CONTEXTFORGE_PYTHON")),
)


def fetch(url: str, body: Any = None, *, token: str | None = None) -> Any:
    """A JSON answer, whether it comes plain or as one event."""
    headers = dict(HEADERS)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urlopen(Request(url, data, headers), timeout=60) as answer:
        text = answer.read().decode()
    if text.startswith(("event:", "data:")):
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    return json.loads(text)


def measure(target: Target, seconds: int) -> Calls:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": target.tool, "arguments": {"a": 2, "b": 3}},
    }
    answer = fetch(target.url, call, token=target.token)
    if answer["result"]["content"][0]["text"] != "5":
        raise RuntimeError(f"add(2, 3) is not 5: {answer}")
    headers = dict(HEADERS)
    if target.token is not None:
        headers["Authorization"] = f"Bearer {target.token}"
    wrk(target.server, target.url, call, headers, CONNECTIONS, 1)
    return wrk(target.server, target.url, call, headers, CONNECTIONS, seconds)


def version_in(variable: str, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run(
        [python(variable), "-c", code], capture_output=True, text=True, check=True
    )
    return f"{package} {done.stdout.strip()}"


PACKAGES: Final = {
    "FASTMCP_PYTHON": "fastmcp",
    "MCP_PROXY_PYTHON": "mcp-proxy",
    "CONTEXTFORGE_PYTHON": "mcp-contextforge-gateway",
}


def possible() -> Iterator[Contender]:
    for contender in CONTENDERS:
        missing = [name for name in contender.needs if name not in os.environ]
        if missing:
            print(f"{contender.name} is left out: {', '.join(missing)} is not set", flush=True)
        else:
            yield contender


@contextmanager
def running(contender: Contender) -> Iterator[Target]:
    with ExitStack() as stack:
        yield contender.start(stack)


def section_of(results: Mapping[str, Calls], versions: list[str]) -> str:
    ours = next(iter(results.values()))
    rows = [
        [
            name,
            f"{calls.per_second:,.0f}",
            f"{calls.p50_ms:.2f} / {calls.p99_ms:.2f}",
            f"{ours.per_second / calls.per_second:.1f}x",
        ]
        for name, calls in results.items()
    ]
    head = ["gateway", "calls/s", "p50 / p99 ms", "Polyport with a provider is"]
    return f"{INTRODUCTION}\n{table(head, rows)}\n{machine()}\nBeside it: {', '.join(versions)}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-gateways", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="for each gateway")
    parser.add_argument("--output", type=Path, help="the page with the section")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)

    results: dict[str, Calls] = {}
    for contender in possible():
        with running(contender) as target:
            results[contender.name] = measure(target, arguments.seconds)
        print(f"{contender.name}: {results[contender.name].per_second:,.0f} calls/s", flush=True)
    versions = [version_in(v, p) for v, p in PACKAGES.items() if v in os.environ]
    text = section_of(results, versions)
    print(f"\n{text}")
    if arguments.output:
        page = arguments.output.read_text(encoding="utf-8")
        arguments.output.write_text(with_section(page, TITLE, text), encoding="utf-8")
        raw = {
            "connections": CONNECTIONS,
            "seconds": arguments.seconds,
            "python": sys.version.split()[0],
            "versions": versions,
            "calls": {name: asdict(calls) for name, calls in results.items()},
        }
        file = arguments.output.with_name("benchmarks-gateways.json")
        file.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
