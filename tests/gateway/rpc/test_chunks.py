"""What is kept of long messages that clients send to the gateway."""

from __future__ import annotations

import pytest

from gateway.rpc.chunks import ChunkStore
from schema.errors import LimitExceeded


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.rpc.chunks.MAX_BYTES_PER_SENDER", 1000)
    monkeypatch.setattr("gateway.rpc.chunks.MAX_BYTES_ALTOGETHER", 1500)
    monkeypatch.setattr("gateway.rpc.chunks.SMALL_SHARE_BYTES", 100)


@pytest.mark.usefixtures("small")
def test_a_sender_and_all_of_them_together_have_a_limit() -> None:
    store = ChunkStore()
    for sender in ("one", "two", "three"):
        store.create(sender, "key")
    store.put("one", "key", 0, b"x" * 900)
    with pytest.raises(LimitExceeded):
        store.put("one", "key", 1, b"x" * 200)
    with pytest.raises(LimitExceeded):
        store.put("two", "key", 0, b"x" * 700)
    store.put("two", "key", 0, b"x" * 600)
    store.put("three", "key", 0, b"x" * 100)
    with pytest.raises(LimitExceeded):
        store.put("three", "key", 1, b"x")


@pytest.mark.usefixtures("small")
def test_what_is_complete_or_left_behind_no_longer_counts() -> None:
    store = ChunkStore()
    for sender in ("one", "two"):
        store.create(sender, "key")
        store.put(sender, "key", 0, b"x" * 700)
    assert store.take("one", "key") == b"x" * 700
    store.drop_sender("two")
    store.create("three", "key")
    store.put("three", "key", 0, b"x" * 900)
