"""Which versions of others Polyport can be installed beside."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
RANGES = {r.name: r.specifier for r in map(Requirement, PROJECT["project"]["dependencies"])}


@pytest.mark.parametrize(
    ("name", "pinned", "whose"),
    [
        ("mcp", "1.30.0", "langchain-mcp-adapters 0.3.2"),
        ("mcp", "2.3.0", "fastmcp 4.2"),
        ("pydantic", "2.12.5", "gradio[mcp] 6.31"),
        ("websockets", "16.1.1", "openai-agents 0.24"),
    ],
)
def test_it_takes_the_versions_that_its_neighbours_pin(name: str, pinned: str, whose: str) -> None:
    assert RANGES[name].contains(pinned), f"{whose} wants {name} {pinned}"
