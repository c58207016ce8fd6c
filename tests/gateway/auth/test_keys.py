from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.auth.keys import KEPT, KEY_FILE, manager_id, rotate, signing_keys
from gateway.settings import Settings
from schema.errors import InvalidRequest


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "deep" / "data")
    key = signing_keys(settings)[0]
    assert signing_keys(settings)[0] == key
    path = tmp_path / "deep" / "data" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == [KEY_FILE]


def test_a_configured_key_wins_and_nothing_is_written(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", jwt_secret="s" * 40)
    assert signing_keys(settings) == ["s" * 40]
    assert not (tmp_path / "data").exists()


def test_an_ephemeral_server_keeps_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", ephemeral=True)
    assert signing_keys(settings) != signing_keys(settings)
    assert not (tmp_path / "data").exists()


def test_a_place_that_cannot_be_written_is_told_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert signing_keys(Settings(data_dir=tmp_path / "file" / "data"))
    assert "no_data_directory" in caplog.text


def test_a_damaged_key_file_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / KEY_FILE).write_text("short")
    assert len(signing_keys(Settings(data_dir=tmp_path))[0]) == 64
    assert "no_data_directory" in caplog.text


def test_the_manager_id_follows_from_the_key_and_does_not_show_it() -> None:
    assert manager_id("a") == manager_id("a") != manager_id("b")
    assert "secret" not in manager_id("secret")
    assert not set("/:@*") & set(manager_id("a"))


def test_after_a_rotation_the_new_key_signs_and_the_old_one_is_still_known(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (first,) = signing_keys(settings)
    rotate(settings)
    second, *rest = signing_keys(settings)
    assert (second != first, rest) == (True, [first])
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0
    for _ in range(KEPT + 1):
        rotate(settings)
    assert len(signing_keys(settings)) == KEPT


def test_a_key_that_is_given_is_not_rotated(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        rotate(Settings(data_dir=tmp_path, jwt_secret="s" * 40))
