"""What an identity provider gives for an ID token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from gateway.oauth_client.config import IdentityProvider
from gateway.oauth_client.errors import LoginFailed
from gateway.oauth_client.exchange import exchanged
from tests.gateway.oauth_client.conftest import ISSUER, SERVER

CANARY = "canary-id-token"
PROVIDER = IdentityProvider("https://id.example/token", "gateway", "canary-secret")


async def exchange(status: int, content: Any) -> tuple[str, dict[str, list[str]]]:
    forms = []

    async def send(request: httpx2.Request) -> httpx2.Response:
        forms.append(parse_qs(request.content.decode()))
        return httpx2.Response(status, json=content)

    return await exchanged(PROVIDER, CANARY, ISSUER, SERVER, send), forms[0]


async def test_the_word_is_for_one_server_and_who_runs_it() -> None:
    given, form = await exchange(200, {"access_token": "a.b.c", "token_type": "N_A"})
    assert given == "a.b.c"
    assert (form["audience"], form["resource"]) == ([ISSUER], [SERVER])
    assert (form["subject_token"], form["client_id"]) == ([CANARY], ["gateway"])
    assert form["requested_token_type"] == ["urn:ietf:params:oauth:token-type:id-jag"]


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (400, {"error": "invalid_grant", "error_description": CANARY}, "HTTP 400, invalid_grant"),
        (200, {}, "cannot be used"),
        (200, {"access_token": ""}, "cannot be used"),
        (200, [CANARY], "cannot be used"),
    ],
)
async def test_what_it_refuses_is_told_without_what_it_was_sent(
    status: int, content: Any, words: str
) -> None:
    with pytest.raises(LoginFailed, match=words) as raised:
        await exchange(status, content)
    assert CANARY not in str(raised.value)
