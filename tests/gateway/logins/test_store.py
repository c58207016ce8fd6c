"""Files of logins: where they are, what is made of those that are damaged, and who waits."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from gateway.logins.store import Entry, Grant, directory

URL = "https://x.example/ws/mcp"


def grant(token: str = "t", url: str = URL) -> Grant:
    record = {"current_tokens": {"access_token": token}, "client_info": {"client_id": "c"}}
    return Grant(url, record)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    entry = Entry(URL, tmp_path / "logins")
    assert entry.read() is None
    entry.write(grant("one"))
    entry.write(grant("two"))
    found = Entry(URL, tmp_path / "logins").read()
    assert found is not None
    assert found.access_token == "two"
    assert not found.can_be_renewed
    assert [file.name for file in (tmp_path / "logins").iterdir()] == [entry.file.name]
    assert entry.remove()
    assert not entry.remove()
    assert entry.read() is None


def test_each_endpoint_has_a_file_that_names_its_host(tmp_path: Path) -> None:
    urls = [URL, f"{URL}/a/mcp", "https://y.example/ws/mcp", "https://../ws", "http://[::1]:1/a"]
    files = [Entry(url, tmp_path).file for url in urls]
    assert len({file.name for file in files}) == len(urls)
    assert all(file.parent == tmp_path for file in files)
    assert files[0].name.startswith("x.example-")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"endpoint": "https://x.example/ws/mcp", "record": {}}',
        b'{"endpoint": "https://x.example/ws/mcp", "record": {"current_tokens": null}}',
        b'{"endpoint": "https://y.example", "record": {"current_tokens": {"access_token": "t"},'
        b' "client_info": {"client_id": "c"}}}',
    ],
)
def test_a_file_that_is_damaged_is_as_none(tmp_path: Path, content: bytes) -> None:
    entry = Entry(URL, tmp_path)
    entry.file.write_bytes(content)
    assert entry.read() is None
    entry.write(grant())
    assert entry.read() == grant()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    place = tmp_path / "logins"
    place.mkdir(mode=0o755)
    entry = Entry(URL, place)
    entry.file.write_text("{}")
    entry.file.chmod(0o644)
    entry.write(grant())
    assert stat.S_IMODE(entry.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    entry, other = Entry(URL, tmp_path), tmp_path / "other"
    other.write_text("mine")
    entry.file.symlink_to(other)
    entry.file.with_name(f".{entry.file.name}.{os.getpid()}.new").symlink_to(other)
    entry.write(grant())
    assert other.read_text() == "mine"
    assert not entry.file.is_symlink()


def test_its_text_shows_no_token() -> None:
    assert "secret" not in repr(grant("secret"))


@pytest.mark.skipif(sys.platform != "linux", reason="the others have places of their own")
def test_the_directory_is_where_the_platform_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYPORT_LOGIN_DIR", raising=False)
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert directory() == Path("/people/ada/.local/state/polyport/logins")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert directory() == Path("/people/ada/.local/state/polyport/logins")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert directory() == Path("/state/polyport/logins")
    monkeypatch.setenv("POLYPORT_LOGIN_DIR", "~/mine")
    assert directory() == Path("/people/ada/mine")


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("POLYPORT_LOGIN_DIR", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="Name a directory with POLYPORT_LOGIN_DIR"):
        Entry(URL).read()


async def test_one_holds_the_lock_and_who_waits_learns_why_it_failed(tmp_path: Path) -> None:
    waiting = asyncio.Event()
    entry = Entry(URL, tmp_path)

    async def later() -> str | None:
        async with Entry(URL, tmp_path).locked(waiting.set) as lock:
            return lock.left

    async with entry.locked(waiting.set) as lock:
        other = asyncio.create_task(later())
        await waiting.wait()
        lock.leave("it was refused")
        assert not other.done()
    assert await other == "it was refused"
    waiting.clear()
    assert await later() is None
    assert not waiting.is_set()
