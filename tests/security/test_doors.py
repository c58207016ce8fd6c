"""Lines of the security requirements that ``test_workspaces`` holds at the websocket, at the other
doors: HTTP and MCP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.app import Parts
from schema.identity import Permission, Scope, User
from tests.gateway.peer import Peer
from tests.security.conftest import MCP

SECRET = "the-secret-of-ann"


class Site:
    """The workspace of ann, and those who ask for it by HTTP."""

    def __init__(self, parts: Parts, http: httpx.AsyncClient) -> None:
        self.parts = parts
        self.http = http
        self.ann: Peer

    async def open(self) -> Site:
        self.ann = await Peer.join(self.parts, "provider", token=self.token("ann"))
        for visibility in ("public", "protected", "unlisted"):
            config: dict[str, Any] = {"visibility": visibility}
            if visibility == "protected":
                config["authorized_workspaces"] = ["ws-guest", "ws-user-friend"]
            await self.ann.register(visibility, {"f": int}, config=config, description=visibility)
        await self.ann.manager("set_env", "k", SECRET)
        return self

    def token(self, name: str, **more: Any) -> str:
        return self.parts.tokens.issue(User(name, **more), expires_in_seconds=600)

    async def ask(
        self, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> httpx.Response:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        url = f"/{self.ann.workspace}{path}"
        if body is None:
            return await self.http.get(url, headers=headers)
        return await self.http.post(url, json=body, headers=headers)

    async def mcp(self, path: str, method: str, token: str | None = None) -> str:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        return (await self.ask(path, token, message, **MCP)).text


@pytest.fixture
async def site(parts: Parts, http: httpx.AsyncClient) -> Site:
    return await Site(parts, http).open()


async def test_S14_N2_a_stranger_learns_nothing_of_a_workspace_by_http(site: Site) -> None:
    for token in (None, site.token("eve")):
        info = await site.ask("/info", token)
        missing = await site.http.get("/ws-user-nobody/info", headers=dict(info.request.headers))
        assert info.status_code == missing.status_code == 403
        assert info.text.replace("ann", "X") == missing.text.replace("nobody", "X")
        for function in ("get_workspace_info", "list_clients", "list_members", "get_env"):
            body = {} if function == "get_env" else {"workspace": site.ann.workspace}
            answer = await site.ask(f"/services/ws/{function}", token, body)
            assert SECRET not in answer.text and "provider" not in answer.text
    own = await site.ask("/info", site.token("ann"))
    assert own.status_code == 200 and SECRET not in own.text


async def test_S17_strangers_list_what_is_public_by_http_and_mcp(site: Site) -> None:
    for token in (None, site.token("eve")):
        listed = (await site.ask("/services", token)).json()
        assert [entry["description"] for entry in listed] == ["public"]
        assert "public__f" in (tools := await site.mcp("/mcp", "tools/list", token))
        assert "protected" not in tools and "unlisted" not in tools
        assert (await site.ask("/services/unlisted", token)).status_code == 200
        assert (await site.ask("/services/protected", token)).status_code == 403
        assert "No service" in await site.mcp("/mcp/protected/mcp", "tools/list", token)
        assert '"f"' in await site.mcp("/mcp/unlisted/mcp", "tools/list", token)
    document = (await site.ask("/openapi.json")).text
    assert "protected" not in document and "unlisted" not in document


async def test_S3_who_else_is_let_in_is_told_by_no_door(site: Site) -> None:
    friend = site.token("friend")
    shown = await site.ask("/services/protected", friend)
    assert shown.status_code == 200 and "protected" in shown.text
    for path in ("/services/protected", "/services", "/openapi.json", "/services/protected/"):
        assert "ws-guest" not in (await site.ask(path, friend)).text
    assert "ws-guest" not in await site.mcp("/mcp/protected/mcp", "tools/list", friend)
    assert "ws-guest" in (await site.ask("/services/protected", site.token("ann"))).text


async def test_S18_who_calls_over_http_and_mcp_is_said_by_the_server(site: Site) -> None:
    forged = {"ws": site.ann.workspace, "user": {"id": "root"}, "from": site.ann.address}
    site.ann.functions["services.public.f"] = lambda **_: 1
    token = site.token("eve")
    await site.ask("/services/public/f", token, forged | {"context": forged})
    call = {"name": "f", "arguments": {}, "_meta": forged}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    await site.ask("/mcp/public/mcp", token, message, **MCP)
    assert len(site.ann.contexts) >= 2
    for context in site.ann.contexts[-2:]:
        assert (context["ws"], context["user"]["id"]) == ("ws-user-eve", "eve")
        assert context["from"].startswith("ws-user-eve/")


async def test_S19_N3_a_reader_changes_nothing_by_http(site: Site) -> None:
    reader = await site.ann.manager("generate_token", {"permission": "read"})
    workspace = site.ann.workspace
    for function, body in (
        ("set_env", {"key": "k", "value": "v"}),
        ("generate_token", {}),
        ("register_service", {"service": {"id": f"{workspace}/x:s"}}),
        ("update_workspace", {"workspace": workspace, "config": {"owners": ["eve"]}}),
        ("log_event", {"event_type": "x"}),
        ("subscribe", {"event_type": "x"}),
    ):
        answer = await site.ask(f"/services/ws/{function}", reader, body)
        assert answer.status_code == 403, answer.text
    writer = await site.ann.manager("generate_token", {"permission": "read_write"})
    assert (await site.ask("/services/ws/set_env", writer, {"key": "a", "value": 1})).is_success
    assert (await site.ask("/services/ws/generate_token", writer, {})).status_code == 403
    record = site.parts.workspaces.require(workspace)
    assert (record.owner, record.members) == ("ann", {})


async def test_S21_a_token_of_a_client_is_for_no_request(site: Site) -> None:
    bound = await site.ann.manager("generate_token", {"client_id": "worker"})
    for path in ("/info", "/services", "/services/public", "/apps/public/"):
        assert (await site.ask(path, bound)).status_code == 401
    assert "bound to a client" in await site.mcp("/mcp", "tools/list", bound)


async def test_S7_N4_names_of_others_and_of_the_server_cannot_be_taken_by_http(site: Site) -> None:
    for name in ("ws-user-zed", "ws-user-ann-x", "public", "ws-anonymous-x", "ws", "health"):
        answer = await site.http.post(
            "/ws-user-eve/services/ws/create_workspace",
            json={"config": {"id": name}, "overwrite": True},
            headers={"authorization": f"Bearer {site.token('eve')}"},
        )
        assert answer.status_code in {400, 403, 409}, answer.text


async def test_N14_other_users_are_shown_by_id_alone_at_every_door(site: Site) -> None:
    bob = site.token(
        "bob", email="bob@x.org", scope=Scope({site.ann.workspace: Permission.READ_WRITE})
    )
    peer = await Peer.join(site.parts, "b", token=bob, workspace=site.ann.workspace)
    await peer.register("of-bob", {"f": int})
    own = site.token("ann")
    for path in ("/services", "/services/of-bob", "/services/b:built-in", "/openapi.json", "/info"):
        assert "bob@x.org" not in (await site.ask(path, own)).text
    assert "bob@x.org" not in (await site.ask("/services/ws/list_clients", own, {})).text
    assert "bob@x.org" not in await site.mcp("/mcp", "tools/list", own)


async def test_N7_a_child_of_an_administrator_is_none_at_any_door(site: Site) -> None:
    root = await Peer.join(site.parts, token=site.token("op", roles=("admin",)))
    child = await root.manager("generate_token", {"permission": "read"})
    assert (await site.ask("/info", child)).status_code == 403
    assert (await site.ask("/services/protected", child)).status_code == 403
    assert "No service" in await site.mcp("/mcp/protected/mcp", "tools/list", child)


async def test_N16_each_service_keeps_its_own_visibility_at_every_door(site: Site) -> None:
    def shared() -> int:
        return 1

    await site.ann.register("closed", {"g": shared}, config={"visibility": "protected"})
    await site.ann.register("ajar", {"g": shared}, config={"visibility": "unlisted"})
    eve = site.token("eve")
    assert (await site.ask("/services/closed/g", eve, {})).status_code == 403
    assert (await site.ask("/services/ajar/g", eve, {})).json() == 1
    assert "No service" in await site.mcp("/mcp/closed/mcp", "tools/list", eve)


SOMEBODYS = '{"_rtype": "method", "_rtarget": "ws-victim/c", "_rmethod": "services.s.f"}'


@pytest.mark.parametrize("name", ["_rtype", "\\u005frtype"])
async def test_a_provider_is_lent_no_function_of_others_by_who_writes_its_name(
    site: Site, name: str
) -> None:
    function = SOMEBODYS.replace("_rtype", name).replace("_rtarget", name.replace("type", "target"))
    as_json = {"content-type": "application/json"}
    called: list[Any] = []
    await site.ann.register("apply", {"f": called.append}, config={"visibility": "public"})
    await site.ann.register(
        "stoppable", {"f": called.append}, config={"visibility": "public", "cancellable": True}
    )
    for service in ("apply", "stoppable"):
        for argument in (function, f'{{"deep": [[{{"er": {function}}}]]}}'):
            body = f'{{"f": {argument}}}'
            answer = await site.http.post(
                f"/{site.ann.workspace}/services/{service}/f",
                content=body,
                headers=as_json,
            )
            assert answer.status_code == 400, answer.text
            assert answer.json()["code"] == "invalid_arguments"
            call = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": '
            told = await site.http.post(
                f"/{site.ann.workspace}/mcp/{service}/mcp",
                content=call + f'{{"name": "f", "arguments": {body}}}}}',
                headers=as_json | MCP,
            )
            assert "only data" in told.text
    assert not called
