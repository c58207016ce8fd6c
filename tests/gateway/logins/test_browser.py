"""Whether there is a browser, and how it is started."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

import pytest

from gateway.logins import browser


@pytest.mark.parametrize(
    ("platform", "environment", "has_one"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"BROWSER": "firefox"}, True),
        ("linux", {"BROWSER": "none", "DISPLAY": ":0"}, False),
        ("darwin", {}, True),
        ("win32", {}, True),
        ("darwin", {"BROWSER": "none"}, False),
    ],
)
def test_without_a_screen_there_is_none(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], has_one: bool
) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert browser.has_browser() is has_one


def test_the_page_is_shown_by_the_browser_that_the_user_has_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe, program = tmp_path / "pipe", tmp_path / "browser"
    os.mkfifo(pipe)
    program.write_text(f'#!/bin/sh\necho "$1" > {pipe}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    browser.open_page("https://x.example/authorize?a=1&b=2")
    assert pipe.read_text() == "https://x.example/authorize?a=1&b=2\n"
