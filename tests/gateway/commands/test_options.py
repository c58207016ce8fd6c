"""The flags of ``serve`` and ``check-config``, and where settings come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands.options import PASSED_OVER, REFUSED, spread
from gateway.settings import Settings

TOKEN = "r" * 32


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["check-config", "--json", *arguments]) == 0
    values: dict[str, object] = json.loads(capsys.readouterr().out)
    return values


def test_every_setting_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')[:12]}" in text
    assert text.count("<bool>") <= 1  # that of --help itself; a switch takes no value
    assert "INTEGER" in text
    assert "NUMBER" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--static-mounts", "/a:{0}", "/b:{0}"],
        ["--static-mounts", "/a:{0}", "--static-mounts", "/b:{0}"],
        ["--static-mounts=/a:{0}", "/b:{0}", "--port", "1"],
    ],
)
def test_a_list_flag_takes_all_values_that_follow(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    values = shown(capsys, *(a.format(tmp_path) for a in arguments))
    assert values["static_mounts"] == [f"/a:{tmp_path}", f"/b:{tmp_path}"]


def test_spreading_leaves_other_flags_alone() -> None:
    given = ["--port", "1", "--l=a", "b", "--x", "c", "--l", "d", "e"]
    wanted = ["--port", "1", "--l=a", "--l", "b", "--x", "c", "--l", "d", "--l", "e"]
    assert spread(given, {"--l"}) == wanted


def test_lists_in_the_environment_are_split_on_spaces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPHA_STARTUP_FUNCTIONS", "./a.py:start my.module:start")
    monkeypatch.setenv("POLYPORT_ALLOW_ORIGINS", "https://a.example, https://b.example/")
    monkeypatch.setenv("POLYPORT_EXTENSIONS", '["http_proxy"]')
    values = shown(capsys)
    assert values["startup_functions"] == ["./a.py:start", "my.module:start"]
    assert values["allow_origins"] == ["https://a.example", "https://b.example"]
    assert values["extensions"] == ["http_proxy"]


def test_s41_a_flag_wins_over_the_environment_and_the_new_name_over_the_old(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPHA_PORT", "1")
    assert shown(capsys)["port"] == 1
    monkeypatch.setenv("POLYPORT_PORT", "2")
    assert shown(capsys)["port"] == 2
    assert shown(capsys, "--port", "3")["port"] == 3


def test_secrets_are_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYPORT_JWT_SECRET", "very-secret")
    for arguments in (["--json"], []):
        assert main(["check-config", "--root-token", TOKEN, *arguments]) == 0
        text = capsys.readouterr().out
        assert TOKEN not in text
        assert "very-secret" not in text
        assert text.count("**********") == 2


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_every_mistake_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("HYPHA_PORT", "many")
    arguments = ["--root-token", "too-short", "--static-mounts", "/ws:.", "--base-path", "/a/../b"]
    assert main([command, *arguments, "--startup-functions", "nothing"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "port: Input should be a valid integer, unable to parse string as an integer.",
        "base_path: '/a/../b' is not a path.",
        "root_token: It needs 32 characters or more.",
        "static_mounts: The path /ws belongs to the gateway.",
        "startup_functions: 'nothing' is not of the form file.py:function or module:function.",
    ]


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--log-level", "LOUD"),
        ("--public-base-url", "ftp://host"),
        ("--public-base-url", "gateway.example"),
        ("--public-base-url", "https://host?x=1"),
    ],
)
def test_a_value_that_means_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert main(["check-config", flag, value]) == 2
    assert capsys.readouterr().err.startswith(f"{flag[2:].replace('-', '_')}: ")


def test_the_log_level_may_be_written_as_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "--log-level", "debug")["log_level"] == "DEBUG"


@pytest.mark.parametrize("flag", sorted(REFUSED))
def test_a_flag_that_is_relied_on_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    for written in ([flag], [f"{flag}=x"]):
        assert main(["serve", *written]) == 2
        told = capsys.readouterr()
        assert told.err == f"{flag} is not available in this version of Polyport.\n"


@pytest.mark.parametrize("flag", sorted(PASSED_OVER))
def test_s41_a_flag_for_a_part_that_is_not_there_is_passed_over_with_its_value(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    for written in ([flag], [flag, "value"], [f"{flag}=value"]):
        assert main(["check-config", "--json", *written, "--port", "9999"]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out)["port"] == 9999
        assert told.err == f"{flag} is passed over: this version of Polyport has no such part.\n"


def test_flags_for_what_is_always_there_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "--from-env", "--enable-mcp")["port"] == 9527


@pytest.mark.parametrize(
    ("base_path", "public", "url"),
    [
        ("/", None, "http://127.0.0.1:9527"),
        ("gw/", None, "http://127.0.0.1:9527/gw"),
        ("/gw", "https://x.example/gw/", "https://x.example/gw"),
    ],
)
def test_the_base_path_is_part_of_every_url(base_path: str, public: str | None, url: str) -> None:
    settings = Settings(base_path=base_path, public_base_url=public)
    assert settings.base_url == url
