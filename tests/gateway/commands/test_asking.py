"""What functions tell and ask while they run, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from gateway.commands.asking import Listener, filled_in, progress_line, prompt_of, value_of
from gateway.commands.client import Failed

SEAT = {"type": "string", "enum": ["window", "aisle"]}
FORM = {
    "message": "Which\x1b seat?",
    "requestedSchema": {
        "properties": {
            "seat": SEAT,
            "bags": {"type": "integer", "default": 1},
            "note": {"type": "string"},
        },
        "required": ["seat"],
    },
}
ASKED = {
    "url": "http://elsewhere/base/ws-lab/asks/secret",
    "requests": {"answer": {"method": "elicitation/create", "params": FORM}},
}


class Gateway:
    """Takes answers, or refuses them first."""

    def __init__(self, *refusals: Failed) -> None:
        self.sent: list[tuple[tuple[str, ...], Any]] = []
        self._refusals = list(refusals)

    def send(self, path: tuple[str, ...], content: Any) -> None:
        self.sent.append((path, content))
        if self._refusals:
            raise self._refusals.pop(0)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user types; after that, Ctrl-D."""
    lines: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        if not lines:
            raise typer.Abort
        return lines.pop(0)

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    return lines


def listener(gateway: Gateway) -> Listener:
    return Listener(gateway)  # type: ignore[arg-type]


def test_progress_and_log_go_beside_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    listen = listener(Gateway())
    listen("progress", {"value": 1, "total": 2, "message": "half\x07"})
    listen("log", {"level": "info", "data": {"a": 1}, "logger": None})
    listen("news", {})
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", '1/2 half\\x07\ninfo: {"a": 1}\n')


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"value": 3}, "3"),
        ({"value": 3, "total": 4.5}, "3/4.5"),
        ({"value": 1, "message": "m"}, "1 m"),
    ],
)
def test_progress_is_told_as_far_as_it_is_known(data: Any, line: str) -> None:
    assert progress_line(data) == line


def test_an_answer_goes_to_the_server_that_was_called(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed += ["aisle", "2", ""]
    gateway = Gateway()
    listener(gateway)("ask", ASKED)
    answer = {"action": "accept", "content": {"seat": "aisle", "bags": 2}}
    assert gateway.sent == [(("ws-lab", "asks", "secret"), {"answer": answer})]
    assert "Which\\x1b seat?" in capsys.readouterr().err


def test_an_answer_that_is_refused_is_asked_for_again(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed += ["roof", "", "", "aisle", "", ""]
    gateway = Gateway(Failed("no roof", may_be_mended=True))
    listener(gateway)("ask", ASKED)
    assert [sent["answer"]["content"]["seat"] for _, sent in gateway.sent] == ["roof", "aisle"]
    assert "Error: no roof" in capsys.readouterr().err


def test_a_question_that_is_gone_ends_the_call(typed: list[str]) -> None:
    typed += ["aisle", "", ""]
    with pytest.raises(Failed, match="too late"):
        listener(Gateway(Failed("too late")))("ask", ASKED)


def test_what_is_left_out_has_its_default_and_the_end_of_input_cancels(typed: list[str]) -> None:
    typed += ["aisle", "", ""]
    assert filled_in(FORM)["content"] == {"seat": "aisle", "bags": 1}
    assert filled_in(FORM) == {"action": "cancel"}
    assert filled_in({"message": "Go on?"}) == {"action": "accept", "content": {}}


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    yield


@pytest.mark.usefixtures("no_terminal")
def test_without_a_terminal_a_question_is_an_error() -> None:
    with pytest.raises(Failed, match=r"Which.*seat"):
        listener(Gateway())("ask", ASKED)
    sampling = {"url": "u", "requests": {"s": {"method": "sampling/createMessage", "params": {}}}}
    with pytest.raises(Failed, match="sampling"):
        listener(Gateway())("ask", sampling)


def test_a_prompt_says_what_may_be_given() -> None:
    assert prompt_of("seat", SEAT) == "seat (window | aisle)"
    titled = {"title": "Bags", "oneOf": [{"const": 1}, {"const": 2}], "default": 2}
    assert prompt_of("bags", titled) == "Bags (1 | 2) [2]"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("1", "integer", 1), ("true", "boolean", True), ("x", "number", "x"), ("1", "string", "1")],
)
def test_what_is_typed_has_the_type_that_is_asked_for(text: str, kind: str, value: Any) -> None:
    assert value_of(text, {"type": kind}) == value
