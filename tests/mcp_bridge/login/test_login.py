"""A login that cannot be had: who is asked, what is said, and what is kept of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from gateway.logins.store import Entry
from mcp_bridge.login import Identity, Login, LoginFailed, NoLogin, Refused, flow

URL = "https://mcp.example/mcp"
ISSUER = "https://login.example"
RESOURCE = {"resource": URL, "authorization_servers": [ISSUER]}
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "registration_endpoint": f"{ISSUER}/register",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "client_id_metadata_document_supported": True,
}
SECRET = "s3cret"


class Internet:
    """An MCP endpoint and its authorization server, as the requests of a login see them."""

    def __init__(self) -> None:
        self.server = dict(SERVER)
        self.requests: list[str] = []
        self.forms: list[str] = []
        self.answers: dict[str, httpx2.Response] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url}")
        self.forms.append(request.content.decode())
        if (found := self.answers.get(request.url.path)) is not None:
            return found
        match request.url.path:
            case "/.well-known/oauth-protected-resource/mcp":
                return httpx2.Response(200, json=RESOURCE)
            case "/.well-known/oauth-authorization-server":
                return httpx2.Response(200, json=self.server)
            case "/register":
                return httpx2.Response(201, json={"client_id": "registered"})
            case "/token":
                return httpx2.Response(200, json={"access_token": "t", "token_type": "Bearer"})
        return httpx2.Response(404)

    def on(self, path: str, status: int, **content: str) -> None:
        self.answers[path] = httpx2.Response(status, json=content)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    internet = Internet()
    monkeypatch.setattr(flow, "_Environment", lambda: httpx2.MockTransport(internet))
    monkeypatch.setenv("BROWSER", "none")
    return internet


class Person:
    """Brings an answer from the browser, to each address that they are told."""

    def __init__(self, **answer: str) -> None:
        self.answer = {"code": SECRET, "iss": ISSUER, **answer}
        self.heard: list[str] = []
        self.coming: list[asyncio.Task[None]] = []

    def tell(self, line: str) -> None:
        self.heard.append(line)
        self.coming.append(asyncio.create_task(self._come_back(line.split()[-1])))

    async def _come_back(self, url: str) -> None:
        query = httpx2.URL(url).params
        async with httpx2.AsyncClient() as http:
            given = {"state": query["state"], **self.answer}
            await http.get(query["redirect_uri"], params={k: v for k, v in given.items() if v})


def login(place: Path, person: Person, identity: Identity | None = None) -> Login:
    return Login(URL, Entry(URL, place), person.tell, identity=identity)


async def test_a_login_that_goes_well_leaves_a_token(internet: Internet, tmp_path: Path) -> None:
    found = login(tmp_path, Person())
    await found.renew(Refused(), None)
    assert found.token() == "t"
    assert "POST https://login.example/register" in internet.requests


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"code": "", "error": "access_denied"}, "refused in the browser (access_denied)"),
        ({"code": "", "error": "server_error"}, "refused in the browser (server_error)"),
        ({"code": "", "error": "<b>\nx"}, "refused in the browser (an error)"),
        ({"iss": "https://evil.example"}, "iss mismatch"),
        ({"iss": ""}, "missing iss"),
    ],
)
async def test_an_answer_that_does_not_count_is_told_in_one_line(
    internet: Internet, tmp_path: Path, answer: dict[str, str], says: str
) -> None:
    person = Person(**answer)
    found = login(tmp_path, person)
    with pytest.raises(LoginFailed) as failure:
        await found.renew(Refused(), None)
    assert str(failure.value).startswith(f"The login at {URL} has failed: ")
    assert says in str(failure.value)
    assert "\n" not in str(failure.value)
    assert found.token() is None
    assert not list(tmp_path.glob("*.json"))
    assert "POST https://login.example/token" not in internet.requests


async def test_what_a_server_repeats_of_a_secret_is_not_told(
    internet: Internet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"the code {SECRET} is not good"
    internet.on("/token", 400, error="invalid_grant", error_description=text)
    with pytest.raises(LoginFailed, match="invalid_grant") as failure:
        await login(tmp_path, Person()).renew(Refused(), None)
    assert SECRET not in str(failure.value)
    assert caplog.records == []


async def test_a_server_that_does_not_say_that_it_checks_codes_is_not_used(
    internet: Internet, tmp_path: Path
) -> None:
    del internet.server["code_challenge_methods_supported"]
    person = Person()
    with pytest.raises(LoginFailed, match="PKCE"):
        await login(tmp_path, person).renew(Refused(), None)
    assert person.heard == []


async def test_nobody_is_sent_away_without_tls(internet: Internet, tmp_path: Path) -> None:
    internet.server["token_endpoint"] = "http://login.example/token"
    with pytest.raises(LoginFailed, match="https"):
        await login(tmp_path, Person()).renew(Refused(), None)
    assert not [request for request in internet.requests if " http://" in request]


async def test_an_endpoint_that_names_no_authorization_server_is_asked_for_nothing(
    internet: Internet, tmp_path: Path
) -> None:
    internet.on("/.well-known/oauth-protected-resource/mcp", 404)
    internet.on("/.well-known/oauth-authorization-server", 404)
    with pytest.raises(NoLogin):
        await login(tmp_path, Person()).renew(Refused(), None)
    assert all(request.startswith("GET ") for request in internet.requests)


async def test_a_client_that_is_known_does_not_register(internet: Internet, tmp_path: Path) -> None:
    for number, identity in enumerate(
        [Identity("by-hand", "hand-secret"), Identity("https://polyport.example/client.json")]
    ):
        internet.forms.clear()
        await login(tmp_path / str(number), Person(), identity).renew(Refused(), None)
        [form] = [form for form in internet.forms if "grant_type=authorization_code" in form]
        assert httpx2.QueryParams(form)["client_id"] == identity.client_id
    assert not [request for request in internet.requests if "register" in request]


async def test_tokens_of_one_client_are_not_for_another(internet: Internet, tmp_path: Path) -> None:
    await login(tmp_path, Person()).renew(Refused(), None)
    assert login(tmp_path, Person()).token() == "t"
    assert login(tmp_path, Person(), Identity("by-hand")).token() is None


async def test_a_port_that_is_taken_is_told(internet: Internet, tmp_path: Path) -> None:
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(LoginFailed, match=f"port {port}"):
            await login(tmp_path, Person(), Identity(port=port)).renew(Refused(), None)


async def test_nobody_is_waited_for_for_ever(internet: Internet, tmp_path: Path) -> None:
    found = Login(URL, Entry(URL, tmp_path), lambda line: None, seconds=0.01)
    with pytest.raises(LoginFailed, match="nobody has logged in"):
        await found.renew(Refused(), None)


async def test_without_a_place_for_it_nobody_is_asked(internet: Internet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    person = Person()
    found = login(tmp_path / "file", person)
    assert found.token() is None
    with pytest.raises(LoginFailed, match="no place to keep"):
        await found.renew(Refused(), None)
    assert person.heard == []


@pytest.mark.parametrize(
    ("status", "challenge", "can_be_mended"),
    [
        (401, 'Bearer resource_metadata="https://x.example"', True),
        (401, "Basic realm=x, bearer", True),
        (401, "Basic realm=x", False),
        (401, None, False),
        (403, 'Bearer error="insufficient_scope", scope="write"', True),
        (403, "Bearer error=insufficient_scope", True),
        (403, 'Bearer error="insufficient_scopes"', False),
        (403, None, False),
    ],
)
def test_a_login_is_for_refusals_that_it_mends(
    status: int, challenge: str | None, can_be_mended: bool
) -> None:
    assert Refused(status, challenge).can_be_mended is can_be_mended
