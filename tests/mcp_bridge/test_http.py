"""The HTTP side beside MCP itself: browsers, hosts, the page of a service, discovery addresses."""

from __future__ import annotations

import pytest

from gateway.testing import FakeGateway
from mcp_bridge.connect.configurations import configurations
from mcp_bridge.headers import Accepts, accepts, bearer_token, decoded
from schema.errors import Unauthenticated
from tests.mcp_bridge.wire import MODERN, Door

PAGE = "/ws-lab/mcp/calc"
INSPECTOR = "http://localhost:6274"


async def test_a_preflight_admits_the_headers_of_the_protocol(door: Door) -> None:
    headers = {
        "origin": INSPECTOR,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,mcp-param-region,x-evil",
    }
    response = await door.send(method="OPTIONS", headers=headers)
    assert (response.status, response.body) == (204, b"")
    assert "content-length" not in response.headers
    assert response.headers["access-control-allow-origin"] == INSPECTOR
    assert response.headers["access-control-allow-methods"] == "POST, GET, DELETE"
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"content-type", "authorization", "mcp-method", "mcp-param-region"} <= set(allowed)
    assert "x-evil" not in allowed
    assert "access-control-allow-credentials" not in response.headers


async def test_a_preflight_of_a_foreign_page_is_refused(door: Door) -> None:
    response = await door.send(method="OPTIONS", headers={"origin": "https://evil.example"})
    assert response.status == 403
    assert "access-control-allow-origin" not in response.headers


async def test_responses_to_an_admitted_page_can_be_read_by_it(door: Door) -> None:
    headers = {"origin": INSPECTOR}
    for response in (
        await door.request(MODERN, "tools/list", headers=headers),
        await door.request(MODERN, "tools/call", {"name": "echo"}, headers=headers),
        await door.request(MODERN, "nonsense", headers=headers),
        await door.send(b"{", headers=headers),
    ):
        assert response.headers["access-control-allow-origin"] == INSPECTOR
        assert response.headers["vary"] == "Origin"
        assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("bind", "public", "host", "origin", "status"),
    [
        ("127.0.0.1", None, "127.0.0.1:9527", None, 200),
        ("127.0.0.1", None, "LOCALHOST", None, 200),
        ("127.0.0.1", None, "[::1]:9527", None, 200),
        ("localhost", None, "evil.example", None, 421),
        ("::1", None, "evil.example:9527", None, 421),
        ("127.0.0.1", None, "localhost.evil.example", None, 421),
        ("127.0.0.1", None, "127.0.0.1.evil.example", None, 421),
        ("127.0.0.1", "https://mcp.example", "mcp.example", None, 200),
        ("127.0.0.1", "https://mcp.example", "mcp.example", "https://mcp.example", 200),
        ("127.0.0.1", "https://mcp.example", "other.example", None, 421),
        ("127.0.0.1", None, "localhost", "http://127.0.0.1:5173", 200),
        ("127.0.0.1", None, "localhost", "http://localhost.evil.example", 403),
        ("127.0.0.1", None, "localhost", "http://[", 403),
        ("127.0.0.1", None, "localhost", "http://127.0.0.1:80.evil.example", 403),
        ("127.0.0.1", None, "localhost", "http://[::1].evil.example", 403),
        ("127.0.0.1", None, "localhost", "http://evil@127.0.0.1", 403),
        ("127.0.0.1", None, "[::1].evil.example", None, 421),
        ("127.0.0.1", None, "localhost:" + "1" * 2000, None, 421),
        ("0.0.0.0", None, "gateway.example", None, 200),
        ("0.0.0.0", None, "gateway.example:9527", "http://gateway.example:9527", 200),
        ("0.0.0.0", None, "gateway.example", "https://evil.example", 403),
        ("0.0.0.0", None, "gateway.example", "http://localhost:5173", 403),
    ],
)
async def test_only_own_hosts_and_origins_are_answered(
    gateway: FakeGateway, bind: str, public: str | None, host: str, origin: str | None, status: int
) -> None:
    door = Door(gateway, host=bind, public_base_url=public)
    headers = {"host": host, "origin": origin}
    assert (await door.request(MODERN, "tools/list", headers=headers)).status == status


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_page_names_endpoint_tools_and_configurations(door: Door, slash: str) -> None:
    response = await door.send(method="GET", path=PAGE + slash)
    page = response.json
    url = "http://127.0.0.1:9527/ws-lab/mcp/calc/mcp"
    assert response.status == 200
    assert (page["service"], page["endpoint"]) == ("ws-lab/worker:calc", url)
    assert page["tools"][0] == {"name": "add", "description": "Add two integers."}
    clients = page["clients"]
    assert clients["claude-code"]["command"] == f"claude mcp add --transport http calc {url}"
    assert clients["claude-code"]["content"] == {
        "mcpServers": {"calc": {"type": "http", "url": url}}
    }
    assert clients["cursor"]["content"] == {"mcpServers": {"calc": {"url": url}}}
    assert clients["vscode"]["content"] == {"servers": {"calc": {"type": "http", "url": url}}}


@pytest.mark.parametrize("path", [PAGE, "/ws-lab/mcp"])
async def test_a_browser_gets_a_page_that_needs_nothing_and_runs_nothing(
    door: Door, path: str
) -> None:
    headers = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    response = await door.send(method="GET", path=path, headers=headers)
    html = response.body.decode()
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "Accept" in response.headers["vary"]
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert f"<pre>http://127.0.0.1:9527{path}" in html
    for shown in ("Add two integers.", "claude mcp add --transport http", "<summary>Cursor"):
        assert shown in html
    for missing in ("<script", " src=", " style=", " onclick="):
        assert missing not in html


async def test_what_providers_write_is_text_on_the_page(door: Door, gateway: FakeGateway) -> None:
    def f() -> None: ...

    described = {"name": "f", "description": "<img src=x>", "parameters": {"type": "object"}}
    f.__schema__ = described  # type: ignore[attr-defined]
    gateway.add_service("ws-lab/w:evil", {"f": f}, name="<script>x</script>", visibility="public")
    headers = {"accept": "text/html"}
    html = (await door.send(method="GET", path="/ws-lab/mcp/evil", headers=headers)).body
    assert b"&lt;script&gt;" in html
    assert b"<script" not in html and b"<img" not in html


async def test_the_page_of_a_protected_service_never_repeats_the_token(door: Door) -> None:
    headers = {"authorization": "Bearer good"}
    response = await door.send(method="GET", path="/ws-lab/mcp/private", headers=headers)
    assert response.json["needsToken"] is True
    assert b"good" not in response.body
    assert response.body.count(b"POLYPORT_TOKEN") >= 4


async def test_the_page_of_an_invisible_service_is_not_found(door: Door) -> None:
    assert (await door.send(method="GET", path="/ws-lab/mcp/private")).status == 404


async def test_the_page_uses_the_public_address(gateway: FakeGateway) -> None:
    door = Door(gateway, public_base_url="https://mcp.example/base/")
    headers = {"host": "mcp.example"}
    page = (await door.send(method="GET", path="/ws-lab/mcp/worker:calc", headers=headers)).json
    assert page["endpoint"] == "https://mcp.example/base/ws-lab/mcp/worker:calc/mcp"


async def test_the_page_takes_no_messages(door: Door) -> None:
    response = await door.send(b"{}", path=PAGE)
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


async def test_the_head_of_a_page_is_empty(door: Door) -> None:
    response = await door.send(method="HEAD", path=PAGE)
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/ws-lab/mcp/calc/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ],
)
async def test_there_is_no_authorization_server_to_be_found(door: Door, path: str) -> None:
    response = await door.send(method="GET", path=path)
    assert response.status == 404
    assert response.headers["content-type"] == "application/json"


def test_configurations_quote_what_a_shell_would_read() -> None:
    url = "http://h/a b/mcp/x;rm/mcp"
    found = configurations("x;rm $HOME", url, needs_token=True)
    assert found["claude-code"]["command"] == (
        "claude mcp add --transport http x-rm--HOME 'http://h/a b/mcp/x;rm/mcp' "
        '--header "Authorization: Bearer $POLYPORT_TOKEN"'
    )
    assert found["vscode"]["content"]["inputs"][0]["id"] == "POLYPORT_TOKEN"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Accepts(True, True)),
        (b"", Accepts(True, True)),
        (b"*/*", Accepts(True, True)),
        (b"application/json", Accepts(True, False)),
        (b"application/*", Accepts(True, False)),
        (b"text/event-stream", Accepts(False, True, True)),
        (b"text/event-stream, application/json", Accepts(True, True, True)),
        (b"TEXT/Event-Stream;q=0.5,Application/JSON;q=0.1", Accepts(True, True, True)),
        (b"*/*, text/event-stream;q=0", Accepts(True, False)),
        (b"application/json;q=0.0, */*", Accepts(False, True)),
        (b"text/html", Accepts(False, False)),
        (b"text/html, " * 100 + b"*/*", Accepts(True, True)),
    ],
)
def test_accept_is_read_liberally(header: bytes | None, expected: Accepts) -> None:
    assert accepts(header) == expected


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer ", b"Basic x", b"x"])
def test_a_credential_that_cannot_be_read_makes_nobody_anonymous(header: bytes) -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(header)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (b" tools/list\t", "tools/list"),
        (b"=?base64?aGk=?=", "hi"),
        (b"=?base64?aGk?=", None),
        (b"=?base64?aGl=?=", None),
        (b"=?base64?/w==?=", None),
        (b"=?base64??=", ""),
    ],
)
def test_routing_headers_have_one_spelling(value: bytes | None, text: str | None) -> None:
    assert decoded(value) == text


async def test_a_compressed_body_is_refused_with_what_is_possible(door: Door) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await door.send(headers=headers, path="/ws-lab/mcp/calc/mcp")
    assert response.status == 415
    assert response.headers["accept-encoding"] == "identity"
