"""Tokens that are not good, at every door. The numbers are those of the security requirements."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from gateway.api import Credentials
from gateway.app import Parts
from schema.errors import Blocked, TokenRevoked
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS
from tests.security.conftest import statuses

HOUR = 3600.0


def token(parts: Parts, user: User, life: float = HOUR) -> str:
    return parts.tokens.issue(user, expires_in_seconds=life)


async def workspace_of_ann(parts: Parts) -> Peer:
    ann = await Peer.join(parts, "provider", token=token(parts, User("ann")))
    await ann.register("svc", {"f": lambda: 1})
    return ann


def claims_of(parts: Parts) -> dict[str, Any]:
    good = token(parts, User("ann", scope=Scope({"ws-user-ann": Permission.ADMIN})))
    claims: dict[str, Any] = jwt.decode(good, options={"verify_signature": False})
    return claims


def key_of(parts: Parts) -> str:
    return next(iter(parts.tokens._keys.values()))


FORGED: dict[str, Callable[[Parts], str]] = {
    "none": lambda p: jwt.encode(claims_of(p), "", algorithm="none"),
    "other-key": lambda p: jwt.encode(claims_of(p), "x" * 64, algorithm="HS256"),
    "other-algorithm": lambda p: jwt.encode(claims_of(p), key_of(p), algorithm="HS512"),
    "audience": lambda p: jwt.encode(claims_of(p) | {"aud": "x"}, key_of(p), algorithm="HS256"),
    "issuer": lambda p: jwt.encode(claims_of(p) | {"iss": "x"}, key_of(p), algorithm="HS256"),
    "expired": lambda p: jwt.encode(claims_of(p) | {"exp": 1}, key_of(p), algorithm="HS256"),
    "no-scope": lambda p: jwt.encode(claims_of(p) | {"scope": None}, key_of(p), algorithm="HS256"),
    "garbage": lambda p: "a.b.c",
    "long": lambda p: "x" * 8000,
}


@pytest.mark.parametrize("kind", FORGED)
async def test_S22_a_token_that_is_not_good_is_401_at_every_door(
    parts: Parts, http: httpx.AsyncClient, kind: str
) -> None:
    ann = await workspace_of_ann(parts)
    forged = FORGED[kind](parts)
    for headers in (
        {"authorization": f"Bearer {forged}"},
        {"x-api-key": forged},
    ):
        answers = await statuses(http, ann.workspace, headers)
        assert set(answers.values()) == {401}, answers
    with pytest.raises(Exception, match=r"[Tt]oken"):
        await Peer.join(parts, token=forged)


async def test_S23_a_revoked_token_is_401_at_once_and_its_children_too(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann = await workspace_of_ann(parts)
    parent = await ann.manager("generate_token", {"permission": "admin"})
    program = await Peer.join(parts, token=parent)
    child = await program.manager("generate_token")
    grandchild = await Peer.join(parts, token=child)
    for each in (parent, child):
        answers = await statuses(http, ann.workspace, {"authorization": f"Bearer {each}"})
        assert 401 not in answers.values()
    back = parts.hub.reconnection_token(program.session)
    await ann.manager("revoke_token", parent)
    for each in (parent, child):
        answers = await statuses(http, ann.workspace, {"authorization": f"Bearer {each}"})
        assert set(answers.values()) == {401}, answers
        with pytest.raises(Exception, match="revoked"):
            await Peer.join(parts, token=each)
    assert (await program.closed_with)[0] == (await grandchild.closed_with)[0] == 1008
    with pytest.raises(Exception, match="revoked"):
        await Peer.join(parts, program.session.client_id, reconnection_token=back)


@pytest.mark.parametrize("how", ["revoked", "blocked"])
async def test_S23_S24_a_stream_that_has_begun_gives_no_more_either(parts: Parts, how: str) -> None:
    ann = await workspace_of_ann(parts)
    numbers, closed = itertools.count(), asyncio.Event()
    names = {"_rmethod": "items.next", "_rclose_method": "items.close"}
    stream = {"_rtype": "generator", "_rtarget": ann.session.client_id, "_rpromise": "*", **names}
    await ann.register("many", {"f": lambda: stream})
    ann.functions |= {"items.next": lambda: next(numbers), "items.close": lambda: closed.set()}
    made = await ann.manager("generate_token")
    caller = await parts.gateway.authenticate(Credentials(made), ann.workspace)
    service = await parts.gateway.find_service(caller, ann.workspace, "many")
    items = await parts.gateway.call(caller, service, "f")
    assert [await anext(items), await anext(items)] == [0, 1]
    if how == "revoked":
        await ann.manager("revoke_token", made)
    else:
        await parts.kept.blocks.block_user("ann", seconds=60, reason="", by="root")
    with pytest.raises(TokenRevoked if how == "revoked" else Blocked):
        await anext(items)
    await items.aclose()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await closed.wait()


@pytest.mark.parametrize("how", ["revoked", "blocked"])
async def test_S23_S24_nothing_goes_either_way_in_a_conversation_that_has_begun(
    parts: Parts, how: str
) -> None:
    """As a web service has with its client, over ``receive`` and ``send``."""
    ann = await workspace_of_ann(parts)
    asked, said, refusals = asyncio.Event(), asyncio.get_running_loop().create_future(), []
    sent: list[str] = []
    ann._decoded = lambda value: value  # type: ignore[method-assign]

    async def serve(arguments: dict[str, Any]) -> None:
        for name, values in (("receive", ()), ("send", ("late",))):
            method = arguments[name]
            try:
                await ann.call(method["_rtarget"], method["_rmethod"], *values)
            except RemoteFailure as failure:
                refusals.append(str(failure))

    async def receive() -> Any:
        asked.set()
        return await said

    async def send(value: str) -> None:
        sent.append(value)

    await ann.register("site", {"serve": serve}, type="asgi")
    made = await ann.manager("generate_token")
    caller = await parts.gateway.authenticate(Credentials(made), ann.workspace)
    service = await parts.gateway.find_service(caller, ann.workspace, "site")
    lent = {"receive": receive, "send": send}
    running = asyncio.ensure_future(parts.gateway.call(caller, service, "serve", (lent,)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asked.wait()
        if how == "revoked":
            await ann.manager("revoke_token", made)
        else:
            await parts.kept.blocks.block_user("ann", seconds=60, reason="", by="root")
        said.set_result("a secret of the client")
        await running
    assert len(refusals) == 2 and all(how in each for each in refusals), refusals
    assert sent == []


@pytest.mark.parametrize("extra", ["file:download", "a:b"])
async def test_S20_N5_a_token_for_one_purpose_is_refused_at_every_door(
    parts: Parts, http: httpx.AsyncClient, extra: str
) -> None:
    ann = await workspace_of_ann(parts)
    single = await ann.manager("generate_token", {"extra_scopes": [extra], "permission": "admin"})
    answers = await statuses(http, ann.workspace, {"authorization": f"Bearer {single}"})
    assert set(answers.values()) <= {401, 403}, answers
    with pytest.raises(Exception, match="one purpose"):
        await Peer.join(parts, token=single)


async def test_S21_a_token_of_a_client_is_refused_for_another(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann = await workspace_of_ann(parts)
    bound = await ann.manager("generate_token", {"client_id": "worker"})
    answers = await statuses(http, ann.workspace, {"authorization": f"Bearer {bound}"})
    assert set(answers.values()) == {401}, answers
    with pytest.raises(Exception, match="mismatch"):
        await Peer.join(parts, "other", token=bound)
    assert (await Peer.join(parts, "worker", token=bound)).workspace == ann.workspace


INJECTED = ("x ws:victim#a", "ws:victim#a", "wid:victim", "cid:x", "x\tws:victim#a", "x#a")


@pytest.mark.parametrize("text", INJECTED)
@pytest.mark.parametrize("field", ["extra_scopes", "client_id", "workspace", "permission"])
async def test_N1_no_text_of_a_token_request_becomes_a_grant(
    parts: Parts, field: str, text: str
) -> None:
    ann = await workspace_of_ann(parts)
    value: Any = [text] if field == "extra_scopes" else text
    try:
        made = await ann.manager("generate_token", {field: value})
    except RemoteFailure:
        return
    scope = parts.tokens.verify(made).scope
    assert set(scope.workspaces) == {ann.workspace} == {scope.current_workspace}


async def test_N7_a_child_does_not_inherit_the_admin_role(parts: Parts) -> None:
    root = await Peer.join(parts, token=token(parts, User("op", roles=("admin",))))
    child = parts.tokens.verify(await root.manager("generate_token", {"permission": "read"}))
    assert child.roles == ()
    assert child.scope.permission_on("ws-anything") is None


async def test_N13_the_root_token_is_in_no_log(
    parts: Parts, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    root = "r0" * 20
    await statuses(http, "ws-user-root", {"authorization": f"Bearer {root}"})
    assert root[:10] not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Basic !!!"},
        {"authorization": "Bearer a b"},
        {"cookie": "access_token=garbage"},
        {"cookie": f"access_token={'x' * 5000}"},
    ],
)
async def test_a_credential_that_cannot_be_read_is_no_anonymous_caller(
    parts: Parts, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    ann = await workspace_of_ann(parts)
    answer = await http.get(f"/{ann.workspace}/services", headers=headers)
    assert answer.status_code == 401
