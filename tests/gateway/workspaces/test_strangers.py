"""No sequence of calls of the manager changes or reveals anything of a workspace of others."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import Parts, build
from gateway.settings import Settings
from gateway.workspaces.rules import RULES
from schema.identity import User
from tests.gateway.peer import Peer, RemoteFailure

SECRETS = ("hunter2", "secret-text", "carol@lab.example", "secret-words", "secret-data", "dave")
"""Nothing that the stranger says."""

NAMES = [
    "my-lab", "my-lab/owner", "my-lab/owner:closed-service", "my-lab/*:closed-service@*", "owner",
    "ws-user-alice", "*", "alice", "bob", "KEY", "public", "closed-service",
    "my-lab/secret-type", "secret-event", "read", "admin", "ws:my-lab#a", "my-lab ws:my-lab#a",
]  # fmt: skip
KEYS = [
    "id", "workspace", "name", "owners", "permission", "client_id", "extra_scopes", "config",
    "bookmark_type", "description", "visibility", "service_id",
]  # fmt: skip
texts = st.sampled_from(NAMES)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 300), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(KEYS),
            st.one_of(inner, st.sampled_from(["workspace", "service"])),
            max_size=4,
        ),
    ),
    max_leaves=4,
)
TARGET = {"workspace": "my-lab", "id": "my-lab", "user_id": "bob", "permission": "admin"}
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "workspace": st.just("my-lab"),
    "user_id": st.just("bob"),
    "permission": st.just("admin"),
    "type_id": st.just("my-lab/secret-type"),
    "service_id": st.sampled_from(["my-lab/closed-service", "my-lab/owner:closed-service"]),
    "overwrite": st.just(True),
    "config": st.just(TARGET),
    "query": st.just({"workspace": "my-lab"}),
    "match": st.just({"id": "my-lab"}),
    "item": st.sampled_from(
        [
            {"bookmark_type": "workspace", "id": "my-lab"},
            {"bookmark_type": "service", "id": "my-lab/closed-service"},
        ]
    ),
    "type_info": st.just({"id": "my-lab/other-type"}),
    "event_type": st.sampled_from(["my-lab", "my-lab/secret-event", "secret-event"]),
}
"""What an attacker would say, by the name of the argument; now and then it is something else."""

# What is slow, or is about the caller's own connection and not about workspaces.
FUNCTIONS = sorted(set(RULES) - {"cleanup", "ping", "register_service", "get_service"})
Call = tuple[str, dict[str, Any]]


def calls_of(parameters: dict[str, list[str]]) -> st.SearchStrategy[list[Call]]:
    """Sequences of calls of functions, by the names of their parameters."""

    def call(function: str) -> st.SearchStrategy[Call]:
        names = parameters[function]
        pointed = {name: PLAUSIBLE[name] for name in names if name in PLAUSIBLE}
        others = {name: values for name in names if name not in PLAUSIBLE}
        anything = {name: st.one_of(values, PLAUSIBLE.get(name, values)) for name in names}
        arguments = st.one_of(
            st.fixed_dictionaries(pointed, optional=others),
            st.fixed_dictionaries({}, optional=anything),
        )
        return st.tuples(st.just(function), arguments)

    return st.lists(st.sampled_from(FUNCTIONS).flatmap(call), min_size=1, max_size=6)


class Lab:
    """A gateway with a workspace of alice, and bob, who has nothing to do with it."""

    async def start(self) -> None:
        self.parts: Parts = build(Settings(ephemeral=True))[0]
        alice = await self.join("alice")
        lab = {"id": "my-lab", "description": SECRETS[1], "persistent": True}
        await alice.manager("create_workspace", lab)
        await alice.manager("share_workspace", "my-lab", email=SECRETS[2])
        await alice.manager("share_workspace", "my-lab", user_id=SECRETS[5])
        self.owner = await self.join("alice", "owner", workspace="my-lab")
        await self.owner.manager("set_env", "KEY", SECRETS[0])
        await self.owner.manager("log_event", "secret-event", SECRETS[4])
        await self.owner.manager("register_service_type", {"id": "secret-type"})
        config = {"visibility": "protected"}
        await self.owner.register("closed-service", {}, config=config, description=SECRETS[3])
        self.bob = await self.join("bob")

    async def join(self, user_id: str, client_id: str | None = None, **hello: Any) -> Peer:
        token = self.parts.tokens.issue(User(user_id), expires_in_seconds=600)
        return await Peer.join(self.parts, client_id, token=token, **hello)

    def parameters(self) -> dict[str, list[str]]:
        """The names of the parameters of every function of the manager."""
        manager = self.parts.gateway._local.get("default").encoded  # type: ignore[attr-defined]
        return {
            name: list(manager[name]["_rschema"]["parameters"]["properties"]) for name in FUNCTIONS
        }

    async def state(self) -> list[Any]:
        """All that there is to know of the workspace."""
        functions = ("get_workspace_info", "get_env", "list_members", "list_services", "get_events")
        seen = [await self.owner.manager(name) for name in functions]
        return [*seen, await self.owner.manager("list_clients")]


def test_a_stranger_changes_and_learns_nothing() -> None:
    with asyncio.Runner() as runner:
        lab = Lab()
        runner.run(lab.start())
        before = runner.run(lab.state())
        address = lab.parts.router.manager_address

        async def attempt(sequence: list[Call]) -> None:
            for function, arguments in sequence:
                try:
                    method = f"services.default.{function}"
                    answer = str(await lab.bob.call(address, method, **arguments))
                except RemoteFailure as failure:
                    answer = str(failure)
                assert [s for s in SECRETS if s in answer] == [], (function, arguments)
            assert await lab.state() == before
            assert not lab.owner.closed_with.done()

        @settings(max_examples=200, deadline=None)
        @given(sequence=calls_of(lab.parameters()))
        def hold(sequence: list[Call]) -> None:
            runner.run(attempt(sequence))

        hold()
