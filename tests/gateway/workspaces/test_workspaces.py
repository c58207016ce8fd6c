"""Workspaces by themselves: names, owners, members, and what of them outlives a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.storage.database import Database
from gateway.storage.sealing import SealedBox
from gateway.storage.workspaces import WorkspaceRepository
from gateway.workspaces.contents import Contents
from gateway.workspaces.records import Subject, check_workspace_name
from gateway.workspaces.workspaces import Workspaces
from schema.errors import Conflict, InvalidRequest, LimitExceeded, NotFound, WorkspaceNotFound
from schema.identity import Permission, Scope, User

ALICE = User("alice", email="Alice@Lab.example", email_verified=True, roles=("curator",))
BOB = User("bob")
ROOT = User("root", roles=("admin",), scope=Scope({"*": Permission.ADMIN}))
BOX = SealedBox(["k" * 32])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(Settings(data_dir=tmp_path))
    yield database
    await database.close()


async def started(database: Database | None = None, **options: Any) -> Workspaces:
    """What a new process knows."""
    repository = WorkspaceRepository(database) if database is not None else None
    workspaces = Workspaces(repository, **options)
    await workspaces.load()
    return workspaces


def contents_of(workspaces: Workspaces) -> Contents:
    return Contents(workspaces, BOX, workspaces._repository)


@pytest.mark.parametrize("name", ["my-lab", "a-b", "2024-run-7", "x" * 62 + "-y"])
def test_a_name_has_a_hyphen_inside(name: str) -> None:
    assert check_workspace_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "lab", "-lab", "lab-", "my--lab", "My-lab", "my_lab", "my lab", "my.lab", "my/lab",
        "a-", "x" * 63 + "-y", "my-lab\n", "мой-lab", "my|lab-1", "*", "my-*", None, 7, ["my-lab"],
    ],
)  # fmt: skip
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidRequest, match="Invalid workspace name"):
        check_workspace_name(name)


@pytest.mark.parametrize("name", ["ws-user-zed", "ws-user-", "ws-anonymous", "ws-anonymous-2"])
def test_s7_n4_names_that_belong_to_the_server_or_to_users_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_workspace_name(name)


async def test_s7_a_path_of_the_gateway_is_no_name() -> None:
    workspaces = await started(reserved={"api-docs"})
    with pytest.raises(InvalidRequest, match="reserved"):
        await workspaces.create({"id": "api-docs"}, ALICE)


async def test_s8_only_the_creator_owns_a_workspace() -> None:
    workspaces = await started()
    config = {"id": "my-lab", "owners": ["bob", "root"], "members": ["bob"], "created_at": 0}
    record = await workspaces.create(config, ALICE)
    assert record.to_wire()["owners"] == ["alice"]
    assert workspaces.permission_of(ALICE, "my-lab") is Permission.ADMIN
    assert workspaces.permission_of(BOB, "my-lab") is None


async def test_a_child_of_a_user_makes_a_workspace_for_the_user() -> None:
    workspaces = await started()
    child = User("sunny-otter-1", parent="alice")
    record = await workspaces.create({"id": "my-lab"}, child)
    assert record.owner == "alice"
    assert workspaces.permission_of(child, "my-lab") is None


async def test_everything_outlives_the_process(database: Database) -> None:
    before = await started(database)
    config = {
        "id": "my-lab",
        "name": "Lab",
        "description": "d",
        "persistent": True,
        "docs": {"a": 1},
    }
    record = await before.create(config, ALICE)
    await before.share("my-lab", Subject("user", "bob"), Permission.READ, by="alice")
    await contents_of(before).set_variable("my-lab", "KEY", {"nested": ["value", 1.5, None]})
    await contents_of(before).add_service_type("my-lab", "echo", {"id": "my-lab/echo"})
    await contents_of(before).add_bookmark(ALICE, {"bookmark_type": "workspace", "id": "my-lab"})

    after = await started(database)
    again = after.require("my-lab")
    assert again.to_wire() == record.to_wire()
    assert again.created_at == record.created_at
    assert after.permission_of(BOB, "my-lab") is Permission.READ
    assert contents_of(after).variable("my-lab", "KEY") == {"nested": ["value", 1.5, None]}
    assert again.service_types == {"echo": {"id": "my-lab/echo"}}
    assert after.require("ws-user-alice").bookmarks == [
        {"bookmark_type": "workspace", "id": "my-lab"}
    ]


async def test_what_is_taken_away_stays_away(database: Database) -> None:
    before = await started(database)
    await before.create({"id": "my-lab", "persistent": True}, ALICE)
    await before.create({"id": "old-lab", "persistent": True}, ALICE)
    await before.share("my-lab", Subject("user", "bob"), Permission.READ, by="alice")
    await contents_of(before).set_variable("my-lab", "KEY", "value")
    await before.unshare("my-lab", Subject("user", "bob"))
    await contents_of(before).set_variable("my-lab", "KEY", None)
    await before.delete("old-lab")

    after = await started(database)
    assert after.permission_of(BOB, "my-lab") is None
    with pytest.raises(NotFound, match="'KEY' not found"):
        contents_of(after).variable("my-lab", "KEY")
    assert after.get("old-lab") is None


async def test_what_anonymous_users_have_is_not_written(database: Database) -> None:
    before = await started(database)
    guest = User("anonymouz-otter", is_anonymous=True)
    home = before.ensure_personal(guest)
    await contents_of(before).set_variable(home.id, "KEY", "value")
    assert contents_of(before).variable(home.id, "KEY") == "value"
    assert (await started(database)).get(home.id) is None


async def test_environment_variables_are_not_readable_on_disk(
    database: Database, tmp_path: Path
) -> None:
    workspaces = await started(database)
    await workspaces.create({"id": "my-lab"}, ALICE)
    await contents_of(workspaces).set_variable("my-lab", "KEY", "hunter2-hunter2")
    await database.close()
    assert b"my-lab" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, float("nan"), "x" * 70_000])
async def test_a_variable_that_cannot_be_kept_is_refused(value: object) -> None:
    workspaces = await started()
    await workspaces.create({"id": "my-lab"}, ALICE)
    with pytest.raises((InvalidRequest, LimitExceeded), match="value"):
        await contents_of(workspaces).set_variable("my-lab", "KEY", value)


async def test_quota_counts_what_a_user_owns_and_not_what_is_shared_with_them() -> None:
    workspaces = await started(max_per_user=2)
    workspaces.ensure_personal(ALICE)
    for name in ("lab-1", "lab-2"):
        await workspaces.create({"id": name}, ALICE)
    await workspaces.create({"id": "lab-3"}, BOB)
    await workspaces.share("lab-3", Subject("user", "alice"), Permission.ADMIN, by="bob")
    for over in (ALICE, User("child", parent="alice")):
        with pytest.raises(LimitExceeded, match="at most 2"):
            await workspaces.create({"id": "lab-4"}, over)
    await workspaces.delete("lab-1")
    await workspaces.create({"id": "lab-4"}, ALICE)
    for n in range(3):
        await workspaces.create({"id": f"root-{n}"}, ROOT)


async def test_of_two_who_want_a_name_at_once_one_gets_it(database: Database) -> None:
    workspaces = await started(database)
    wanted = [workspaces.create({"id": "my-lab"}, user) for user in (ALICE, BOB)]
    outcomes = await asyncio.gather(*wanted, return_exceptions=True)
    assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [Conflict]
    winner = workspaces.require("my-lab").owner
    assert (await started(database)).require("my-lab").owner == winner


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (BOB, None),
        (User("carol"), Permission.READ),
        (User("carol", parent="x"), None),
        (User("eve", email="dora@lab.example"), None),
        (User("eve", email="DORA@lab.example ", email_verified=True), Permission.READ_WRITE),
        (User("eve", roles=("curator",)), Permission.ADMIN),
        (User("carol", roles=("curator",)), Permission.ADMIN),
        (User("carol", scope=Scope(current_workspace="other-lab")), None),
        (User("carol", scope=Scope(current_workspace="my-lab")), Permission.READ),
        (User("eve", roles=("admin",)), Permission.ADMIN),
        (User("eve", roles=("admin",), parent="root"), None),
        (User("eve", roles=("admin",), scope=Scope(current_workspace="other-lab")), None),
    ],
)
async def test_members_are_users_verified_addresses_and_roles(
    user: User, expected: Permission | None
) -> None:
    workspaces = await started()
    await workspaces.create({"id": "my-lab"}, ALICE)
    for subject, permission in (
        (Subject.read("carol", None, None), Permission.READ),
        (Subject.read(None, "Dora@Lab.example", None), Permission.READ_WRITE),
        (Subject.read(None, None, "curator"), Permission.ADMIN),
    ):
        await workspaces.share("my-lab", subject, permission, by="alice")
    assert workspaces.permission_of(user, "my-lab") is expected
    listed = [record.id for record in workspaces.of(user)]
    if user.parent is None and user.scope.current_workspace is None:
        assert ("my-lab" in listed) == (expected is not None)


@pytest.mark.parametrize(
    "names",
    [(None, None, None), ("a", "b@c", None), (None, "no-address", None), (None, "a b@c", None),
     (" ", None, None), ("x" * 256, None, None), ("a\nb", None, None)],
)  # fmt: skip
def test_a_workspace_is_shared_with_one_that_can_be_named(names: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InvalidRequest):
        Subject.read(*names)


async def test_the_owner_stays_whatever_is_changed(database: Database) -> None:
    workspaces = await started(database)
    await workspaces.create({"id": "my-lab"}, ALICE)
    owner = Subject("user", "alice")
    with pytest.raises(InvalidRequest, match="owns the workspace"):
        await workspaces.share("my-lab", owner, Permission.READ, by="bob")
    with pytest.raises(InvalidRequest, match="owns the workspace"):
        await workspaces.unshare("my-lab", owner)
    await workspaces.update("my-lab", {"description": "new", "owners": ["bob"], "owner": "bob"})
    assert workspaces.require("my-lab").owner == "alice"
    assert (await started(database)).require("my-lab").description == "new"


async def test_a_grant_for_an_earlier_workspace_of_the_name_is_void() -> None:
    now = [100.0]
    workspaces = await started(clock=lambda: now[0])
    await workspaces.create({"id": "my-lab"}, ALICE)
    scope = Scope({"my-lab": Permission.ADMIN}, current_workspace="my-lab")
    holder = User("child", parent="alice", scope=scope, issued_at=100.5)
    assert not workspaces.is_voided(holder, "my-lab")
    await workspaces.delete("my-lab")
    now[0] = 101.0
    await workspaces.create({"id": "my-lab"}, BOB)
    assert workspaces.is_voided(holder, "my-lab")


async def test_a_personal_workspace_that_is_deleted_is_empty_and_its_grants_are_void(
    database: Database,
) -> None:
    workspaces = await started(database)
    home = workspaces.ensure_personal(ALICE)
    await contents_of(workspaces).set_variable(home.id, "KEY", "value")
    holder = User("child", parent="alice", scope=Scope({home.id: Permission.READ}), issued_at=1.0)
    assert not workspaces.is_voided(holder, home.id)
    await workspaces.delete(home.id)
    for known in (workspaces, await started(database)):
        assert known.require(home.id).environment == {}
        assert known.is_voided(holder, home.id)
        assert known.permission_of(ALICE, home.id) is Permission.ADMIN


@pytest.mark.parametrize("name", ["public", "ws-user-root", "ws-anonymous"])
async def test_what_belongs_to_the_server_is_not_deleted(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be deleted"):
        await (await started()).delete(name)


async def test_a_workspace_that_is_not_persistent_goes_when_it_is_unloaded(
    database: Database,
) -> None:
    workspaces = await started(database)
    await workspaces.create({"id": "short-lab"}, ALICE)
    await workspaces.create({"id": "long-lab", "persistent": True}, ALICE)
    assert workspaces.unload("short-lab")
    assert not workspaces.unload("long-lab")
    await workspaces.close()
    after = await started(database)
    assert (after.get("short-lab"), after.require("long-lab").owner) == (None, "alice")


async def test_a_workspace_made_again_at_once_is_not_lost_with_the_unloaded_one(
    database: Database,
) -> None:
    workspaces = await started(database)
    await workspaces.create({"id": "my-lab"}, ALICE)
    workspaces.unload("my-lab")
    await workspaces.create({"id": "my-lab"}, BOB)
    await workspaces.close()
    assert (await started(database)).require("my-lab").owner == "bob"


async def test_watchers_hear_when_somebody_may_do_less() -> None:
    workspaces = await started()
    heard: list[str] = []
    workspaces.watch(heard.append)
    await workspaces.create({"id": "my-lab"}, ALICE)
    bob = Subject("user", "bob")
    await workspaces.share("my-lab", bob, Permission.READ, by="alice")
    await workspaces.share("my-lab", bob, Permission.ADMIN, by="alice")
    assert heard == []
    await workspaces.share("my-lab", bob, Permission.READ, by="alice")
    await workspaces.unshare("my-lab", bob)
    assert heard == ["my-lab", "my-lab"]


async def test_a_workspace_that_is_not_there_is_told() -> None:
    with pytest.raises(WorkspaceNotFound):
        await (await started()).update("my-lab", {})


async def test_ten_thousand_workspaces_do_not_slow_the_questions_of_one_user() -> None:
    workspaces = await started(max_per_user=100_000)
    for n in range(10_000):
        workspaces._ensure(f"user-{n}")
    await workspaces.create({"id": "my-lab"}, ALICE)

    class Counting(dict[str, Any]):
        def values(self) -> Any:
            raise AssertionError("all of them were looked at")

    workspaces._records = Counting(workspaces._records)
    assert [record.id for record in workspaces.of(ALICE)] == ["my-lab"]
    await workspaces.create({"id": "my-second-lab"}, ALICE)


async def test_whatever_is_kept_under_a_name_ends_with_the_workspace(database: Database) -> None:
    workspaces = await started(database)
    ended: list[str] = []

    async def listener(workspace: str) -> None:
        ended.append(workspace)

    workspaces.at_end(listener)
    for name in ("lab-1", "lab-2", "lab-3"):
        await workspaces.create({"id": name}, ALICE)
    await workspaces.delete("lab-1")
    assert ended == ["lab-1"]
    workspaces.unload("lab-2")
    workspaces.unload("lab-3")
    await workspaces.create({"id": "lab-3"}, BOB)
    assert ended == ["lab-1", "lab-2", "lab-3"]
    await workspaces.close()
