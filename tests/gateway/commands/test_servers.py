"""What the command prints of the servers behind a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.cli import main
from gateway.commands import client

URL = "https://auth.example/authorize?state=s"
SERVERS = [
    {"name": "files", "kind": "stdio", "state": "running", "reason": None},
    {"name": "tracker", "kind": "http", "state": "needs login", "reason": "it", "login_url": URL},
    {"name": "evil", "kind": "http", "state": "waiting", "reason": "\x1b[31mred"},
]
asked: list[tuple[Any, ...]] = []


class Answering:
    """A gateway with these servers."""

    def __init__(self, server: str, token: str | None) -> None: ...
    def close(self) -> None: ...

    def request(self, *words: Any, json_body: Any) -> Iterator[Any]:
        asked.append((*words, json_body))
        yield SERVERS


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "Client", Answering)
    monkeypatch.setenv("POLYPORT_TOKEN", "t")
    monkeypatch.setenv("COLUMNS", "200")


def test_servers_are_listed_with_how_they_are_and_where_to_log_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["servers", "my-team"]) == 0
    assert asked[-1][2] == {"workspace": "my-team"}
    shown = capsys.readouterr().out
    assert "needs login" in shown
    assert f"Log the gateway in to tracker at {URL}\n" in shown
    assert "\\x1b[31mred" in shown


def test_programs_get_them_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["servers", "--json"]) == 0
    assert asked[-1][2] == {"workspace": "public"}
    assert json.loads(capsys.readouterr().out) == SERVERS
