"""The form of what servers send."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.upstreams.mcp_client import checking

GOOD: list[dict[str, Any]] = [
    {"type": "text", "text": ""},
    {"type": "image", "data": "", "mimeType": "image/png"},
    {"type": "audio", "data": "", "mimeType": "audio/wav", "more": 1},
    {"type": "resource_link", "uri": "a:b", "name": "b"},
    {"type": "resource", "resource": {"uri": "a:b", "text": "x"}},
    {"type": "resource", "resource": {"uri": "a:b", "blob": "eA=="}},
]
BAD: list[Any] = [
    None,
    "text",
    {},
    {"type": "text"},
    {"type": "text", "text": 1},
    {"type": ["text"]},
    {"type": "image", "data": ""},
    {"type": "video", "data": ""},
    {"type": "resource", "resource": {"uri": "a:b"}},
    {"type": "resource", "resource": {"text": "x"}},
]


@pytest.mark.parametrize("block", GOOD)
def test_blocks_of_every_kind_are_good(block: dict[str, Any]) -> None:
    assert checking.is_tool_result({"content": [block]}, is_modern=True)
    assert checking.is_prompt({"messages": [{"role": "user", "content": block}]})


@pytest.mark.parametrize("block", BAD)
def test_a_result_with_a_malformed_block_is_not(block: Any) -> None:
    assert not checking.is_tool_result({"content": [block]}, is_modern=True)
    assert not checking.is_prompt({"messages": [{"role": "user", "content": block}]})


def test_what_stands_beside_the_content_has_a_form_too() -> None:
    assert checking.is_tool_result({}, is_modern=True)
    assert checking.is_tool_result({"structuredContent": {"a": 1}}, is_modern=False)
    assert checking.is_tool_result({"structuredContent": [1]}, is_modern=True)
    wrong: list[dict[str, Any]] = [{"content": "x"}, {"isError": "no"}, {"_meta": 1}]
    for result in wrong:
        assert not checking.is_tool_result(result, is_modern=True)
    assert not checking.is_tool_result({"structuredContent": [1]}, is_modern=False)


def test_other_results_have_their_lists() -> None:
    assert checking.is_contents({"contents": [{"uri": "a:b", "text": "x"}]})
    assert checking.is_completion({"completion": {"values": ["a"]}})
    wrong: list[dict[str, Any]] = [
        {},
        {"contents": [{}]},
        {"completion": {"values": [1]}},
        {"messages": [{}]},
    ]
    for result in wrong:
        assert not checking.is_contents(result)
        assert not checking.is_completion(result)
        assert not checking.is_prompt(result)


def test_entries_without_what_they_are_known_by_are_left_out() -> None:
    listed = [{"name": "a", "title": None}, {"name": ""}, {"name": 1}, "b", {"title": "c"}]
    assert checking.entries(listed, "name") == [{"name": "a"}]
    assert checking.entries({"name": "a"}, "name") == []


def test_entries_that_some_client_could_not_read_are_left_out() -> None:
    deep: Any = {}
    for _ in range(250):
        deep = {"properties": {"a": deep}}
    unreadable = [
        {"name": "deep", "inputSchema": deep},
        {"name": "encoded", "inputSchema": {"properties": {"_rtype": {"type": "string"}}}},
        {"name": "broken", "description": "\ud800"},
        {"name": "large", "description": "x" * 600_000},
    ]
    assert checking.entries([*unreadable, {"name": "good"}], "name") == [{"name": "good"}]


def test_no_number_of_an_entry_becomes_another_one() -> None:
    schema = {"type": "integer", "maximum": 2**256, "default": 2**64, "minimum": -(2**63)}
    [entry] = checking.entries(
        [{"name": "a", "inputSchema": {"properties": {"n": schema}}}], "name"
    )
    assert entry["inputSchema"]["properties"]["n"] == {
        "type": "integer",
        "maximum": float(2**256),
        "default": str(2**64),
        "minimum": -(2**63),
    }
