"""The authorization server against clients and strangers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from schema.identity import Permission, Scope, User
from tests.gateway.auth.oauth.conftest import BASE, CALLBACK, MCP, Flow, answered

OTHER = MCP.replace("diary", "other")


async def test_the_metadata_names_what_there_is(flow: Flow) -> None:
    answer = await flow.http.get("/.well-known/oauth-authorization-server")
    found = answer.json()
    assert found["issuer"] == BASE
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["client_id_metadata_document_supported"] is True
    assert answer.headers["access-control-allow-origin"] == "*"
    for name in ("authorization", "token", "registration", "revocation"):
        assert found[f"{name}_endpoint"].startswith(f"{BASE}/oauth/")


async def test_a_token_is_for_its_endpoint_and_its_workspace_alone(flow: Flow) -> None:
    tokens = await flow.tokens()
    token = tokens["access_token"]
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "read")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == MCP
    assert claims["scope"] == "ws:ws-user-alice#r wid:ws-user-alice"
    assert (await flow.call(token)).status_code == 200
    refused = await flow.call(token, OTHER)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    headers = {"authorization": f"Bearer {token}"}
    for path in ("/ws-user-alice/services/", "/public/services/", "/ws-user-alice/info"):
        assert (await flow.http.get(path, headers=headers)).status_code == 401


async def test_a_token_for_an_endpoint_cannot_be_exchanged_for_more(flow: Flow) -> None:
    token = (await flow.tokens())["access_token"]
    login = "/public/services/hypha-login"
    key = (await flow.http.post(f"{login}/start", json={})).json()["key"]
    answer = await flow.http.post(f"{login}/report", json={"key": key, "token": token})
    assert answer.status_code == 400


async def test_a_client_may_do_no_more_than_its_user(flow: Flow) -> None:
    reader = User("bob", scope=Scope({"ws-user-alice": Permission.READ}))
    tokens = await flow.tokens(reader, scope="read_write admin offline_access")
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert tokens["scope"] == "read_write"
    assert claims["scope"] == "ws:ws-user-alice#r wid:ws-user-alice"
    stranger = (await flow.tokens(User("carol")))["access_token"]
    refused = await flow.call(stranger)
    assert refused.status_code == 404, refused.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"resource": None}, "invalid_target"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{BASE}/public/services/x"}, "invalid_target"),
    ],
)
async def test_a_request_that_is_not_good_goes_back_to_its_client(
    flow: Flow, changes: dict[str, Any], error: str
) -> None:
    await flow.register()
    told = answered(await flow.authorize(**changes))
    assert (told["error"], told["state"], told["iss"]) == (error, "st&te", BASE)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/callback",
        "http://127.0.0.1:4000/callback/",
        "http://127.0.0.1:4000/callback?x=1",
        "http://127.0.0.1:4000/callbac",
        "http://127.0.0.1.evil.example:4000/callback",
        "http://127.0.0.1:4000@evil.example/callback",
        "http://localhost:4000/callback",
        "javascript:alert(1)",
        None,
    ],
)
async def test_nobody_is_redirected_to_an_address_that_was_not_registered(
    flow: Flow, uri: str | None
) -> None:
    await flow.register(redirect_uris=[CALLBACK, "https://app.example/callback"])
    answer = await flow.authorize(redirect_uri=uri)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "was not" not in answer.headers


async def test_the_port_of_a_program_on_the_same_machine_is_free(flow: Flow) -> None:
    await flow.register()
    answer = await flow.authorize(redirect_uri=CALLBACK.replace("4000", "51234"))
    assert "hypha-login" in answer.headers["location"]


@pytest.mark.parametrize("client_id", ["", "dcr.x", "dcr." + "a" * 7000, "probe", "https://a.b/"])
async def test_an_unknown_client_gets_a_page_and_no_redirect(flow: Flow, client_id: str) -> None:
    answer = await flow.authorize(client_id=client_id)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<script" not in answer.text


async def test_a_parameter_that_comes_twice_is_refused(flow: Flow) -> None:
    await flow.register()
    query = f"client_id={flow.client_id}&client_id=x&redirect_uri={CALLBACK}"
    assert (await flow.http.get(f"/oauth/authorize?{query}")).status_code == 400
    data = "grant_type=refresh_token&grant_type=authorization_code"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await flow.http.post("/oauth/token", content=data, headers=headers)
    assert answer.json()["error"] == "invalid_request"


# Consent


async def test_a_request_is_bound_to_its_browser(flow: Flow) -> None:
    await flow.register()
    request = await flow.log_in(await flow.authorize())
    cookies = dict(flow.http.cookies)
    flow.http.cookies.clear()
    page = await flow.http.get("/oauth/consent", params={"request": request})
    assert page.status_code == 400
    assert 'name="form"' not in page.text
    for name in cookies:
        flow.http.cookies.set(name, "guessed")
    page = await flow.http.get("/oauth/consent", params={"request": request})
    assert page.status_code == 400


async def test_a_decision_needs_the_form_that_was_shown_and_counts_once(flow: Flow) -> None:
    await flow.register()
    request = await flow.log_in(await flow.authorize())
    form = await flow.form(request)
    for attack in (
        await flow.decide(form | {"form": "guessed"}),
        await flow.decide({"request": request}),
        await flow.decide(form, origin="https://evil.example"),
        await flow.decide(form, **{"sec-fetch-site": "cross-site"}),
        await flow.decide(form, "perhaps"),
        await flow.http.get("/oauth/consent", params=form | {"decision": "allow"}),
    ):
        assert "location" not in attack.headers
    assert "code" in answered(await flow.decide(form, origin=BASE))
    assert (await flow.decide(form)).status_code == 400


async def test_without_a_login_there_is_no_form(flow: Flow) -> None:
    await flow.register()
    redirect = await flow.authorize()
    query = dict(parse_qsl(urlsplit(redirect.headers["location"]).query))
    page = await flow.http.get("/oauth/consent", params={"request": query["request"]})
    assert page.status_code == 302
    assert "/public/apps/hypha-login/" in page.headers["location"]


async def test_the_token_of_the_login_is_for_the_server_alone(flow: Flow) -> None:
    await flow.register()
    redirect = await flow.authorize()
    key = dict(parse_qsl(urlsplit(redirect.headers["location"]).query))["key"]
    await flow.log_in(redirect)
    answer = await flow.http.post("/public/services/hypha-login/check", json={"key": key})
    assert answer.status_code == 400


async def test_a_refusal_goes_back_to_the_client(flow: Flow) -> None:
    await flow.register()
    request = await flow.log_in(await flow.authorize())
    told = answered(await flow.decide(await flow.form(request), "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "st&te", BASE)


async def test_the_page_shows_names_as_text_and_cannot_be_framed(flow: Flow) -> None:
    await flow.register(client_name="<b>Bank</b>\u202e\n")
    request = await flow.log_in(await flow.authorize())
    page = await flow.http.get("/oauth/consent", params={"request": request})
    assert "&lt;b&gt;Bank&lt;/b&gt; wants to act for you" in page.text
    assert "Nobody vouches for this name" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


# Codes


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "guessed"}, "invalid_grant"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"resource": OTHER}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "dcr.x"}, "invalid_client"),
    ],
)
async def test_a_code_is_exchanged_by_its_client_with_its_proof(
    flow: Flow, changes: dict[str, Any], error: str
) -> None:
    code = await flow.code()
    answer = await flow.token(**({"code": code} | changes))
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"


async def test_a_code_of_another_client_is_refused(flow: Flow) -> None:
    code = await flow.code()
    await flow.register(client_name="Another")
    assert (await flow.token(code=code)).json()["error"] == "invalid_grant"


async def test_a_code_that_is_used_twice_takes_back_what_it_gave(flow: Flow) -> None:
    code = await flow.code()
    tokens = (await flow.token(code=code)).json()
    assert (await flow.call(tokens["access_token"])).status_code == 200
    assert (await flow.token(code=code)).json()["error"] == "invalid_grant"
    assert (await flow.call(tokens["access_token"])).status_code == 401
    assert (await flow.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


# Refreshing and revoking


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_grant(flow: Flow) -> None:
    first = await flow.tokens()
    second = (await flow.refresh(first["refresh_token"])).json()
    assert (await flow.call(second["access_token"])).status_code == 200
    assert (await flow.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    for tokens in (first, second):
        assert (await flow.call(tokens["access_token"])).status_code == 401
    assert (await flow.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_refresh_token_is_good_for_its_client_alone(flow: Flow) -> None:
    tokens = await flow.tokens()
    own = flow.client_id
    await flow.register(client_name="Another")
    assert (await flow.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    flow.client_id = own
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_refreshed_token_is_for_no_more_than_the_first(flow: Flow) -> None:
    tokens = await flow.tokens(scope="read")
    answer = await flow.refresh(tokens["refresh_token"], scope="read_write")
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_client_gives_its_tokens_back(flow: Flow, kind: str) -> None:
    tokens = await flow.tokens()
    data = {"token": tokens[kind], "client_id": flow.client_id}
    assert (await flow.http.post("/oauth/revoke", data=data)).status_code == 200
    assert (await flow.call(tokens["access_token"])).status_code == 401
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    unknown = {"token": "unknown", "client_id": flow.client_id}
    assert (await flow.http.post("/oauth/revoke", data=unknown)).status_code == 200


async def test_a_grant_ends_with_the_login_that_it_was_made_with(flow: Flow) -> None:
    tokens = await flow.tokens()
    revocations = flow.parts.tokens.revocations
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    await revocations.revoke(claims["anc"][0], seconds=60)
    assert (await flow.call(tokens["access_token"])).status_code == 401
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    revocations._revoked.clear()  # as when it is so long ago that it is forgotten
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400


async def test_a_guest_gets_a_token_that_ends_and_none_to_refresh(flow: Flow) -> None:
    guest = flow.parts.tokens  # a guest of the login page
    user = User("anonymouz-x", ("anonymous",), is_anonymous=True)
    assert guest.issue(user, expires_in_seconds=60)
    tokens = await flow.tokens(user)
    assert "refresh_token" not in tokens
    assert tokens["expires_in"] <= 600


# Clients


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)//"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/cb#part"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://me:pw@app.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK] * 11}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://a.example/{'x' * 600}"]}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"response_types": "token"}, "invalid_client_metadata"),
    ],
)
async def test_a_registration_that_is_not_good_is_refused(
    flow: Flow, metadata: dict[str, Any], error: str
) -> None:
    answer = await flow.register(**metadata)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_applications_register_addresses_of_their_own(flow: Flow) -> None:
    uri = "cursor://anysphere.cursor-retrieval/oauth/callback"
    assert (await flow.register(redirect_uris=[uri])).status_code == 201
    request = await flow.log_in(await flow.authorize(redirect_uri=uri))
    answer = await flow.decide(await flow.form(request))
    assert answer.headers["location"].startswith(f"{uri}?code=")


async def test_a_client_with_a_secret_has_to_show_it(flow: Flow) -> None:
    answer = await flow.register(token_endpoint_auth_method="client_secret_basic")
    client_id, secret = answer.json()["client_id"], answer.json()["client_secret"]
    for shown, status in (("guessed", 401), (None, 401), (secret, 200)):
        token = await flow.token(code=await flow.code(), client_secret=shown)
        assert token.status_code == status
    data = {"grant_type": "refresh_token", "refresh_token": token.json()["refresh_token"]}
    refreshed = await flow.http.post("/oauth/token", data=data, auth=(client_id, secret))
    assert refreshed.status_code == 200
    for header in ("Basic !!!", "Basic eA==", "Bearer x"):
        headers = {"authorization": header}
        refused = await flow.http.post("/oauth/token", data=data, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 20_000, b"x" * 40_000])
async def test_a_body_that_cannot_be_read_is_refused(flow: Flow, body: bytes) -> None:
    for path in ("/oauth/register", "/oauth/token", "/oauth/revoke"):
        answer = await flow.http.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("invalid_")


async def test_pages_may_ask_from_anywhere_but_without_cookies(flow: Flow) -> None:
    headers = {"origin": "https://inspector.example", "access-control-request-method": "POST"}
    for path in ("/oauth/token", "/oauth/register", "/.well-known/oauth-authorization-server"):
        answer = await flow.http.options(path, headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
        assert "access-control-allow-credentials" not in answer.headers
