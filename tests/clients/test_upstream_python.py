"""The tests of the Python client, against a gateway.

None of them is kept here: they come with the client's source distribution. What they expect around
them, and which are run, is in ``tests/clients/upstream``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.clients.gateways import ROOT, Gateway
from tests.clients.upstream import fixtures

SECONDS: Final = 600.0
WORKERS: Final = "8"
"""Most of the time, the tests wait."""

SOURCE: Final = ROOT / ".venv" / "hypha-rpc-source"
PACKAGE: Final = Path(__file__).parent / "upstream" / "package.py"

pytestmark = [pytest.mark.timeout(2 * SECONDS), pytest.mark.long]


@pytest.fixture(scope="module")
def library_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the tests."""
    source = next(SOURCE.glob("hypha_rpc-*.tar.gz"), None)
    if source is None:
        pytest.skip(f"There is no {SOURCE.name}: `make test-environments` downloads it")
    directory = tmp_path_factory.mktemp("python")
    with tarfile.open(source) as archive:
        archive.extractall(directory, filter="data")
    # There is a package called tests already.
    tests = directory / "library"
    (directory / source.name.removesuffix(".tar.gz") / "tests").rename(tests)
    (tests / "__init__.py").write_text(PACKAGE.read_text(encoding="utf-8"), encoding="utf-8")
    return tests


def run(tests: Path, gateway: Gateway, *arguments: str) -> tuple[int, str]:
    """Run the tests; returns the exit code and what was written."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command: list[str | Path] = [sys.executable, "-m", "pytest", tests, "--rootdir", tests.parent]
    command += [f"--ignore={tests / name}" for name in fixtures.FILES_LEFT_OUT]
    command += ["-p", fixtures.__name__, "-o", "asyncio_mode=auto", "-o", "timeout=120"]
    done = subprocess.run(
        [*command, "-q", "-W", "ignore", *arguments],
        cwd=tests.parent,
        env={**environment, "POLYPORT_SUITE_URL": gateway.url, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def test_the_python_client_passes_its_own_tests(gateway: Gateway, library_tests: Path) -> None:
    code, written = run(library_tests, gateway, "--numprocesses", WORKERS, "--dist", "worksteal")
    for _ in range(2):
        if code == 1:
            # They have time limits that a busy machine exceeds: whatever failed is run by itself.
            code, written = run(library_tests, gateway, "--last-failed", "--numprocesses", "0")
    assert code == 0, written


def test_the_python_tests_that_are_left_out_are_there(library_tests: Path) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in library_tests.glob("test_*")}
    text = "".join(files.values())
    assert [name for name in fixtures.LEFT_OUT if f"def {name}(" not in text] == []
    assert fixtures.FILES_LEFT_OUT.keys() <= files.keys()
