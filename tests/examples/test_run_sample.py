"""`make run`: everything that it prints works as printed, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.examples.programs import AGENTS, run, running
from tests.patience import PATIENCE_SECONDS

RUN_SAMPLE = AGENTS / "run_sample.py"
LAST_LINE = "write your own functions"


@pytest.fixture(scope="module")
def guide() -> Iterator[dict[str, str]]:
    """What was printed, by the word in front of it."""
    with running(RUN_SAMPLE, "--port=0") as program:
        program.wait_for(LAST_LINE)
        yield read_guide(program.output)
        assert program.end() == 0


def read_guide(output: list[str]) -> dict[str, str]:
    entries: dict[str, str] = {}
    word = ""
    for line in output:
        if line[:14].strip():
            word = line[:14].strip()
        entries[word] = f"{entries[word]}\n{line[14:]}" if word in entries else line[14:]
    return entries


def test_the_page_answers(guide: dict[str, str]) -> None:
    page = httpx.get(guide["Page"], timeout=PATIENCE_SECONDS)
    assert page.status_code == 200
    assert "Polyport" in page.text


def test_the_curl_line_answers(guide: dict[str, str]) -> None:
    program, url = shlex.split(guide["HTTP"])
    assert program == "curl"
    assert httpx.get(url, timeout=PATIENCE_SECONDS).json() == "Hello, Ada!"


def test_the_python_snippet_runs(guide: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(guide["Python"])
    assert "Hello, Ada!" in run(script)


def test_the_client_configurations_name_a_live_mcp_endpoint(guide: dict[str, str]) -> None:
    configured = json.loads(guide["Others"])["mcpServers"]["sample"]
    assert configured == {"type": "http", "url": guide["MCP"]}
    assert shlex.split(guide["Claude Code"])[-2:] == ["sample", guide["MCP"]]
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
    }
    tools = httpx.post(
        guide["MCP"], json=request, headers=headers, timeout=PATIENCE_SECONDS
    ).json()["result"]["tools"]
    assert {"greet", "add", "countdown"} < {tool["name"] for tool in tools}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with running(RUN_SAMPLE, "--port=0") as program:
        program.wait_for(LAST_LINE)
        (gateway,) = program.children()
        assert program.end(number) == 0
        assert not Path(f"/proc/{gateway}").exists()
        assert "".join(program.rest()) == ""


def test_it_ends_when_the_gateway_ends() -> None:
    with running(RUN_SAMPLE, "--port=0") as program:
        program.wait_for(LAST_LINE)
        (gateway,) = program.children()
        os.kill(gateway, signal.SIGKILL)
        assert program.exit_code() != 0


def test_a_port_in_use_is_said_and_ends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(RUN_SAMPLE, f"--port={port}") as program:
            assert "in use" in "\n".join(program.rest())
            assert program.exit_code() != 0
