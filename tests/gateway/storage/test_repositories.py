"""What repositories write they read again, on every database."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.storage.blocks import BlockRepository
from gateway.storage.database import Database
from gateway.storage.events import EventRepository
from gateway.storage.rows import StoredBlock, StoredEvent, StoredMember, StoredWorkspace
from gateway.storage.workspaces import WorkspaceRepository
from gateway.workspaces.event_log import EventLog

RECORD: dict[str, Any] = {"description": "Zellen", "docs": {"a": [1, 2.5, None, "µ'\";--"]}}


def workspace(name: str = "cell-lab", **fields: Any) -> StoredWorkspace:
    return StoredWorkspace(name, "ada", RECORD, [{"id": "x"}], 1700000000.123, **fields)


async def test_a_workspace_with_all_that_hangs_on_it(database: Database) -> None:
    repository = WorkspaceRepository(database)
    member = StoredMember("email", "o'hara@lab.example", "rw")
    await repository.put_member(workspace(), member, added_by="ada", now=1.0)
    await repository.put_variable(workspace(), "KEY", b"\x00sealed\xff", now=2.0)
    await repository.save(workspace("other-lab"), now=3.0)
    found = {w.id: w for w in await repository.load()}
    assert found == {
        "cell-lab": workspace(members=[member], environment={"KEY": b"\x00sealed\xff"}),
        "other-lab": workspace("other-lab"),
    }
    changed = StoredMember("email", "o'hara@lab.example", "r")
    await repository.put_member(workspace(), changed, added_by="ada", now=4.0)
    await repository.put_variable(workspace(), "KEY", b"new", now=5.0)
    (again,) = [w for w in await repository.load() if w.id == "cell-lab"]
    assert again == workspace(members=[changed], environment={"KEY": b"new"})
    await repository.remove_member(workspace(), "email", "o'hara@lab.example", now=6.0)
    await repository.remove_variable("cell-lab", "KEY")
    assert sorted(w.id for w in await repository.load() if not w.members) == [
        "cell-lab",
        "other-lab",
    ]


async def test_of_many_that_write_the_same_row_first_none_fails(database: Database) -> None:
    repository = WorkspaceRepository(database)
    await asyncio.gather(*(repository.save(workspace(), now=float(n)) for n in range(20)))
    assert [w.id for w in await repository.load()] == ["cell-lab"]


async def test_what_hangs_on_a_workspace_goes_with_it(database: Database) -> None:
    repository, events = WorkspaceRepository(database), EventRepository(database)
    member = StoredMember("user", "bob", "r")
    await repository.put_member(workspace(), member, added_by="ada", now=1.0)
    await repository.put_variable(workspace(), "KEY", b"sealed", now=2.0)
    await events.append([event(1)])
    await repository.delete("cell-lab")
    await repository.save(workspace(), now=3.0)
    assert await repository.load() == [workspace()]
    assert await events.find("cell-lab", "ada", None, None, None) == []


def event(time: float, **fields: Any) -> StoredEvent:
    values: dict[str, Any] = {
        "id": f"e{time}", "workspace": "cell-lab", "user_id": "ada", "event_type": "measured",
        "data": {"at": time},
    }  # fmt: skip
    return StoredEvent(**(values | {"time": time} | fields))


async def test_events_are_found_by_user_type_and_time_in_order(database: Database) -> None:
    repository = EventRepository(database)
    log = [
        event(3), event(1), event(2, event_type="other"), event(4, user_id="bob"),
        event(5, workspace="other-lab"), event(6, data=None), event(7, data="text"),
    ]  # fmt: skip
    await repository.append(log)
    mine = [log[0], log[1], log[2], log[5], log[6]]
    assert await repository.find("cell-lab", "ada", None, None, None) == mine
    assert await repository.find("cell-lab", "ada", "other", None, None) == [log[2]]
    assert await repository.find("cell-lab", "ada", None, 2, 6) == [log[0], log[2], log[5]]
    assert await repository.find("cell-lab", "' OR 1=1 --", None, None, None) == []


async def test_a_log_keeps_the_newest(database: Database) -> None:
    repository = EventRepository(database)
    await repository.append([event(n) for n in range(10)] + [event(0, workspace="other-lab")])
    await repository.trim("cell-lab", keep=3)
    await repository.trim("cell-lab", keep=30)
    found = await repository.find("cell-lab", "ada", None, None, None)
    assert [e.time for e in found] == [7, 8, 9]
    assert len(await repository.find("other-lab", "ada", None, None, None)) == 1


async def test_many_events_at_once_share_transactions_and_are_all_there(
    database: Database,
) -> None:
    log = EventLog(EventRepository(database))
    await asyncio.gather(
        *(log.append("cell-lab", "ada", "measured", n, is_kept=True) for n in range(300))
    )
    found = await log.find("cell-lab", "ada", None, None, None)
    assert [e.data for e in found] == list(range(300))
    await log.close()


async def test_blocks_that_have_ended_are_forgotten(database: Database) -> None:
    repository = BlockRepository(database)
    blocks = [
        StoredBlock("user", "mallory", "spam", "root", 1.0, 100.0),
        StoredBlock("ip", "192.0.2.0/24", "", "root", 2.0, None),
        StoredBlock("user", "eve", "", "root", 3.0, 10.0),
    ]
    for block in blocks:
        await repository.put(block)
    assert await repository.load(now=50.0) == blocks[:2]
    assert await repository.load(now=5.0) == blocks[:2]
    await repository.remove("ip", "192.0.2.0/24")
    assert await repository.load(now=5.0) == blocks[:1]
