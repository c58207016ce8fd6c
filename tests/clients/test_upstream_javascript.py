"""The tests of the JavaScript client, against a gateway.

None of them is kept here: they are part of the client's package, bundled for a browser. They are
run in Node.js, with the client that is installed.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.gateways import Gateway

SECONDS: Final = 600.0
NODE = Path(__file__).parent / "node"
FILES: Final = {
    "http_client_test.js": 2,
    "memory_leak_test.js": 1,
    "utils_test.js": 1,
    "websocket_client_test.js": 5,
}
"""Files with tests, and among how many processes those of a file are shared out: most of the time
they wait."""

FILES_LEFT_OUT: Final = {
    "server_compatibility_test.js": "connects to a public server",
}
NO_WEBRTC: Final = "needs WebRTC, which Node.js has not; two tabs connect in test_webrtc"
LEFT_OUT: Final = {
    "should connect via webrtc": NO_WEBRTC,
    "should connect via webrtc (auto)": NO_WEBRTC,
    "should connect via webrtc (auto, cross-client)": NO_WEBRTC,
}
"""What is not run, and why."""

pytestmark = [pytest.mark.timeout(2 * SECONDS), pytest.mark.long]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the tests."""
    bundled = next((NODE / "node_modules" / "hypha-rpc").glob("hypha-rpc-*.tgz"), None)
    if bundled is None:
        pytest.skip(f"There is no {NODE.name}/node_modules: `make test-environments` installs it")
    directory = tmp_path_factory.mktemp("javascript")
    with tarfile.open(bundled) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package" / "dist" / "commons.js"


def run(bundle: Path, gateway: Gateway, **wanted: Any) -> list[dict[str, Any]]:
    """What came of the tests that are wanted; see ``suite.mjs``."""
    described = json.dumps({"bundle": str(bundle), "url": gateway.url, **wanted})
    done = subprocess.run(
        ["node", "--import", NODE / "setup.mjs", NODE / "suite.mjs", described],
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [{**wanted, **json.loads(line)} for line in done.stdout.splitlines()]


def failed(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [result for result in results if "error" in result]


def test_the_javascript_client_passes_its_own_tests(gateway: Gateway, bundle: Path) -> None:
    shares = [
        {"file": file, "part": part, "parts": parts, "leftOut": list(LEFT_OUT)}
        for file, parts in FILES.items()
        for part in range(parts)
    ]
    with ThreadPoolExecutor(len(shares)) as pool:
        runs = [pool.submit(run, bundle, gateway, **share) for share in shares]
        results = [result for share in runs for result in share.result()]
    assert len(results) > 70
    for _ in range(2):
        # They have time limits that a busy machine exceeds: whatever failed is run by itself.
        results = [
            result
            for once in failed(results)
            for result in run(bundle, gateway, file=once["file"], only=[once["test"]])
        ]
    assert failed(results) == []


def test_the_javascript_tests_that_are_left_out_are_there(bundle: Path) -> None:
    text = bundle.read_text(encoding="utf-8")
    assert [name for name in LEFT_OUT if f'it("{name}"' not in text] == []
    assert [name for name in {**FILES, **FILES_LEFT_OUT} if f'"./tests/{name}":' not in text] == []
