"""The agent example, with the framework's test model, against a real gateway and a real service."""

from __future__ import annotations

from tests.examples.programs import AGENTS, run


def test_agent_finds_the_tools_and_calls_each_of_them(sample_mcp_url: str) -> None:
    output = run(AGENTS / "agent.py", "--url", sample_mcp_url)
    calls = {line.split()[1].partition("(")[0] for line in output if line.startswith("call ")}
    results = dict(
        line.removeprefix("result").strip().split(" -> ", 1)
        for line in output
        if line.startswith("result ")
    )
    assert results.keys() == calls
    (count_words,) = calls - {"greet", "add", "countdown"}
    assert "count_words" in count_words
    assert results["greet"] == "Hello, Ada!"
    assert results["add"] in ("5", "5.0")
    assert results[count_words] == "4"
    assert all(number in results["countdown"] for number in "3210")
    assert output[-1].startswith("answer ")
