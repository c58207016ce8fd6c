"""Addresses of resources, and the families that templates describe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_bridge.resources import Source, Template
from tests.patience import cpu_seconds


def variables(template: str, uri: str) -> dict[str, str] | None:
    return Template.of({"uriTemplate": template}, Source()).variables(uri)


@pytest.mark.parametrize(
    ("template", "uri", "found"),
    [
        ("x://{id}", "x://7", {"id": "7"}),
        ("x://{id}", "x://", None),
        ("x://{id}", "x://7/8", None),
        ("x://{id}", "y://7", None),
        ("x://a/{id}/data", "x://a/7/data", {"id": "7"}),
        ("x://a/{id}/data", "x://a/7/other", None),
        ("x://{name}.{kind}", "x://a.tar.gz", {"name": "a.tar", "kind": "gz"}),
        ("x://{name}.{kind}", "x://a.", None),
        ("x://{name}.{kind}", "x://.gz", None),
        ("x://{a}{b}", "x://123", {"a": "12", "b": "3"}),
        ("x://{a}{b}", "x://1", None),
        ("x://v{a}v", "x://v", None),
        ("x://{id}", "x://caf%C3%A9%2F1", {"id": "café/1"}),
        ("x://{id}/{id}", "x://7/7", {"id": "7"}),
        ("x://{id}/{id}", "x://7/8", None),
        ("x://{id}-{id}", "x://7-7", {"id": "7"}),
        ("x://{not a variable}/{1}", "x://{not a variable}/{1}", {}),
    ],
)
def test_a_template_finds_its_variables(
    template: str, uri: str, found: dict[str, str] | None
) -> None:
    assert variables(template, uri) == found


PARTS = st.lists(st.sampled_from(["{a}", "{b}", "{c}", "x", "-", "/"]), max_size=8, unique=True)


@given(PARTS, st.text("ax-/", max_size=8))
def test_it_finds_what_a_regular_expression_would(parts: list[str], uri: str) -> None:
    expression = "".join(f"(?P<{p[1]}>[^/]+)" if len(p) > 1 else re.escape(p) for p in parts)
    match = re.fullmatch(expression, uri)
    assert variables("".join(parts), uri) == (match.groupdict() if match else None)


def test_no_template_keeps_the_gateway_busy() -> None:
    many = "".join(f"{{v{number}}}" for number in range(200))

    def match() -> None:
        assert variables(f"x://{many}!", "x://" + "y" * 1_900) is None
        assert variables("x://" + "{a}-{b}" * 3, "x://" + "-" * 1_900) is None
        assert variables(f"x://{many}", "x://" + "y" * 1_900) is not None

    assert cpu_seconds(match) < 0.05
