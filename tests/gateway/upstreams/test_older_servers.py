"""Servers of the older era, which know nothing of the newer one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gateway.api import CallOptions
from tests.gateway.upstreams.conftest import CONTENT, Run, call, find, status
from tests.gateway.upstreams.test_server import Interaction

SERVER = Path(__file__).parent / "legacy_server.py"
ENTRY: dict[str, Any] = {"type": "stdio", "command": sys.executable, "args": [str(SERVER)]}


async def test_it_is_spoken_to_in_its_revision(run: Run) -> None:
    parts = await run({"demo": ENTRY})
    assert await call(parts, "echo", a=1) == 'echo {"a": 1}'
    assert status(parts).status()["protocol_version"] == "2025-06-18"


async def test_names_that_are_no_paths_become_some_and_none_is_lost(run: Run) -> None:
    functions = (await find(await run({"demo": ENTRY}))).functions
    assert list(functions)[:3] == ["echo", "ask", "strange"]
    assert functions["a_b_c"].declared["_meta"] == {"polyport/upstream-name": "a/b c"}
    [other] = [path for path in functions if path.startswith("resources_")]
    assert functions[other].declared["_meta"] == {"polyport/upstream-name": "resources"}


async def test_its_question_is_answered_by_whoever_made_the_call(run: Run) -> None:
    parts = await run({"demo": ENTRY})
    interaction = Interaction()
    answer = await call(parts, "ask", CallOptions(interaction=interaction))
    assert '"sure": true' in answer
    [question] = interaction.questions
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == "Are you sure?"
    assert question["params"]["requestedSchema"]["properties"] == {"sure": {"type": "boolean"}}


async def test_a_question_that_nobody_can_answer_does_not_hang(run: Run) -> None:
    parts = await run({"demo": ENTRY})
    assert await call(parts, "ask") == "null", "the server is told that it cannot ask"


async def test_progress_is_passed_on(run: Run) -> None:
    parts = await run({"demo": ENTRY})
    interaction = Interaction()
    await call(parts, "echo", CallOptions(interaction=interaction))
    assert interaction.reports == [(1, 2, "half")]


async def test_a_result_that_misses_its_own_schema_is_passed_on_as_it_is(run: Run) -> None:
    parts = await run({"demo": ENTRY})
    result = await call(parts, "strange", CONTENT)
    assert result["structuredContent"] == {"n": "odd"}
    assert result["content"][0]["text"] == "odd"
