"""The official conformance suite of MCP, against a service of an unmodified hypha-rpc client."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.gateways import ROOT, started
from tests.clients.programs import ended, running

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
SUITES = HERE / "conformance" / "node_modules"
NODE = Path(sys.executable).parent / "node"
PROVIDER = HERE / "scripts" / "conformance_provider.py"
SUITE_SECONDS = 200.0

BRIDGE_CLIENT = HERE / "scripts" / "bridge_client.py"

STATELESS = "2026-07-28"
NEEDS_A_SESSION = {
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
}
"""Scenarios in which an older client is asked, for which it needs a session."""

_LINE = re.compile(r"^([✓✗]) ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)


async def run(directory: Path, suite: str, *, has_sessions: bool, version: str = "") -> str:
    """What the suite writes."""
    if not NODE.exists() or not (SUITES / suite).exists():
        pytest.skip("There is no conformance suite: `make test-environments` installs it")
    environment = {"POLYPORT_MCP_SESSIONS": "true"} if has_sessions else {}
    with started(directory, environment) as gateway:
        async with running(sys.executable, PROVIDER, gateway.url) as provider:
            workspace, _, service = (await provider.line(":conformance")).partition("/")
            name = service.partition(":")[2].strip('"')
            # The suite checks the host, and wants to see localhost.
            url = f"{gateway.url.replace('127.0.0.1', 'localhost')}/{workspace}/mcp/{name}/mcp"
            arguments = ["server", "--url", url, "--suite", "all", "-o", directory / "results"]
            if version:
                arguments += ["--spec-version", version]
            script = SUITES / suite / "dist" / "index.js"
            async with asyncio.timeout(SUITE_SECONDS):
                return (await ended(NODE, script, *map(str, arguments)))[1]


def outcome(output: str) -> tuple[int, set[str]]:
    """How many checks have passed, and the scenarios in which one has not."""
    found = _LINE.findall(output)
    assert found, output
    return sum(int(passed) for _, _, passed, _ in found), {n for m, n, *_ in found if m == "✗"}


async def comes_to(expected: tuple[int, set[str]], directory: Path, suite: str, **how: Any) -> None:
    """That a suite has this outcome. It gives a server half a second for some of what it checks,
    which may be too little on a busy machine: it is run again then."""
    for attempt in "123":
        (directory / attempt).mkdir()
        output = await run(directory / attempt, suite, **how)
        if outcome(output) == expected:
            return
    assert outcome(output) == expected, output


async def test_the_stateless_revision_passes_whole(tmp_path: Path) -> None:
    how = {"has_sessions": False, "version": STATELESS}
    await comes_to((152, set()), tmp_path, "conformance", **how)


async def test_the_handshake_revision_passes_with_sessions(tmp_path: Path) -> None:
    how = {"has_sessions": True, "version": "2025-11-25"}
    await comes_to((84, set()), tmp_path, "conformance", **how)


async def test_without_sessions_only_asking_is_missing(tmp_path: Path) -> None:
    how = {"has_sessions": False, "version": "2025-11-25"}
    await comes_to((63, NEEDS_A_SESSION), tmp_path, "conformance", **how)


CLIENT_SCENARIOS = [
    ("2025-11-25", "elicitation-sep1034-client-defaults"),
    ("2025-11-25", "sse-retry"),
    (STATELESS, "request-metadata"),
    (STATELESS, "sep-2322-client-request-state"),
    (STATELESS, "http-standard-headers"),
    (STATELESS, "http-custom-headers"),
    (STATELESS, "http-invalid-tool-headers"),
    (STATELESS, "json-schema-ref-no-deref"),
    (STATELESS, "json-schema-2020-12-preservation"),
]
"""What the bridge is to its server. How a client logs in is not its affair, and what it lists and
calls is in ``test_stdio``."""


@pytest.mark.parametrize(("version", "scenario"), CLIENT_SCENARIOS)
async def test_the_stdio_bridge_is_the_client_that_servers_expect(
    version: str, scenario: str
) -> None:
    if not NODE.exists() or not (SUITES / "conformance").exists():
        pytest.skip("There is no conformance suite: `make test-environments` installs it")
    script = SUITES / "conformance" / "dist" / "index.js"
    command = f"{sys.executable} {BRIDGE_CLIENT}"
    words = ("client", "--command", command, "--scenario", scenario, "--spec-version", version)
    limit = ("--timeout", f"{SUITE_SECONDS * 1000:g}")
    async with asyncio.timeout(SUITE_SECONDS):
        _, output = await ended(NODE, script, *words, *limit, cwd=ROOT)
    assert "OVERALL: PASSED" in output, output


async def test_the_older_suite_passes_with_sessions(tmp_path: Path) -> None:
    await comes_to((47, set()), tmp_path, "conformance-handshake", has_sessions=True)
