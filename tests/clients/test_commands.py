"""The command line against a running gateway, and functions that run at its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.gateways import ROOT, SERVE, Gateway, started
from tests.patience import PATIENCE_SECONDS

ROOT_TOKEN = "root-" * 8
STARTUP = '''
async def hypha_startup(server):
    """The example of the user guide, with more to call."""

    def test(x, label: str = ""):
        "Say what came."
        return {"x": x, "label": label}

    def count(n: int):
        yield from range(n)

    def fail():
        raise ValueError("two\\nlines")

    await server.register_service(
        {
            "id": "test-service",
            "name": "Test",
            "config": {"visibility": "public", "require_context": False},
            "test": test,
            "count": count,
            "fail": fail,
        }
    )
    await server.register_service({"id": "closed-service", "test": lambda x: test(x)})


def plain(server):
    print("workspace", server.config.workspace, flush=True)


async def broken(server):
    raise RuntimeError("no luck")
'''

Polyport = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "example-startup.py").write_text(STARTUP)
    functions = [f"{directory}/example-startup.py:{name}" for name in ("hypha_startup", "plain")]
    options = ["--root-token", ROOT_TOKEN, "--startup-functions", *functions, "--from-env"]
    with started(directory, {}, (*SERVE, *options)) as gateway:
        yield gateway
        assert gateway.end() == 0, gateway.written()
        assert gateway.written().splitlines() == [
            "workspace public",
            gateway.written().splitlines()[1],
        ]


@pytest.fixture
def polyport(gateway: Gateway) -> Polyport:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            cwd=ROOT,
            env={**os.environ, "POLYPORT_SERVER": gateway.url, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    return run


def test_services_are_listed_and_described(polyport: Polyport) -> None:
    done = polyport("services")
    assert done.returncode == 0
    assert ":test-service" in done.stdout
    assert "closed-service" not in done.stdout
    listed = json.loads(polyport("services", "public", "--json", "--token", ROOT_TOKEN).stdout)
    assert "Test" in [service["name"] for service in listed]
    assert [s for s in listed if s["id"].endswith(":closed-service")]
    done = polyport("describe", "public/test-service")
    assert "test(x, label)  Say what came." in done.stdout
    described = json.loads(polyport("describe", "public/test-service", "--json").stdout)
    assert described["name"] == "Test"
    document = json.loads(polyport("openapi", "public/test-service").stdout)
    assert document["openapi"].startswith("3.1")


def test_functions_are_called_with_json_or_text(polyport: Polyport) -> None:
    done = polyport("call", "public/test-service", "test", 'x={"a": [1, null]}', "label=1=one")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"x": {"a": [1, None]}, "label": "1=one"}
    done = polyport("call", "public/test-service", "count", "n=3", "--json")
    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("call", "public/test-service", "fail"), 1, "ValueError: two lines (HTTP 400)"),
        (("call", "public/test-service", "nothing"), 1, "(HTTP 404)"),
        (("describe", "public/closed-service"), 1, "(HTTP 403)"),
        (("services", "--token", "bad"), 1, "(HTTP 401)"),
        (("services", "--server", "http://127.0.0.1:1"), 1, "Connection refused"),
        (("call", "test-service", "test"), 2, "not of the form WORKSPACE/SERVICE"),
        (("call", "public/test-service", "test", "x"), 2, "not of the form NAME=VALUE"),
    ],
)
def test_failures_are_one_line_and_an_exit_code(
    polyport: Polyport, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = polyport(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_token_is_made_and_used(polyport: Polyport) -> None:
    made = polyport("token", "public", "--permission", "read", POLYPORT_TOKEN=ROOT_TOKEN)
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    done = polyport("call", "public/closed-service", "test", "x=1", POLYPORT_TOKEN=token)
    assert json.loads(done.stdout)["x"] == 1
    as_json = polyport("token", "public", "--json", "--token", ROOT_TOKEN)
    assert json.loads(as_json.stdout).keys() == {"token"}
    assert polyport("token", "public").returncode == 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("broken", "RuntimeError: no luck"),
        ("missing", "has no function missing"),
    ],
)
def test_a_startup_function_that_fails_stops_the_start(
    tmp_path: Path, function: str, reason: str
) -> None:
    file = tmp_path / "functions.py"
    file.write_text(STARTUP)
    command = [sys.executable, *SERVE, "--startup-functions", f"{file}:{function}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"The startup function {file}:{function} failed: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_api_keys_are_made_listed_and_revoked(polyport: Polyport) -> None:
    by_root = {"POLYPORT_TOKEN": ROOT_TOKEN}
    limits = ("--expires-in", "600", "--function", "closed-service/test")
    done = polyport("keys", "create", "nightly", "--permission", "read", *limits, **by_root)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    called = polyport("call", "public/closed-service", "test", "x=1", POLYPORT_TOKEN=key)
    assert called.returncode == 0, called.stderr
    listed = polyport("keys", "list", COLUMNS="200", **by_root).stdout
    assert "nightly" in listed and "closed-service/test" in listed and key not in listed
    (entry,) = json.loads(polyport("keys", "list", "--json", **by_root).stdout)
    assert (entry["permission"], entry["functions"]) == ("r", ["closed-service/test"])
    assert entry["expires_at"] == pytest.approx(entry["created_at"] + 600)
    revoked = polyport("keys", "revoke", entry["id"], "--json", **by_root)
    assert json.loads(revoked.stdout) == {"revoked": entry["id"]}
    assert json.loads(polyport("keys", "list", "--json", **by_root).stdout) == []
    called = polyport("call", "public/closed-service", "test", "x=1", POLYPORT_TOKEN=key)
    assert (called.returncode, "(HTTP 401)" in called.stderr) == (1, True)
    assert polyport("keys", "list").returncode == 1
    refused = polyport("keys", "revoke", "key-none", **by_root)
    assert (refused.returncode, "(HTTP 404)" in refused.stderr) == (1, True)
