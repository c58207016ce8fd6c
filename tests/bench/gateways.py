"""`make bench-gateways`: MCP gateways beside this one, on the same work in one run.

The work is a call of the tool ``add``, by the handshake-era protocol that all of them speak. Each
gateway stands in front of the same servers: one that costs next to nothing, so that the gateway is
what is measured, and one on FastMCP. Polyport is also measured with the function in a hypha-rpc
provider, which is what it is made for.

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
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from tests.bench.measure import Calls, wrk
from tests.bench.report import machine, table
from tests.bench.sections import write_section
from tests.bench.servers import Server, polyport, provider, started
from tests.clients.gateways import free_port

TITLE: Final = "MCP gateways"
CONNECTIONS: Final = 8
HERE: Final = Path(__file__).parent
HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-06-18",
}
INTRODUCTION: Final = f"""\
`make bench-gateways` writes this section and the figures behind it, `benchmarks-gateways.json`.
Each gateway takes calls of the tool `add` over {CONNECTIONS} connections, by the protocol of
2025-06-18; the others without sessions, where they have such a mode, and ContextForge without its
rate limiter. Those that are compared stand in front of the same server and are measured in turns;
a row is the round in the middle. CPU is that of the gateway with the programs that it has started.
The minimal server adds two numbers and does nothing else, so the gateway is what is measured;
before FastMCP it is mostly FastMCP.
"""


@dataclass(frozen=True)
class Target:
    """An MCP endpoint that has the tool."""

    server: Server
    url: str
    tool: str = "add"
    token: str | None = None


@dataclass(frozen=True)
class Behind:
    """What gateways stand in front of: an MCP server, over pipes or over HTTP."""

    name: str
    script: str
    variable: str | None = None
    """Names the Python that it needs; None for the one that runs this."""

    def program(self) -> list[str]:
        """The command for it, over pipes."""
        return [self._python(), str(HERE / self.script), "stdio"]

    def serving(self, stack: ExitStack) -> str:
        """Its URL, when it has been started."""
        return f"{self.started(stack).url}/mcp"

    def started(self, stack: ExitStack) -> Server:
        """Serving over HTTP."""
        port = free_port()
        command = [self._python(), str(HERE / self.script), "serve", str(port)]
        return stack.enter_context(started(self.name, command, {}, port=port, probe=None))

    def _python(self) -> str:
        return python(self.variable) if self.variable is not None else sys.executable


MINIMAL: Final = Behind("a minimal server", "minimal_server.py")
FASTMCP: Final = Behind("FastMCP", "mcp_server.py", "FASTMCP_PYTHON")

Start = Callable[[ExitStack, Behind], Target]


@dataclass(frozen=True)
class Contender:
    """A gateway, and the environment variables that name the Pythons it needs."""

    name: str
    start: Start
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contest:
    """Those that are compared: the first one with the others."""

    title: str
    behind: Behind
    contenders: tuple[Contender, ...]

    def possible(self) -> list[Contender]:
        """Those whose Pythons are named."""
        behind = [self.behind.variable] if self.behind.variable is not None else []
        found = []
        for contender in self.contenders:
            missing = [n for n in (*contender.needs, *behind) if n not in os.environ]
            if missing:
                print(f"{contender.name} is left out: {', '.join(missing)} is not set", flush=True)
            else:
                found.append(contender)
        return found


def python(variable: str) -> str:
    return os.environ[variable]


def nothing(stack: ExitStack, behind: Behind) -> Target:
    server = behind.started(stack)
    return Target(server, f"{server.url}/mcp")


def fastmcp_proxy(stack: ExitStack, behind: Behind) -> Target:
    url, port = behind.serving(stack), free_port()
    command = [python("FASTMCP_PYTHON"), str(HERE / FASTMCP.script), "proxy", str(port), url]
    server = stack.enter_context(started("FastMCP proxy", command, {}, port=port, probe=None))
    return Target(server, f"{server.url}/mcp")


def mcp_proxy(stack: ExitStack, behind: Behind) -> Target:
    port = free_port()
    command = [
        *(python("MCP_PROXY_PYTHON"), "-m", "mcp_proxy", "--stateless", "--port", str(port)),
        *("--log-level", "ERROR", "--", *behind.program()),
    ]
    server = stack.enter_context(started("mcp-proxy", command, {}, port=port, probe="/status"))
    return Target(server, f"{server.url}/mcp/")


def contextforge(stack: ExitStack, behind: Behind) -> Target:
    url, port, user = behind.serving(stack), free_port(), "admin@example.com"
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

    ask("/gateways", {"name": "up", "url": url, "transport": "STREAMABLEHTTP"})
    tool = ask("/tools")[0]
    made = ask("/servers", {"server": {"name": "bench", "associated_tools": [tool["id"]]}})
    return Target(server, f"{server.url}/servers/{made['id']}/mcp/", tool["name"], token)


def polyport_provider(stack: ExitStack, _behind: Behind) -> Target:
    server = stack.enter_context(polyport())
    service = stack.enter_context(provider(server))
    return Target(server, f"{server.url}/{service.workspace}/mcp/bench/mcp")


def polyport_over_http(stack: ExitStack, behind: Behind) -> Target:
    return _configured(stack, {"type": "http", "url": behind.serving(stack)})


def polyport_over_pipes(stack: ExitStack, behind: Behind) -> Target:
    command, *arguments = behind.program()
    return _configured(stack, {"command": command, "args": arguments})


def _configured(stack: ExitStack, server: Mapping[str, Any]) -> Target:
    """Polyport in front of one MCP server of an ``mcpServers`` file."""
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    file = Path(directory, "mcp.json")
    file.write_text(json.dumps({"mcpServers": {"bench": server}}), encoding="utf-8")
    running = stack.enter_context(polyport("--mcp-config", str(file)))
    return Target(running, f"{running.url}/public/mcp/bench/mcp")


NO_GATEWAY: Final = "no gateway"
PIPES: Final = (
    Contender("Polyport", polyport_over_pipes),
    Contender("mcp-proxy", mcp_proxy, ("MCP_PROXY_PYTHON",)),
)
HTTP: Final = (
    Contender("Polyport", polyport_over_http),
    Contender("FastMCP create_proxy", fastmcp_proxy, ("FASTMCP_PYTHON",)),
    Contender("ContextForge", contextforge, ("CONTEXTFORGE_PYTHON",)),
    Contender(NO_GATEWAY, nothing),
)
CONTESTS: Final = (
    Contest("a hypha-rpc provider", MINIMAL, (Contender("Polyport", polyport_provider),)),
    Contest("a minimal server, pipes", MINIMAL, PIPES),
    Contest("a minimal server, HTTP", MINIMAL, HTTP),
    Contest("FastMCP, pipes", FASTMCP, PIPES),
    Contest("FastMCP, HTTP", FASTMCP, HTTP),
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
    calls = wrk(target.server, target.url, call, headers, CONNECTIONS, seconds)
    if not calls.per_second:
        raise RuntimeError(f"{target.url} answered nothing in {seconds} s")
    return calls


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


Rounds = dict[str, list[Calls]]


def held(contest: Contest, rounds: int, seconds: int) -> Rounds:
    """The figures of each contender, round by round."""
    found: Rounds = {}
    possible = contest.possible()
    for _ in range(rounds if len(possible) > 1 else 1):
        for contender in possible:
            with ExitStack() as stack:
                calls = measure(contender.start(stack, contest.behind), seconds)
            found.setdefault(contender.name, []).append(calls)
            print(f"{contest.title}: {contender.name}: {calls.per_second:,.0f}/s", flush=True)
    return found


def middle(rounds: Sequence[Calls]) -> Calls:
    """The round in the middle, by calls per second."""
    return sorted(rounds, key=lambda calls: calls.per_second)[len(rounds) // 2]


def others_at_work() -> str:
    """What else the machine does, of which figures under load speak as well."""
    load, cores = os.getloadavg()[1], os.cpu_count() or 1
    if load < cores / 2:
        return ""
    return (
        f"The machine was not idle: its load was {load:.0f} on {cores} cores before the first "
        "round. So compare rows, and take the calls per second for a lower bound.\n\n"
    )


def section_of(results: Mapping[str, Rounds], versions: list[str], load: str) -> str:
    rows = []
    for title, rounds in results.items():
        ours: Calls | None = None
        for name, all_calls in rounds.items():
            calls = middle(all_calls)
            ours = ours or calls
            more = f"{ours.per_second / calls.per_second:.1f}x"
            less = f"{calls.cpu_us / ours.cpu_us:.1f}x"
            rows.append(
                [
                    f"{name}, before {title}",
                    f"{calls.per_second:,.0f}",
                    f"{calls.p50_ms:.2f} / {calls.p99_ms:.2f}",
                    f"{calls.cpu_us:,.0f}",
                    *((more, less) if calls is not ours and name != NO_GATEWAY else ("", "")),
                ]
            )
    head = [
        *("gateway", "calls/s", "p50 / p99 ms", "CPU µs per call"),
        *("Polyport makes more calls", "Polyport takes less CPU"),
    ]
    figures = f"{table(head, rows)}\n{load}{machine()}"
    return f"{INTRODUCTION}\n{figures}\nBeside it: {', '.join(versions)}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-gateways", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="for each gateway and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="the page with the section")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)

    load = others_at_work()
    results = {
        contest.title: held(contest, arguments.rounds, arguments.seconds) for contest in CONTESTS
    }
    versions = [version_in(v, p) for v, p in PACKAGES.items() if v in os.environ]
    text = section_of(results, versions, load)
    print(f"\n{text}")
    if arguments.output:
        write_section(arguments.output, TITLE, text)
        raw = {
            "connections": CONNECTIONS,
            "seconds": arguments.seconds,
            "python": sys.version.split()[0],
            "versions": versions,
            "rounds": {
                title: {name: [asdict(calls) for calls in rounds] for name, rounds in found.items()}
                for title, found in results.items()
            },
        }
        file = arguments.output.with_name("benchmarks-gateways.json")
        file.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
