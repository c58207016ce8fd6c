"""What others make of the documents: an examination, typed clients in two languages, and a page."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.clients.chromium import Browser
from tests.clients.gateways import ROOT, Gateway
from tests.clients.programs import output, running

pytestmark = pytest.mark.long

SCRIPTS = Path(__file__).parent / "scripts"
TYPESCRIPT = Path(__file__).parent / "typescript"
SAMPLE = ROOT / "examples" / "agents" / "sample_service.py"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
EXAMINATION_SECONDS = 400


@pytest.fixture
async def sample(gateway: Gateway) -> AsyncIterator[str]:
    """The URL of the sample service."""
    async with running(sys.executable, SAMPLE, "--server-url", gateway.url) as program:
        mcp = await program.line("/mcp/sample/mcp")
        yield mcp.replace("/mcp/sample/mcp", "/services/sample")


@pytest.fixture
async def document(http: httpx.AsyncClient, sample: str, tmp_path: Path) -> Path:
    """The document of the sample service, in a file."""
    file = tmp_path / "sample.json"
    file.write_bytes((await http.get(f"{sample}/openapi.json")).content)
    return file


@pytest.fixture(scope="session")
def tools() -> Path:
    """The directory of the programs in the environment that ``make test`` makes, or in the one
    that is named."""
    named = os.environ.get("POLYPORT_OPENAPI_PYTHON", ".venv-openapi/bin/python")
    python = ROOT / named
    if not python.exists():
        pytest.skip("There is no .venv-openapi: make it with `make .venv-openapi/.installed`")
    return python.parent


@pytest.fixture(scope="session")
def node_programs() -> Path:
    """The directory of the TypeScript tools."""
    programs = TYPESCRIPT / "node_modules" / ".bin"
    if not programs.exists():
        pytest.skip("There is no typescript/node_modules: `make test-environments` installs it")
    return programs


async def test_the_documents_of_a_gateway_are_valid(
    http: httpx.AsyncClient, gateway: Gateway, sample: str
) -> None:
    workspace = sample.removesuffix("/services/sample")
    for url in (gateway.url, workspace, sample, f"{workspace}/services/ws"):
        answer = await http.get(f"{url}/openapi.json")
        assert answer.status_code == 200
        assert answer.json()["servers"] == [{"url": url}]
        OpenAPIV31SpecValidator(answer.json()).validate()


async def test_mcp_and_openapi_describe_the_same_arguments(
    http: httpx.AsyncClient, sample: str, document: Path
) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    url = sample.replace("/services/sample", "/mcp/sample/mcp?schema=full")
    accept = {"Accept": "application/json, text/event-stream"}
    listed = (await http.post(url, json=request, headers=accept)).json()["result"]["tools"]
    schemas = json.loads(document.read_text())["components"]["schemas"]
    names = {"greet": "Greet", "add": "Add", "countdown": "Countdown"}
    tools = {tool["name"]: tool["inputSchema"] for tool in listed}
    for function, name in names.items():
        assert schemas[f"{name}Arguments"] == tools[function]


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(
    gateway: Gateway, tools: Path, tmp_path: Path
) -> None:
    """Not asynchronous, because it takes longer than such tests may."""

    async def examine() -> str:
        async with running(sys.executable, SAMPLE, "--server-url", gateway.url) as program:
            mcp = await program.line("/mcp/sample/mcp")
            url = mcp.replace("/mcp/sample/mcp", "/services/sample/openapi.json")
            options = ["--max-examples=20", "--generation-deterministic", "--no-color"]
            async with asyncio.timeout(EXAMINATION_SECONDS):
                return await output(
                    tools / "schemathesis",
                    "run",
                    url,
                    f"--checks={','.join(CHECKS)}",
                    *options,
                    cwd=tmp_path,
                    SCHEMATHESIS_HOOKS=str(SCRIPTS / "schemathesis_hooks.py"),
                )

    report = asyncio.run(examine())
    assert "8 selected / 8 total" in report
    assert "Schema validation skipped" not in report, report


async def test_a_generated_python_client_compiles_and_calls(
    tools: Path, document: Path, sample: str, tmp_path: Path
) -> None:
    await output(
        tools / "openapi-python-client",
        "generate",
        "--path",
        document,
        "--meta=none",
        "--output-path",
        tmp_path / "sample_client",
        cwd=tmp_path,
        PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",
    )
    program = shutil.copy(SCRIPTS / "generated_client.py", tmp_path)
    # What the generator brings along is its own affair; what it made of the document is ours.
    checks = ("--strict", "--follow-imports=silent", "sample_client/api", "sample_client/models")
    await output(sys.executable, "-m", "mypy", *checks, program, cwd=tmp_path)
    called = await output(sys.executable, program, sample, cwd=tmp_path)
    assert json.loads(called) == {
        "sum": 3.5,
        "greeting": "Good morning, Ada!",
        "words": 4,
        "failure": "invalid_arguments",
        "countdown": ["data: 1", "data: 0", "data: [DONE]"],
        "stranger": "unauthenticated",
    }


async def test_a_generated_typescript_client_compiles_and_calls(
    node_programs: Path, document: Path, sample: str, tmp_path: Path
) -> None:
    for name in ("caller.ts", "wrong.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(node_programs.parent)
    await output(node_programs / "openapi-typescript", document, "-o", "schema.d.ts", cwd=tmp_path)
    await output(node_programs / "tsc", cwd=tmp_path)
    called = await output("node", "caller.js", sample, cwd=tmp_path)
    assert json.loads(called) == {
        "sum": 3.5,
        "greeting": "Hello, Ada!",
        "words": 4,
        "countdown": "data: 1\n\ndata: 0\n\ndata: [DONE]\n\n",
        "failure": [400, "invalid_request"],
        "stranger": [401, "unauthenticated"],
    }


async def test_the_pages_show_the_operations_and_try_them_out(
    browser: Browser, gateway: Gateway, sample: str
) -> None:
    page = await browser.page(f"{sample}/docs")
    await page.until("document.querySelectorAll('.opblock').length === 8")
    await page.run("document.querySelector('#operations-Sample-get_greet button').click()")
    await page.until("!!document.querySelector('.try-out__btn')")
    await page.run("document.querySelector('.try-out__btn').click()")
    await page.until("!!document.querySelector('.btn.execute')")
    await page.run("document.querySelector('.btn.execute').click()")
    shown = await page.until(
        "document.querySelector('.responses-table.live-responses-table .microlight')?.textContent"
    )
    assert shown == '"Hello, Ada!"'

    await page.open(sample.replace("/services/sample", "/api-docs"))
    await page.until("document.querySelectorAll('.opblock').length === 8")
    await page.open(f"{gateway.url}/api-docs")
    await page.until("document.querySelectorAll('.opblock').length > 5")
    refused = [line for line in page.log if "Content Security Policy" in line]
    assert refused == []


async def test_a_page_says_why_there_is_nothing_to_show(browser: Browser, gateway: Gateway) -> None:
    page = await browser.page(f"{gateway.url}/no-such-workspace/api-docs")
    told: Any = await page.until(
        "!document.getElementById('message').hidden"
        " && document.getElementById('message').textContent"
    )
    assert told == "Workspace 'no-such-workspace' not found"
