"""The official conformance suite of MCP for clients, against the gateway as the client of servers
behind it: they are added while it runs, and administrators log in where a server wants that."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from tests.clients.gateways import ROOT, Gateway, free_port, started

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
SUITE = HERE / "conformance" / "node_modules" / "conformance" / "dist" / "index.js"
NODE = Path(sys.executable).parent / "node"
CLIENT = f"{sys.executable} -I -S {HERE / 'scripts' / 'upstream_client.py'}"
TOKEN = "a-root-token-for-the-conformance-suite"
SUITE_SECONDS = 300.0
SCENARIO_MS = 200_000

METADATA = {f"auth/metadata-{name}" for name in ("default", "var1", "var2", "var3")}
SCOPES = {
    f"auth/scope-{name}"
    for name in (
        *("from-www-authenticate", "from-scopes-supported", "omitted-when-undefined"),
        *("step-up", "retry-limit"),
    )
}
METHODS = {f"auth/token-endpoint-auth-{name}" for name in ("basic", "post", "none")}
ISSUERS = {
    f"auth/iss-{name}"
    for name in (
        *("supported", "not-advertised", "supported-missing", "wrong-issuer", "unexpected"),
        "normalized",
    )
}
LOGINS = {"auth/basic-cimd", "auth/pre-registration"} | METADATA | SCOPES | METHODS
NEWER = ISSUERS | {
    "auth/resource-mismatch",
    "auth/offline-access-scope",
    "auth/offline-access-not-supported",
    "auth/authorization-server-migration",
    "auth/metadata-issuer-mismatch",
}
CALLS = {
    *("tools_call", "json-schema-2020-12-preservation"),
    *("request-metadata", "sep-2322-client-request-state", "http-standard-headers"),
    *("http-custom-headers", "http-invalid-tool-headers", "json-schema-ref-no-deref"),
}
OLDEST = {
    "auth/2025-03-26-oauth-metadata-backcompat",
    "auth/2025-03-26-oauth-endpoint-fallback",
}
EXTENSIONS = {
    "auth/client-credentials-jwt",
    "auth/client-credentials-basic",
    "auth/wif-jwt-bearer",
    "auth/enterprise-managed-authorization",
    "auth/dpop",
    "auth/dpop-nonce",
}

_LINE = re.compile(r"^([✓✗~⚠]) ([\w/-]+): (\d+) passed, (\d+) failed(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Its address is part of what it is registered with."""
    arguments = ("-m", "gateway.server", "--port", str(free_port()), "--ephemeral")
    directory = tmp_path_factory.mktemp("gateway")
    with started(directory, {"POLYPORT_ROOT_TOKEN": TOKEN}, arguments) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("words", "scenarios"),
    [
        (("--suite", "all", "--spec-version", "2026-07-28"), LOGINS | NEWER | CALLS),
        (("--suite", "auth", "--spec-version", "2025-11-25"), LOGINS),
        (("--suite", "backcompat"), OLDEST),
        (("--suite", "extensions"), EXTENSIONS),
    ],
    ids=["2026-07-28", "2025-11-25", "2025-03-26", "extensions"],
)
@pytest.mark.timeout(2 * SUITE_SECONDS)
def test_the_gateway_is_the_client_that_servers_expect(
    gateway: Gateway, tmp_path: Path, words: tuple[str, ...], scenarios: set[str]
) -> None:
    output = run(gateway, tmp_path, *words)
    found = {name: (mark, failed, rest) for mark, name, _, failed, rest in _LINE.findall(output)}
    assert set(found) >= scenarios, output
    assert {found[name] for name in scenarios} == {("✓", "0", "")}, output


@pytest.mark.timeout(SUITE_SECONDS)
@pytest.mark.parametrize("scenario", ["initialize", "sse-retry"])
def test_the_gateway_is_the_client_that_servers_of_the_handshake_expect(
    gateway: Gateway, tmp_path: Path, scenario: str
) -> None:
    output = run(gateway, tmp_path, "--scenario", scenario, "--spec-version", "2025-11-25")
    assert "OVERALL: PASSED" in output, output


def run(gateway: Gateway, directory: Path, *words: str) -> str:
    """What the suite writes."""
    if not NODE.exists() or not SUITE.exists():
        pytest.skip("There is no conformance suite: `make test-environments` installs it")
    options = ("--command", CLIENT, "--timeout", str(SCENARIO_MS), "-o", str(directory))
    return subprocess.run(
        [NODE, SUITE, "client", *options, *words],
        stdout=PIPE,
        stderr=STDOUT,
        cwd=ROOT,
        env={**os.environ, "POLYPORT_SERVER": gateway.url, "POLYPORT_TOKEN": TOKEN},
        timeout=SUITE_SECONDS,
        check=False,
        text=True,
    ).stdout
