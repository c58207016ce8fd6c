from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.tokens import TokenIssuer, format_scope, parse_scope
from schema.errors import InvalidRequest, PermissionDenied, Unauthenticated
from schema.identity import Permission, Scope, User

KEY = "k" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> TokenIssuer:
    return TokenIssuer(KEY, clock=clock)


USER = User(
    "ann",
    roles=("tester",),
    scope=Scope({"ws-a": Permission.READ_WRITE}, "ws-a", "pinned", ("openid", "file:download")),
    email="ann@example.org",
    parent="root-of-chain",
)


def test_a_token_reads_back_as_the_user_it_was_made_for(issuer: TokenIssuer, clock: Clock) -> None:
    user = issuer.verify(issuer.issue(USER, expires_in_seconds=60))
    assert user.to_wire() == USER.to_wire() | {"expires_at": clock.now + 60}


def test_clients_find_the_workspace_in_the_scope_claim(issuer: TokenIssuer) -> None:
    token = issuer.issue(USER, expires_in_seconds=60)
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert "wid:ws-a" in claims["scope"].split()


def test_a_token_ends_when_its_time_is_up_even_if_it_was_seen_before(
    issuer: TokenIssuer, clock: Clock
) -> None:
    token = issuer.issue(USER, expires_in_seconds=60)
    issuer.verify(token)
    clock.now += 61
    with pytest.raises(Unauthenticated, match="The token has expired"):
        issuer.verify(token)


def test_a_revoked_token_is_refused_at_once(issuer: TokenIssuer) -> None:
    token = issuer.issue(USER, expires_in_seconds=60)
    issuer.verify(token)
    issuer.revoke(token)
    for form in (token, f"Bearer {token}"):
        with pytest.raises(Unauthenticated, match="revoked"):
            issuer.verify(form)


def test_a_token_serves_only_the_purpose_it_was_made_for(issuer: TokenIssuer) -> None:
    token = issuer.issue(USER, expires_in_seconds=60, purpose="reconnect")
    assert issuer.verify(token, purpose="reconnect").id == "ann"
    with pytest.raises(Unauthenticated):
        issuer.verify(token)


def _claims() -> dict[str, object]:
    return {
        "iss": "polyport",
        "aud": "polyport",
        "sub": "eve",
        "exp": 2_000_000,
        "scope": "ws:ws-a#a",
        "purpose": "access",
    }


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        jwt.encode(_claims(), "another key" * 6, algorithm="HS256"),
        jwt.encode(_claims(), "", algorithm="none"),
        jwt.encode(_claims(), KEY, algorithm="HS512"),
        jwt.encode(_claims() | {"aud": "elsewhere"}, KEY, algorithm="HS256"),
        jwt.encode(_claims() | {"iss": "elsewhere"}, KEY, algorithm="HS256"),
        jwt.encode(_claims() | {"scope": None}, KEY, algorithm="HS256"),
        jwt.encode(_claims() | {"scope": "ws:ws-a#root"}, KEY, algorithm="HS256"),
        jwt.encode(_claims() | {"scope": "ws:ws-a"}, KEY, algorithm="HS256"),
        jwt.encode(_claims() | {"scope": "wid:a wid:b"}, KEY, algorithm="HS256"),
        jwt.encode({k: v for k, v in _claims().items() if k != "exp"}, KEY, algorithm="HS256"),
    ],
)
def test_a_forged_or_damaged_token_is_refused(issuer: TokenIssuer, token: str) -> None:
    with pytest.raises(Unauthenticated):
        issuer.verify(token)


@pytest.mark.parametrize(
    "scope",
    [
        Scope({"ws-a ws:victim#a": Permission.READ}),
        Scope({"ws-a#a": Permission.READ}),
        Scope({"": Permission.READ}),
        Scope(current_workspace="a wid:b"),
        Scope(client_id="c ws:victim#a"),
        Scope(client_id="c\nws:victim#a"),
        Scope(extra_scopes=("ws:victim#a",)),
        Scope(extra_scopes=("wid:victim",)),
        Scope(extra_scopes=("cid:x",)),
        Scope(extra_scopes=("x ws:victim#a",)),
        Scope(extra_scopes=("x\u2028ws:victim#a",)),
        Scope(extra_scopes=("",)),
    ],
)
def test_no_field_of_a_scope_can_smuggle_a_grant(issuer: TokenIssuer, scope: Scope) -> None:
    with pytest.raises(InvalidRequest):
        issuer.issue(User("eve", scope=scope), expires_in_seconds=60)


@given(
    st.dictionaries(st.text(max_size=12), st.sampled_from(list(Permission)), max_size=3),
    st.one_of(st.none(), st.text(max_size=12)),
    st.lists(st.text(max_size=12), max_size=3),
)
def test_a_scope_that_can_be_written_reads_back_unchanged(
    workspaces: dict[str, Permission], client_id: str | None, extra: list[str]
) -> None:
    scope = Scope(workspaces, None, client_id, tuple(extra))
    try:
        text = format_scope(scope)
    except InvalidRequest:
        return
    assert parse_scope(text) == scope


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_token_needs_a_positive_life(issuer: TokenIssuer, seconds: float) -> None:
    with pytest.raises(InvalidRequest):
        issuer.issue(USER, expires_in_seconds=seconds)


def test_tokens_of_an_earlier_key_are_good_until_they_expire(clock: Clock) -> None:
    token = TokenIssuer("old" * 20, clock=clock).issue(USER, expires_in_seconds=60)
    issuer = TokenIssuer(KEY, previous_keys=["old" * 20], clock=clock)
    assert issuer.verify(token).id == "ann"
    assert (
        jwt.get_unverified_header(issuer.issue(USER, expires_in_seconds=1))["kid"]
        != (jwt.get_unverified_header(token)["kid"])
    )
    with pytest.raises(Unauthenticated):
        TokenIssuer(KEY, clock=clock).verify(token)
    clock.now += 61
    with pytest.raises(Unauthenticated, match="expired"):
        issuer.verify(token)


def test_what_is_made_from_a_token_ends_with_it(issuer: TokenIssuer, clock: Clock) -> None:
    parent = issuer.verify(issuer.issue(USER, expires_in_seconds=60))
    child = issuer.verify(issuer.issue(parent, expires_in_seconds=3600))
    assert child.expires_at == parent.expires_at
    assert child.lineage[:-1] == parent.lineage
    back = issuer.verify(
        issuer.issue(child, expires_in_seconds=3600, purpose="reconnect"), purpose="reconnect"
    )
    assert (back.expires_at, back.not_after) == (clock.now + 3600, parent.expires_at)
    clock.now += 61
    with pytest.raises(PermissionDenied, match="expired"):
        issuer.issue(back, expires_in_seconds=60)


def test_revoking_a_token_takes_its_descendants_along_and_nothing_else(
    issuer: TokenIssuer,
) -> None:
    tokens = [issuer.issue(USER, expires_in_seconds=60)]
    for _ in range(3):
        tokens.append(issuer.issue(issuer.verify(tokens[-1]), expires_in_seconds=60))
    other = issuer.issue(USER, expires_in_seconds=60)
    issuer.revoke(tokens[1])
    for revoked in tokens[1:]:
        with pytest.raises(Unauthenticated, match="revoked"):
            issuer.verify(revoked)
    assert issuer.verify(tokens[0]).id == issuer.verify(other).id == "ann"


def test_generations_are_limited(issuer: TokenIssuer) -> None:
    user = USER
    with pytest.raises(PermissionDenied, match="Too many"):
        for _ in range(100):
            user = issuer.verify(issuer.issue(user, expires_in_seconds=60))


@pytest.mark.parametrize(
    "claims",
    [
        {"ws": {"ws-a": "a", "victim": "a"}},
        {"ws": {"ws-a": "a"}, "wid": "victim"},
        {"ws": {"ws-a": "root"}},
        {"ws": "ws-a"},
        {"ws": ["ws-a"]},
        {"scope": "ws:ws-a#r ws:ws-a#a"},
        {"scope": "ws:ws-a#a cid:x cid:y"},
        {"sub": 7},
        {"exp": "never"},
    ],
)
def test_a_signed_token_whose_claims_contradict_themselves_is_refused(
    issuer: TokenIssuer, claims: dict[str, object]
) -> None:
    with pytest.raises(Unauthenticated):
        issuer.verify(jwt.encode(_claims() | claims, KEY, algorithm="HS256"))


@pytest.mark.parametrize("kid", ["", "../../etc/passwd", "x" * 5000, "unknown"])
def test_a_key_id_that_is_not_one_of_the_servers_is_refused(issuer: TokenIssuer, kid: str) -> None:
    token = jwt.encode(_claims(), KEY, algorithm="HS256", headers={"kid": kid})
    with pytest.raises(Unauthenticated):
        issuer.verify(token)
