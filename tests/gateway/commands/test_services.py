"""What the commands print of the services of a gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.cli import main
from gateway.commands import client
from gateway.commands.description import function_lines, type_name

SCHEMA = {
    "count": {
        "type": "function",
        "function": {
            "description": "Count.\nSlowly.",
            "parameters": {
                "properties": {
                    "up_to": {"type": "integer", "description": "The last\nnumber"},
                    "by": {"type": "integer", "default": 1},
                    "label": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                },
                "required": ["up_to"],
            },
            "returns": {"type": "array", "items": {"type": "integer"}, "description": "Numbers"},
        },
    },
    "talk": {
        "type": "function",
        "function": {"parameters": {"properties": {"interaction": {}}}},
    },
    "group": {"leaf": {"type": "function", "function": {}}},
}
LINES = [
    "count(up_to, by, label)  Count.",
    "    up_to  integer        required   The last number",
    "    by     integer        default 1",
    "    label  string | null  optional",
    "    returns array of integer  Numbers",
    "talk()",
    "group.leaf()",
]
SERVICE = {"id": "public/a:b", "name": "B", "type": "generic", "config": {"visibility": "public"}}


class Answering:
    """A gateway that answers anything with the same."""

    answers: tuple[Any, ...] = ()

    def __init__(self, server: str, token: str | None) -> None:
        pass

    def close(self) -> None:
        pass

    def get(self, *path: str) -> Any:
        return self.answers[0]

    def request(self, *_: Any, **__: Any) -> Iterator[Any]:
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
            yield answer


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> type[Answering]:
    monkeypatch.setattr(client, "Client", Answering)
    monkeypatch.delenv("POLYPORT_TOKEN", raising=False)
    return Answering


def answer_with(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
    monkeypatch.setattr(Answering, "answers", answers)


def test_functions_are_described_with_what_they_take_and_return() -> None:
    assert list(function_lines(SCHEMA)) == LINES


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({}, "any"),
        (None, "any"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": "x"}, '"x"'),
        ({"type": ["string", "null"]}, "string | null"),
        ({"oneOf": [{"type": "array"}, {"$ref": "#/$defs/A"}]}, "array | object"),
    ],
)
def test_a_schema_is_named_in_a_few_words(schema: Any, name: str) -> None:
    assert type_name(schema) == name


@pytest.mark.usefixtures("answering")
def test_services_of_no_workspace_say_whose_they_are_and_how_to_see_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(monkeypatch, [SERVICE])
    assert main(["services"]) == 0
    shown = capsys.readouterr()
    assert "public/a:b" in shown.out
    assert "everybody may see" in shown.err
    assert "polyport services WORKSPACE" in shown.err
    assert main(["services", "--token", "t"]) == 0
    assert "your token may see" in capsys.readouterr().err
    for words in (["services", "public"], ["services", "--json"]):
        assert main(words) == 0
        assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("answering")
def test_a_terminal_shows_how_many_items_have_come_and_no_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(monkeypatch, "red\x1b[31m", {"n": 1}, client.Failed("broken"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["call", "public/b", "count"]) == 1
    shown = capsys.readouterr()
    assert "red\\x1b[31m" in shown.out
    assert '{"n": 1}' in shown.out
    assert "2 received" in shown.out
    assert shown.err == "Error: broken\n"


@pytest.mark.usefixtures("answering")
def test_what_a_provider_says_of_its_service_does_not_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "\x1b]0;title\x07"
    function = {"type": "function", "function": {"description": title}}
    evil = SERVICE | {
        "name": title,
        "type": "\x9b1m",
        "description": title,
        "service_schema": {"f": function},
    }
    for words, answer in (
        (["services", "public"], [evil]),
        (["describe", "public/b"], evil),
        (["call", "public/b", "f"], client.Failed(title)),
    ):
        answer_with(monkeypatch, answer)
        main(words)
        shown = capsys.readouterr()
        assert not set("\x1b\x07\x9b") & set(shown.out + shown.err)
        assert "\\x1b]0;title" in shown.out + shown.err


@pytest.mark.usefixtures("answering")
def test_a_pipe_gets_lines_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(monkeypatch, "red", {"n": 1})
    assert main(["call", "public/b", "count"]) == 0
    assert capsys.readouterr().out == 'red\n{"n": 1}\n'
    assert main(["call", "public/b", "count", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ["red", {"n": 1}]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_POLYPORT_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "polyport desc")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "polyport desc")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    main([])
    assert "describe" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["call"], "Missing argument 'WORKSPACE/SERVICE'."),
        (["services", "--nonsense"], "No such option: --nonsense"),
        (["call", "a/b", "f", "--timeout", "x"], "Invalid value for '--timeout'"),
    ],
)
def test_a_misused_word_is_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    line, end = capsys.readouterr().err.split("\n")
    assert line.startswith(f"Error: {told}")
    assert end == ""


@pytest.mark.parametrize("words", [[], ["keys"]])
def test_nothing_said_is_answered_with_what_can_be_said(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert "Usage: polyport" in shown.out + shown.err
    assert "Error" not in shown.err
