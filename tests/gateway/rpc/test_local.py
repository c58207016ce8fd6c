from __future__ import annotations

import asyncio
import json
import time

from gateway.app import Parts
from gateway.rpc.builtin import SETTLING_SECONDS
from gateway.rpc.local import describe_functions
from schema.identity import Caller
from tests.gateway.peer import Peer


async def join_words(caller: Caller, words: list[str], options: dict[str, list[int]]) -> str:
    """Join words."""
    return " ".join(words)


def test_an_entry_has_no_key_that_synchronous_clients_take_for_a_method() -> None:
    entry = describe_functions({"join": join_words})
    assert '"items"' not in json.dumps(entry)
    words = entry["join"]["function"]["parameters"]["properties"]["words"]
    assert words["type"] == "array"


async def test_who_has_just_subscribed_gets_the_manager_a_moment_later(parts: Parts) -> None:
    client = await Peer.join(parts)
    session = parts.router.get(client.address)
    assert session is not None
    session.subscribed_at = time.monotonic() + 3600.0  # however long the machine takes from here
    loop = asyncio.get_running_loop()
    begin = loop.time()
    manager = f"*/{parts.router.manager_id}"
    found = await client.call(manager, "services.built-in.get_service", "default")
    assert found["id"] == "default"
    assert loop.time() - begin >= SETTLING_SECONDS * 0.9
