"""What attackers try at logins, redirects and with names. What is done against forged tokens is in
``test_credentials``, against pages of other sites in ``test_limits``; consent and providers have
their tests where they are (``tests/gateway/auth``)."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from gateway.admission import Hello
from gateway.api import Credentials
from gateway.app import Parts, create_app
from gateway.settings import Settings
from schema.errors import GatewayError
from schema.identity import User
from tests.gateway.peer import Peer, RemoteFailure
from tests.security.conftest import statuses
from tests.security.test_failures import asked

EVIL = "evil.example"
SERVICE = "/public/services/hypha-login"
OWN = "http://127.0.0.1:9527"


@pytest.fixture
def app() -> FastAPI:
    more: dict[str, Any] = {"oauth_server": True, "enable_local_auth": True}
    return create_app(
        Settings(ephemeral=True, port=9527, base_url=OWN, root_token="r0" * 20, **more)
    )


REDIRECTING = (
    f"//{EVIL}",
    f"//{EVIL}/apps/x",
    f"/%2f{EVIL}",
    f"/\\{EVIL}",
    f"/%5c{EVIL}-x",
    f"//{EVIL}-x/apps/svc",
    f"/%2f%2f{EVIL}-x/apps/svc",
    f"/ws-x/apps/%2f{EVIL}",
    f"/ws-x/apps/http:%2f%2f{EVIL}",
    f"/login/../..//{EVIL}",
    f"/ws-x{chr(9)}//{EVIL}",
)


@pytest.mark.parametrize("path", REDIRECTING)
async def test_no_path_leads_to_another_site(app: FastAPI, path: str) -> None:
    answer = await asked(app, path)
    location = answer.headers.get("location")
    if location is not None:
        assert 300 <= answer.status_code < 400
        # As a browser reads it: backslashes are slashes, blanks at the ends and tabs are nothing.
        read = location.replace("\\", "/").replace("\t", "").replace("\n", "").strip()
        base = OWN + path.replace("\\", "/").replace("\t", "")
        assert urlsplit(urljoin(base, read)).hostname in (None, "127.0.0.1"), location


@pytest.mark.parametrize("name", ["next", "redirect", "redirect_uri", "url", "return_to", "close"])
async def test_no_parameter_of_a_login_leads_to_another_site(
    http: httpx.AsyncClient, name: str
) -> None:
    for path in ("/login", "/public/apps/hypha-login", "/oauth/authorize", "/oauth/begin"):
        answer = await http.get(path, params={name: f"https://{EVIL}/", "logout": "true"})
        location = urljoin(OWN, answer.headers.get("location", "/"))
        assert urlsplit(location).hostname == "127.0.0.1", location


async def test_forged_hosts_change_no_address_that_is_given_out(http: httpx.AsyncClient) -> None:
    forged = {
        "x-forwarded-host": EVIL,
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": f"//{EVIL}",
        "forwarded": f"host={EVIL};proto=https",
        "x-original-url": f"//{EVIL}/",
        "x-rewrite-url": f"//{EVIL}/",
    }
    answers = [
        await http.post(f"{SERVICE}/start", json={}, headers=forged),
        await http.get("/.well-known/oauth-authorization-server", headers=forged),
        await http.get("/.well-known/oauth-protected-resource/x/mcp/y/mcp", headers=forged),
        await http.get("/assets/config.json", headers=forged),
        await http.get("/openapi.json", headers=forged),
        await http.get("/login", headers=forged),
        await http.post(f"{SERVICE}/start", json={}, headers={"host": EVIL}),
    ]
    for answer in answers:
        assert EVIL not in answer.text and EVIL not in str(answer.headers), answer.url


async def test_a_login_that_somebody_else_began_gives_them_nothing(
    http: httpx.AsyncClient, parts: Parts
) -> None:
    """Session fixation: whoever began a login over a connection alone can take its token, so a
    victim that completes it through a link has not given it to a third; and it is given out once.
    """
    program, thief = await Peer.join(parts), await Peer.join(parts)
    address, check = parts.router.manager_address, "services.hypha-login.check"
    started = await program.call(address, "services.hypha-login.start")
    token = parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    done = await http.post(f"{SERVICE}/report", json={"key": started["key"], "token": token})
    assert done.status_code == 200
    with pytest.raises(RemoteFailure):
        await thief.call(address, check, started["key"], timeout=0)
    assert (await http.post(f"{SERVICE}/check", json={"key": started["key"]})).status_code == 400
    assert await program.call(address, check, started["key"], timeout=0)
    with pytest.raises(RemoteFailure):
        await program.call(address, check, started["key"], timeout=0)


async def test_a_login_sets_no_cookie_that_was_brought_along(http: httpx.AsyncClient) -> None:
    chosen = {"cookie": "session=chosen; access_token=; oidc_x=chosen; polyport=chosen"}
    for path in ("/login", "/public/apps/hypha-login/", "/oauth/authorize?client_id=x"):
        answer = await http.get(path, headers=chosen)
        assert "chosen" not in str(answer.headers.get_list("set-cookie")), path


GRANTS = ("ws:ws-user-victim#a", "x ws:ws-user-victim#a", "wid:ws-user-victim", "a\tws:*#a", "*#a")


@pytest.mark.parametrize("text", GRANTS)
async def test_no_text_anywhere_becomes_a_grant(
    parts: Parts, http: httpx.AsyncClient, text: str
) -> None:
    """Whatever is signed or kept on the way: keys, logins, names of clients and workspaces."""
    await Peer.join(parts, token=parts.tokens.issue(User("victim"), expires_in_seconds=3600))
    token = parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    ann = await Peer.join(parts, token=token)
    made: list[str] = [(await ann.manager("generate_api_key", "plain"))["key"]]
    for attempt in (
        {"name": text},
        {"name": "n", "functions": [text]},
        {"name": "n", "workspace": text},
        {"name": "n", "permission": text},
    ):
        try:
            made.append((await ann.manager("generate_api_key", **attempt))["key"])
        except RemoteFailure:
            continue
    for field in ("workspace", "email", "name", "user_id"):
        key = (await http.post(f"{SERVICE}/start", json={field: text})).json().get("key")
        body = {"key": key, "token": token, field: text}
        if (await http.post(f"{SERVICE}/report", json=body)).status_code == 200:
            answer = await http.post(f"{SERVICE}/check", json={"key": key, "timeout": 0})
            made.append(answer.json())
    for said in ({"client_id": text}, {"client_id": "c", "workspace": text}):
        try:
            hello = Hello.read({"token": token, **said})
            peer = await Peer.join(parts, **{k: getattr(hello, k) for k in ("token", *said)})
        except GatewayError:
            continue
        made.append(parts.hub.reconnection_token(peer.session))
    for each in made:
        try:
            caller = await parts.gateway.authenticate(Credentials(each), "ws-user-victim")
        except GatewayError:
            continue
        assert caller.permission_on("ws-user-victim") is None
        assert caller.permission_on("*") is None


async def test_secrets_are_compared_in_constant_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not looked up by its digest goes through ``compare_digest``, whatever its length."""
    compared: list[tuple[bytes, bytes]] = []
    real = secrets.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(secrets, "compare_digest", watched)
    for wrong in ("r", "r0" * 19 + "rx", "x" * 40, "r0" * 21):
        with pytest.raises(GatewayError):
            await parts.gateway.authenticate(Credentials(wrong))
        assert compared.pop() == (wrong.encode(), b"r0" * 20)
    caller = await parts.gateway.authenticate(Credentials("r0" * 20))
    assert caller.user.id == "root"


async def test_a_thousand_guesses_of_keys_and_tokens_let_nobody_in(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    key = (await ann.manager("generate_api_key", "k"))["key"]
    for number in range(1000):
        guess = f"{key[:-4]}{number:04}"
        if guess == key:
            continue
        with pytest.raises(GatewayError):
            await parts.gateway.authenticate(Credentials(guess))
    answers = await statuses(http, ann.workspace, {"authorization": f"Bearer {key[:-1]}"})
    assert set(answers.values()) == {401}
