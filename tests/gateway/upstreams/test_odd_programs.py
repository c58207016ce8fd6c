"""Programs that do what they should not: what the caller and the operator get to see."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.upstreams.mcp_client import process
from gateway.upstreams.supervisor import State
from schema.errors import LimitExceeded, ProviderGone, ServiceError
from tests.gateway.upstreams.conftest import Run, call, find, program, status, until

SCRIPT = str(Path(__file__).parent / "odd_program.py")


def odd(*arguments: str, **more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [SCRIPT, *arguments], **more}


async def test_lines_that_are_no_messages_are_counted_and_passed_over(run: Run) -> None:
    parts = await run({"demo": odd()})
    assert await call(parts, "garbage") == "garbage"
    assert await call(parts, "good") == "good"
    assert status(parts).status()["garbage_lines"] >= 6


@pytest.mark.parametrize("tool", ["large", "large_first"])
async def test_an_answer_that_is_too_large_fails_its_own_call_alone(run: Run, tool: str) -> None:
    parts = await run({"demo": odd()})
    with pytest.raises(ServiceError, match="larger than 33554432 bytes"):
        await call(parts, tool)
    assert await call(parts, "good") == "good"
    assert status(parts).supervisor.starts == 1


async def test_a_server_that_makes_a_text_of_a_number_is_understood(run: Run) -> None:
    parts = await run({"demo": odd()})
    assert await call(parts, "text_id") == "text_id"


async def test_a_server_that_does_not_read_is_sent_no_more_than_so_much(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MAX_UNREAD_BYTES", 200_000)
    parts = await run({"demo": odd()})
    await find(parts)
    waiting = [asyncio.create_task(call(parts, "deaf", text="x" * 200_000)) for _ in range(4)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        with pytest.raises(LimitExceeded, match="does not read"):
            await task
    for task in pending:
        task.cancel()


async def test_a_server_that_closes_its_output_is_started_again(run: Run) -> None:
    parts = await run({"demo": odd()})
    with pytest.raises(ProviderGone):
        await call(parts, "close")
    assert await call(parts, "good") == "good"
    assert status(parts).supervisor.starts == 2


async def test_the_operator_sees_with_what_status_a_program_ended(run: Run) -> None:
    parts = await run({"demo": odd("exit")})
    service = status(parts)
    await until(lambda: service.supervisor.failures > 0)
    assert service.supervisor.reason == "it ended with exit status 7"
    assert service.status()["stderr"] == ["no licence"]


async def test_a_program_that_floods_its_output_disturbs_nobody_else(run: Run) -> None:
    parts = await run({"demo": odd("flood", startTimeout=3), "other": program()})
    assert (await find(parts, "other")).name == "Demo"
    service = status(parts)
    await until(lambda: service.supervisor.failures > 0)
    assert service.supervisor.reason == "it did not start in time"
    assert status(parts, "other").supervisor.state is State.RUNNING


async def test_nothing_of_a_program_is_left_when_the_gateway_ends(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    shell = f'sleep 60 & echo $! > {pids}; exec "$0" "$@"'
    entry = {"command": "/bin/sh", "args": ["-c", shell, sys.executable, SCRIPT]}
    parts = await run({"demo": entry})
    assert await call(parts, "good") == "good"
    with pytest.raises(TimeoutError):  # it is busy, and will not end by itself
        async with asyncio.timeout(0.3):
            await call(parts, "deaf")
    await parts.close()
    child = int(pids.read_text())
    state = Path(f"/proc/{child}/stat")
    await until(lambda: not state.exists() or state.read_text().split()[2] == "Z")
