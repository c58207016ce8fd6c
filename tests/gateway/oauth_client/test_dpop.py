"""Tokens that are bound to a key (RFC 9449)."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import jwt
import pytest
from jwt.algorithms import ECAlgorithm

from gateway.oauth_client.client import Challenge
from gateway.oauth_client.dpop import Dpop, kept
from tests.gateway.oauth_client.conftest import SERVER, Memory, Person, Site, client

WANTED = Challenge(401, 'DPoP resource_metadata="https://files.example/x"')
TOKEN_URL = "https://auth.example/token"


def read(proof: str) -> dict[str, Any]:
    """What a proof says, whose signature is good."""
    header = jwt.get_unverified_header(proof)
    assert header["typ"] == "dpop+jwt"
    assert "d" not in header["jwk"]
    key: Any = ECAlgorithm.from_jwk(json.dumps(header["jwk"]))
    return jwt.decode(proof, key, algorithms=["ES256"])


def test_a_proof_is_for_one_request_with_one_token() -> None:
    dpop = Dpop()
    first, second = (read(dpop.proof("POST", f"{SERVER}?q=1#f", "token")) for _ in range(2))
    assert (first["htm"], first["htu"]) == ("POST", SERVER)
    assert first["jti"] != second["jti"]
    assert first["ath"] == "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A"
    assert "ath" not in read(dpop.proof("POST", SERVER))


def test_a_nonce_is_that_of_the_server_that_has_given_it() -> None:
    dpop = Dpop()
    assert dpop.wants(SERVER, "n-1")
    assert not dpop.wants(SERVER, "n-1")
    assert not dpop.wants(SERVER, None)
    assert read(dpop.proof("POST", SERVER))["nonce"] == "n-1"
    assert "nonce" not in read(dpop.proof("POST", TOKEN_URL))


@pytest.mark.parametrize("record", [None, {}, {"key": "no key"}, {"key": 1}, []])
def test_a_record_that_is_of_no_use_is_none(record: Any) -> None:
    assert kept(record) is None


async def test_where_the_server_wants_it_the_token_is_bound_and_each_request_proves_it() -> None:
    site, memory = Site(token={"token_type": "DPoP", "refresh_token": "again"}), Memory()
    login = client(site, memory, Person(), may_bind=True)
    assert await login.challenged(WANTED, {})
    asked = read(site.seen[-1].headers["dpop"])
    assert (asked["htm"], asked["htu"]) == ("POST", TOKEN_URL)
    headers = await login.headers("GET", SERVER)
    assert headers["Authorization"] == "DPoP token-1"
    assert read(headers["DPoP"])["htm"] == "GET"
    again = client(site, memory, may_bind=True)
    shown = await again.headers()
    assert jwt.get_unverified_header(shown["DPoP"]) == jwt.get_unverified_header(headers["DPoP"])
    assert await again.challenged(WANTED, shown)
    assert (await again.headers())["Authorization"] == "DPoP token-2"
    assert "dpop" in site.seen[-1].headers


async def test_a_nonce_that_a_server_asks_for_is_in_the_next_proof() -> None:
    class Strict(Site):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            proof = request.headers.get("dpop")
            if proof is None or read(proof).get("nonce") == "n-1":
                return await super().__call__(request)
            content = {"error": "use_dpop_nonce"}
            return httpx2.Response(400, json=content, headers={"DPoP-Nonce": "n-1"})

    site = Strict(token={"token_type": "DPoP"})
    login = client(site, Memory(), Person(), may_bind=True)
    assert await login.challenged(WANTED, {})
    sent = await login.headers()
    refusal = Challenge(401, 'DPoP error="use_dpop_nonce"', "n-2")
    assert await login.challenged(refusal, sent)
    assert read((await login.headers())["DPoP"])["nonce"] == "n-2"
    assert len(site.tokens()) == 1


async def test_who_does_not_bind_tokens_is_asked_for_no_proof() -> None:
    site = Site()
    for login, challenge in (
        (client(site, Memory(), Person()), WANTED),
        (client(site, Memory(), Person(), may_bind=True), Challenge(401, "Bearer, DPoP")),
    ):
        await login.challenged(challenge, {})
        assert set(await login.headers()) == {"Authorization"}
    assert not any("dpop" in request.headers for request in site.seen)
