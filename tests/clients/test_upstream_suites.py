"""The client library's own tests, in Python and in JavaScript, against a gateway.

None of them is kept here. Those of the Python client come with its source distribution, and those
of the JavaScript client are part of its package, bundled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.gateways import ROOT, Gateway
from tests.clients.upstream import fixtures

SECONDS: Final = 600.0
WORKERS: Final = "8"
"""Most of the time, the tests wait."""

NODE = Path(__file__).parent / "node"
PACKAGE = Path(__file__).parent / "upstream" / "package.py"
PYTHON_SOURCE: Final = ROOT / ".venv" / "hypha-rpc-source"
JAVASCRIPT_FILES: Final = {
    "http_client_test.js": 2,
    "memory_leak_test.js": 1,
    "utils_test.js": 1,
    "websocket_client_test.js": 5,
}
"""Files with tests, and among how many processes those of a file are shared out."""

JAVASCRIPT_FILES_LEFT_OUT: Final = {
    "server_compatibility_test.js": "connects to a public server",
}
NO_WEBRTC: Final = "needs WebRTC, which Node.js has not; two tabs connect in test_webrtc"
JAVASCRIPT_LEFT_OUT: Final = {
    "should connect via webrtc": NO_WEBRTC,
    "should connect via webrtc (auto)": NO_WEBRTC,
    "should connect via webrtc (auto, cross-client)": NO_WEBRTC,
}

pytestmark = pytest.mark.timeout(SECONDS)


@pytest.fixture(scope="module")
def python_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the Python client's tests."""
    source = next(PYTHON_SOURCE.glob("hypha_rpc-*.tar.gz"), None)
    if source is None:
        pytest.skip(f"There is no {PYTHON_SOURCE.name}: `make test-environments` downloads it")
    directory = tmp_path_factory.mktemp("python")
    with tarfile.open(source) as archive:
        archive.extractall(directory, filter="data")
    # There is a package called tests already.
    tests = directory / "library"
    (directory / source.name.removesuffix(".tar.gz") / "tests").rename(tests)
    (tests / "__init__.py").write_text(PACKAGE.read_text(encoding="utf-8"))
    return tests


@pytest.fixture(scope="module")
def javascript_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with the JavaScript client's tests."""
    bundled = next((NODE / "node_modules" / "hypha-rpc").glob("hypha-rpc-*.tgz"), None)
    if bundled is None:
        pytest.skip(f"There is no {NODE.name}/node_modules: `make test-environments` installs it")
    directory = tmp_path_factory.mktemp("javascript")
    with tarfile.open(bundled) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package" / "dist" / "commons.js"


def pytest_of(tests: Path, gateway: Gateway, *arguments: str) -> tuple[int, str]:
    """Run the Python client's tests; returns the exit code and what was written."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    ignored = [f"--ignore={tests / name}" for name in fixtures.FILES_LEFT_OUT]
    command: list[str | Path] = [sys.executable, "-m", "pytest", tests]
    command += ["--rootdir", tests.parent, *ignored]
    command += ["-p", fixtures.__name__, "-o", "asyncio_mode=auto", "-o", "timeout=120"]
    run = subprocess.run(
        [*command, "-q", "-W", "ignore", *arguments],
        cwd=tests.parent,
        env={**environment, "POLYPORT_SUITE_URL": gateway.url, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return run.returncode, run.stdout.decode(errors="replace")


def node_of(bundle: Path, gateway: Gateway, **wanted: Any) -> list[dict[str, Any]]:
    """Run tests of the JavaScript client; returns what came of each."""
    described = json.dumps({"bundle": str(bundle), "url": gateway.url, **wanted})
    run = subprocess.run(
        ["node", "--import", NODE / "setup.mjs", NODE / "suite.mjs", described],
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return [{**wanted, **json.loads(line)} for line in run.stdout.splitlines()]


def failed(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [result for result in results if "error" in result]


def test_the_python_client_passes_its_own_tests(gateway: Gateway, python_tests: Path) -> None:
    code, written = pytest_of(
        python_tests, gateway, "--numprocesses", WORKERS, "--dist", "worksteal"
    )
    if code == 1:
        # They have time limits that a busy machine exceeds: whatever failed is run by itself.
        code, written = pytest_of(python_tests, gateway, "--last-failed", "--numprocesses", "0")
    assert code == 0, written


def test_the_javascript_client_passes_its_own_tests(
    gateway: Gateway, javascript_tests: Path
) -> None:
    shares = [
        {"file": file, "part": part, "parts": parts}
        for file, parts in JAVASCRIPT_FILES.items()
        for part in range(parts)
    ]
    left_out = list(JAVASCRIPT_LEFT_OUT)
    with ThreadPoolExecutor(len(shares)) as pool:
        runs = [
            pool.submit(node_of, javascript_tests, gateway, leftOut=left_out, **share)
            for share in shares
        ]
        results = [result for run in runs for result in run.result()]
    assert len(results) > 70
    again = [
        result
        for share in failed(results)
        for result in node_of(javascript_tests, gateway, file=share["file"], only=[share["test"]])
    ]
    assert failed(again) == []


def test_what_is_left_out_is_there(python_tests: Path, javascript_tests: Path) -> None:
    python = "".join(path.read_text(encoding="utf-8") for path in python_tests.glob("test_*.py"))
    assert [name for name in fixtures.LEFT_OUT if f"def {name}(" not in python] == []
    assert [name for name in fixtures.FILES_LEFT_OUT if not (python_tests / name).exists()] == []
    javascript = javascript_tests.read_text(encoding="utf-8")
    assert [name for name in JAVASCRIPT_LEFT_OUT if f'it("{name}"' not in javascript] == []
    files = {*JAVASCRIPT_FILES, *JAVASCRIPT_FILES_LEFT_OUT}
    assert [name for name in files if f'"./tests/{name}":' not in javascript] == []
