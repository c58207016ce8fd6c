"""The pages about clients say what the command says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_bridge.connect.configurations import CLIENTS, Endpoint

DOCS = Path(__file__).parents[3] / "docs" / "clients"
URL = "http://127.0.0.1:9527/public/mcp/lab/mcp"


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_has_a_page_with_its_configuration(client: str) -> None:
    page = (DOCS / f"{client}.md").read_text(encoding="utf-8")
    assert f"({client}.md)" in (DOCS / "index.md").read_text(encoding="utf-8")
    for needs_token in (False, True):
        found = CLIENTS[client](Endpoint.of("lab", URL, needs_token=needs_token))
        if found.content is not None:
            assert f"\n{found.text.rstrip()}\n" in page
        if found.command is not None:
            assert f"\n{found.command}\n" in page
