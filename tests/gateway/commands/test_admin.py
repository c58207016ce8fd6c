"""The administrator key: made where nothing is kept yet, good for all, replaced on demand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.auth.access import Action, decide
from gateway.cli import main
from gateway.commands.admin import first_admin_key
from gateway.settings import Settings
from schema.errors import Unauthenticated
from schema.identity import ROOT_USER, User
from tests.gateway.peer import Peer

ROOT_TOKEN = "r0" * 20


async def started(directory: Path, **more: object) -> Parts:
    parts = build(Settings(data_dir=directory, port=9527, **more))[0]  # type: ignore[arg-type]
    await parts.load()
    return parts


async def test_only_the_first_start_makes_a_key_and_it_is_good_after_a_restart(
    tmp_path: Path,
) -> None:
    first = await started(tmp_path)
    key = await first_admin_key(first)
    assert key is not None
    await first.close()
    second = await started(tmp_path)
    assert await first_admin_key(second) is None
    caller = await second.gateway.authenticate(Credentials(key))
    assert (caller.user.id, caller.user.roles) == (ROOT_USER.id, ROOT_USER.roles)
    assert decide(caller, Action.ADMINISTER, "*").allowed
    await second.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"admin-" in kept and key.encode() not in kept


async def test_no_key_is_made_beside_a_root_token_or_where_nothing_is_kept(
    tmp_path: Path,
) -> None:
    chosen = await started(tmp_path, root_token=ROOT_TOKEN)
    assert await first_admin_key(chosen) is None
    await chosen.close()
    ephemeral = await started(tmp_path, ephemeral=True)
    assert await first_admin_key(ephemeral) is None
    await ephemeral.close()


async def test_a_new_key_ends_the_old_one_and_what_was_made_with_it(parts: Parts) -> None:
    old = await parts.api_keys.rotate_admin()
    program = await Peer.join(parts, token=old)
    minted = await program.manager("generate_token")
    new = await parts.api_keys.rotate_admin()
    for gone in (old, minted):
        with pytest.raises(Unauthenticated):
            await parts.gateway.authenticate(Credentials(gone))
    assert (await parts.gateway.authenticate(Credentials(new))).user.id == ROOT_USER.id


async def test_the_key_is_in_nobody_elses_list(parts: Parts) -> None:
    await parts.api_keys.rotate_admin()
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    assert await ann.manager("list_api_keys") == []


def test_rotate_admin_prints_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rotate-admin", "--data-dir", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert re.match(r"Administrator key: pp_\S{43} \(shown this once", line)
    assert main(["rotate-admin", "--ephemeral"]) == 2
