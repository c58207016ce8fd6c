"""Frames that nobody sane would send: whatever comes, others notice nothing of it.

2,000 cases run with the other tests; ``make fuzz`` runs 100,000.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.app import Parts, build
from gateway.settings import Settings
from schema.errors import GatewayError
from tests.gateway.peer import Peer
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.long

TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "method",
            "services.default.echo",
            "services.default.register_service",
            "services.default.get_service",
            "services.default.subscribe",
            "services.default.generate_token",
            "services.built-in.message_cache.create",
            "services.built-in.message_cache.set",
            "services.built-in.message_cache.process",
            "victim.resolve",
            "peer_not_found",
            "client_disconnected",
            "*",
            "*/x",
            "ws/*",
        ]
    ),
)
VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        TEXT,
        st.binary(max_size=12),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
KEYS = ["type", "to", "from", "ws", "user", "ctx", "method", "session", "parent", "args",
        "with_kwargs", "promise", "t", "_enc", "data", "extra"]  # fmt: skip
MAP = st.dictionaries(st.one_of(st.sampled_from(KEYS), TEXT), VALUE, max_size=8)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Mostly well-formed messages with odd contents, sometimes damaged ones."""
    header = draw(MAP)
    if draw(st.booleans()):
        header["type"] = draw(st.sampled_from(["method", "news", "peer_not_found"]))
        header["to"] = draw(st.sampled_from(["VICTIM", "MANAGER", "SELF", "*", "VICTIMS/*"]))
        header["method"] = draw(TEXT)
    data = msgpack.packb(header)
    if draw(st.booleans()):
        data += msgpack.packb(draw(st.one_of(MAP, VALUE)))
    if draw(st.integers(0, 9)) == 0:
        data = data[: draw(st.integers(0, len(data)))] + draw(st.binary(max_size=8))
    return data


class Scene:
    """An attacker, and a victim in a workspace of its own with a service that must keep working."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.parts: Parts = build(Settings(ephemeral=True))[0]
        self.attacker = await Peer.join(self.parts, "attacker")
        self.attacker.mute = True
        self.victim = await Peer.join(self.parts, "victim")
        self.service = await self.victim.register("svc", {"f": lambda: 1})
        self.victim_identity = self.attacker.session.identity.address

    def send(self, frame: bytes) -> None:
        self.runner.run(self._send(frame))

    async def _send(self, frame: bytes) -> None:
        for name, address in (
            (b"VICTIMS", self.victim.workspace.encode()),
            (b"VICTIM", self.victim.address.encode()),
            (b"MANAGER", self.parts.router.manager_address.encode()),
            (b"SELF", self.attacker.address.encode()),
        ):
            packed = msgpack.packb(name.decode())
            frame = frame.replace(packed, msgpack.packb(address.decode()))
        seen = len(self.victim.frames)
        with contextlib.suppress(GatewayError):
            self.parts.router.route(self.attacker.session, frame)
        await asyncio.sleep(0)
        for delivered in self.victim.frames[seen:]:
            header = _first(delivered)
            assert header["from"] == self.attacker.address
            assert header["user"] == self.attacker.session.caller.user_on_wire()
            assert header["ws"] == self.attacker.workspace
            assert "ctx" not in header
        del self.victim.frames[seen:]
        del self.attacker.frames[:]

    async def everything_still_works(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await self.victim.manager("echo", 1) == 1
            listed = await self.victim.manager("list_services")
            assert [s["id"] for s in listed] == [self.service]
            clients = await self.victim.manager("list_clients")
            assert [c["id"] for c in clients] == [self.victim.address]


def _first(data: bytes) -> dict[str, Any]:
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
    unpacker.feed(data)
    header: dict[str, Any] = unpacker.unpack()
    return header


def test_no_frame_forges_an_identity_or_disturbs_others() -> None:
    scene = Scene()

    @settings(
        max_examples=max(2000, settings().max_examples),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(frames())
    def attack(frame: bytes) -> None:
        scene.send(frame)

    attack()
    scene.runner.run(scene.everything_still_works())
    scene.runner.close()
