"""``python -m tests.bench.identity``: what it costs to know who asks, and to note it, in process.

The budgets: authentication of a valid token 15 us, an entry of the audit log 10 us, and neither
more with 10,000 workspaces and 100,000 tokens.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.settings import Settings
from schema.identity import Caller, Permission, Scope, User

WORKSPACES, TOKENS = 10_000, 100_000
IN_TURN = 10_000
"""Tokens that are used one after the other."""

ROUNDS, CALLS = 7, 1_000


def user(number: int) -> User:
    workspace = f"team-{number}"
    return User(id=f"user-{number}", scope=Scope({workspace: Permission.ADMIN}), roles=("user",))


async def authentication(parts: Parts, tokens: Sequence[str]) -> float:
    """Microseconds of CPU for each, the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        for token in tokens:
            await parts.gateway.authenticate(Credentials(token), "public")
        rounds.append((time.thread_time() - before) / len(tokens) * 1e6)
    return min(rounds)


async def audit(parts: Parts, caller: Caller) -> float:
    """Microseconds of CPU for an entry, from its call to what is written."""
    log = parts.kept.audit
    rounds = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        for number in range(CALLS):
            call = ("public", "http", "public/client:service", "add")
            log.note(caller, call, [[], {"a": number, "b": 3}], log.now(), None)
        await log.flush()
        rounds.append((time.thread_time() - before) / CALLS * 1e6)
    await log.close()
    return min(rounds)


async def main() -> None:
    parts, _ = build(Settings(ephemeral=True, audit_calls=True))
    one = [parts.tokens.issue(user(0), expires_in_seconds=3600)] * CALLS
    figures = {"authentication, one token": await authentication(parts, one)}
    for number in range(WORKSPACES):
        await parts.workspaces.create({"id": f"team-{number}"}, user(number))
    tokens = [
        parts.tokens.issue(user(number % WORKSPACES), expires_in_seconds=3600)
        for number in range(TOKENS)
    ]
    for token in tokens[IN_TURN:]:
        await parts.gateway.authenticate(Credentials(token), "public")
    many = f"beside {WORKSPACES:,} workspaces and {TOKENS:,} tokens"
    figures[f"the same, {many}"] = await authentication(parts, one)
    figures[f"{IN_TURN:,} tokens in turn, {many}"] = await authentication(parts, tokens[:IN_TURN])
    figures["an entry of the audit log"] = await audit(parts, Caller(user(0), "team-0"))
    print(json.dumps({what: f"{cost:.1f} us" for what, cost in figures.items()}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
