"""The README's first service, followed step by step against a real gateway."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli import main
from tests.examples.programs import ROOT, run, running
from tests.patience import PATIENCE_SECONDS

ADDRESS = "http://127.0.0.1:9527"


def blocks(language: str) -> list[str]:
    readme = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workspace(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The workspace of hello.py, which runs while the tests do."""
    script = tmp_path_factory.mktemp("readme") / "hello.py"
    script.write_text(blocks("python")[0].replace(ADDRESS, gateway_url))
    with running(script) as program:
        yield program.wait_for(":hello-world").partition("/")[0]


def test_the_service_is_called_over_rpc(gateway_url: str, workspace: str, tmp_path: Path) -> None:
    script = tmp_path / "use.py"
    text = blocks("python")[1].replace(ADDRESS, gateway_url).replace("WORKSPACE", workspace)
    script.write_text(text)
    assert "Good morning Ada!" in run(script)


def test_the_curl_lines_answer(gateway_url: str, workspace: str) -> None:
    (text,) = [block for block in blocks("sh") if block.startswith("curl")]
    text = text.replace(ADDRESS, gateway_url).replace("WORKSPACE", workspace)
    get, post, services = (shlex.split(line)[1:] for line in text.replace("\\\n", "").splitlines())
    assert httpx.get(get[0], timeout=PATIENCE_SECONDS).json() == "Hello Ada!"
    url, _, header, _, body = post
    name, _, value = header.partition(": ")
    assert (
        httpx.post(url, headers={name: value}, content=body, timeout=PATIENCE_SECONDS).json()
        == "Hello Ada!"
    )
    assert any(
        "hello-world" in service["id"]
        for service in httpx.get(services[0], timeout=PATIENCE_SECONDS).json()
    )


def test_the_commands_of_the_table_of_clients_work(capsys: pytest.CaptureFixture[str]) -> None:
    table = re.findall(r"`polyport (connect .*?)`", (ROOT / "README.md").read_text())
    assert len(table) == 2
    for command in table:
        assert main(shlex.split(command)) == 0
        assert "/WORKSPACE/mcp/hello-world/mcp" in capsys.readouterr().out
