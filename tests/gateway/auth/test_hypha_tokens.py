"""Tokens that a Hypha server has signed with the same secret."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.auth.hypha_tokens import AUDIENCE, ISSUER, NAMESPACE
from gateway.auth.tokens import MAX_LIFE_SECONDS
from gateway.settings import Settings
from schema.errors import TokenRevoked, Unauthenticated
from schema.identity import Permission
from tests.gateway.peer import Peer, RemoteFailure

SECRET = "the-secret-that-both-servers-have"
NOW = time.time()


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a token that ``generate_token`` of a Hypha server makes."""
    made = {
        "iss": ISSUER,
        "sub": "mild-owl-4711",
        "aud": AUDIENCE,
        "iat": NOW,
        "exp": NOW + 3600,
        "scope": "ws:ws-user-ann#a wid:ws-user-ann",
        "gty": "client-credentials",
        f"{NAMESPACE}roles": [],
        f"{NAMESPACE}email": "ann@example.org",
        f"{NAMESPACE}parent": "ann",
    }
    return made | changes


def signed(secret: str = SECRET, /, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


@pytest.fixture
def parts() -> Parts:
    return build(Settings(ephemeral=True, port=9527, jwt_secret=SECRET))[0]


async def test_a_token_for_a_workspace_is_good_at_every_door(parts: Parts) -> None:
    token = signed()
    peer = await Peer.join(parts, token=token)
    assert peer.workspace == "ws-user-ann"
    await peer.manager("set_env", "k", "v")
    caller = await parts.gateway.authenticate(Credentials(token), "ws-user-ann")
    assert (caller.user.effective_id, caller.workspace) == ("ann", "ws-user-ann")
    assert caller.permission_on("ws-user-ann") is Permission.ADMIN
    child = parts.tokens.verify(await peer.manager("generate_token"))
    assert child.effective_id == "ann" and child.expires_at <= NOW + 3600  # type: ignore[operator]


async def test_a_login_is_at_home(parts: Parts) -> None:
    parent = {f"{NAMESPACE}parent": None}
    for scope in ("", "openid profile", "ws:ws-user-bob#a"):
        peer = await Peer.join(parts, token=signed(sub="bob", scope=scope, **parent))
        assert peer.workspace == "ws-user-bob"
        peer.leave()


NOT_GOOD: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 1},
    "another audience": {"aud": "x"},
    "another issuer": {"iss": "https://evil.example/"},
    "no scope": {"scope": None},
    "a smuggled grant": {"scope": "ws:ws-user-ann#rw ws:ws-victim#a wid:ws-user-ann"},
    "a grant of everything": {"scope": "ws:*#a wid:ws-user-ann"},
    "a smuggled workspace": {"scope": "ws:ws-user-ann#a wid:ws-victim wid:ws-user-ann"},
    "another workspace": {"scope": "ws:ws-victim#a wid:ws-user-ann"},
    "an unknown permission": {"scope": "ws:ws-user-ann#x wid:ws-user-ann"},
    "the operator": {"sub": "root", "scope": "", f"{NAMESPACE}parent": None},
    "made by the operator": {f"{NAMESPACE}parent": "root"},
    "nobody": {"sub": ""},
    "a path": {"sub": "a/b"},
}


@pytest.mark.parametrize("kind", NOT_GOOD)
async def test_a_token_that_is_not_good_is_refused(parts: Parts, kind: str) -> None:
    with pytest.raises(Unauthenticated):
        await parts.gateway.authenticate(Credentials(signed(**NOT_GOOD[kind])))


async def test_no_other_secret_or_algorithm_is_taken() -> None:
    secret = SECRET * 2
    parts = build(Settings(ephemeral=True, port=9527, jwt_secret=secret))[0]
    for token in (
        signed(),
        jwt.encode(claims(), "", algorithm="none"),
        jwt.encode(claims(), secret, algorithm="HS512"),
    ):
        with pytest.raises(Unauthenticated):
            await parts.gateway.authenticate(Credentials(token))


async def test_roles_are_not_taken_over(parts: Parts) -> None:
    token = signed(**{f"{NAMESPACE}roles": ["admin"]})
    caller = await parts.gateway.authenticate(Credentials(token))
    assert caller.user.roles == ()
    assert caller.permission_on("ws-victim") is None


async def test_no_token_lives_for_fifty_years(parts: Parts) -> None:
    user = (await parts.gateway.authenticate(Credentials(signed(exp=NOW + 50 * 366 * 86400)))).user
    assert user.expires_at == pytest.approx(NOW + MAX_LIFE_SECONDS)
    old = signed(iat=NOW - MAX_LIFE_SECONDS - 1, exp=NOW + 86400)
    with pytest.raises(Unauthenticated, match="expired"):
        await parts.gateway.authenticate(Credentials(old))


async def test_a_specialised_or_bound_token_stays_so(parts: Parts) -> None:
    for more in ("file:download", "cid:worker"):
        token = signed(scope=f"ws:ws-user-ann#a wid:ws-user-ann {more}")
        with pytest.raises(Unauthenticated):
            await parts.gateway.authenticate(Credentials(token))


async def test_it_can_be_revoked(parts: Parts) -> None:
    token = signed()
    peer = await Peer.join(parts, token=token)
    child = await peer.manager("generate_token")
    other = await Peer.join(parts, token=signed(exp=NOW + 1800))
    await other.manager("revoke_token", token)
    for each in (token, child):
        with pytest.raises(TokenRevoked):
            await parts.gateway.authenticate(Credentials(each))
    assert (await peer.closed_with)[0] == 1008


async def test_without_a_secret_of_the_operators_none_is_taken() -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    key = next(iter(parts.tokens._keys.values()))
    with pytest.raises(Unauthenticated):
        await parts.gateway.authenticate(Credentials(signed(key)))


async def test_a_grant_from_before_a_workspace_was_made_here_is_none_on_it(parts: Parts) -> None:
    bob = await Peer.join(parts, token=signed(sub="bob", scope="", **{f"{NAMESPACE}parent": None}))
    await bob.manager("create_workspace", {"id": "ws-lab"})
    token = signed(scope="ws:ws-lab#a wid:ws-lab", iat=NOW - 60)
    with pytest.raises((RemoteFailure, Exception), match="ermission"):
        await Peer.join(parts, token=token)
