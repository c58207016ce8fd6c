"""The same requests to our door and to the server of the official SDK get the same answers: one
catalogue is shown alike in both eras, and refusals have the same status and code.

Only what the specification leaves no choice about; where ours differs on purpose (``Accept``,
content types, requests whose header was dropped), ``test_bad_input`` says what it does.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mcp_bridge.bad_input import CLIENT
from tests.mcp_bridge.sdk_twin import RESULTS, ours, theirs
from tests.mcp_bridge.wire import META, MODERN, Response, message

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COMPLETE = {
    "ref": {"type": "ref/prompt", "name": "review"},
    "argument": {"name": "code", "value": ""},
}


def broken(**change: Any) -> dict[str, Any]:
    return {"change": change}


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("server/discover", {}),
    ("initialize", {**CLIENT, "protocolVersion": "2025-06-18"}),
    ("ping", {}),
    ("tools/list", {}),
    ("tools/call", {"name": "text", "arguments": {"a": 1, "b": 2}}),
    *(("tools/call", {"name": name}) for name in RESULTS if name != "text"),
    ("tools/call", {"name": "nothing"}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    *(
        ("resources/read", {"uri": uri})
        for uri in ("demo://note", "demo://7/data", "demo://nothing")
    ),
    ("prompts/list", {}),
    ("prompts/get", {"name": "review", "arguments": {"code": "x"}}),
    ("prompts/get", {"name": "review"}),
    ("prompts/get", {"name": "nothing"}),
    ("completion/complete", COMPLETE),
]
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "an unknown method": ("tools/destroy", {}, {}),
    "ping": ("ping", {}, {}),
    "a log level": ("logging/setLevel", {"level": "info"}, {}),
    "no Mcp-Method": ("tools/list", {}, {"headers": {"mcp-method": None}}),
    "another Mcp-Method": ("tools/list", {}, {"headers": {"mcp-method": "ping"}}),
    "no Mcp-Name": ("tools/call", {"name": "add"}, {"headers": {"mcp-name": None}}),
    "another Mcp-Name": ("tools/call", {"name": "add"}, {"headers": {"mcp-name": "sub"}}),
    "another version in the header": (
        "tools/list",
        {"_meta": {f"{META}protocolVersion": "2099-01-01"}},
        {},
    ),
    "an unknown version": (
        "tools/list",
        {"_meta": {f"{META}protocolVersion": "2099-01-01"}},
        {"headers": {"mcp-protocol-version": "2099-01-01"}},
    ),
    "no capabilities": ("tools/list", {"_meta": {f"{META}clientCapabilities": None}}, {}),
    "a null id": ("tools/list", {}, broken(id=None)),
    "a fractional id": ("tools/list", {}, broken(id=1.5)),
    "a boolean id": ("tools/list", {}, broken(id=True)),
    "another JSON-RPC": ("tools/list", {}, broken(jsonrpc="1.0")),
    "params that are no object": ("tools/list", {}, broken(params=[])),
    "a version twice": ("tools/list", {}, {"more": [("mcp-protocol-version", MODERN)]}),
    "a foreign host": ("tools/list", {}, {"headers": {"host": "evil.example"}}),
    "a foreign origin": ("tools/list", {}, {"headers": {"origin": "https://evil.example"}}),
}


def outcome(response: Response) -> tuple[int, object]:
    """Status and error code of a refusal."""
    try:
        body = json.loads(response.body)
    except json.JSONDecodeError:  # the SDK answers some transport errors in plain text
        return response.status, "refused"
    return response.status, body["error"]["code"] if response.status not in (
        403,
        421,
    ) else "refused"


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_is_refused_in_the_same_way(
    case: tuple[str, dict[str, Any], dict[str, Any]],
) -> None:
    method, params, change = case
    body, headers = message(MODERN, method, params, change.get("headers"))
    if body["params"]["_meta"].get(f"{META}clientCapabilities", 0) is None:
        del body["params"]["_meta"][f"{META}clientCapabilities"]
    body |= change.get("change", {})
    us = await ours().send(body, headers=headers, more=change.get("more"))
    async with theirs() as sdk:
        them = await sdk.send(body, headers=headers, more=change.get("more"))
    assert outcome(us) == outcome(them)


@pytest.mark.parametrize("version", [MODERN, "2025-11-25", "2025-06-18"])
async def test_the_same_catalogue_gets_the_same_answers(version: str) -> None:
    door = ours()
    async with theirs() as sdk:
        for method, params in ASKED:
            body, headers = message(version, method, params)
            us, them = [await each.send(body, headers=headers) for each in (door, sdk)]
            assert us.status == them.status, (method, params)
            assert alike(us.json) == alike(them.json), (method, params)


def alike(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what the two servers may say each in its way: their names, words of an
    error, that a flag is not set, and what they notify of."""
    if "error" in answer:
        data = answer["error"].get("data")
        uri = data.get("uri") if isinstance(data, dict) else None
        return {"id": answer["id"], "code": answer["error"]["code"], "uri": uri}
    result = answer["result"]
    meta = result.pop("_meta", {})
    for key in ("serverInfo", f"{META}serverInfo"):
        for place in (result, meta):
            if key in place:
                place[key] = sorted(place[key])
    if result.get("isError") is False:
        del result["isError"]
    if "capabilities" in result:
        result["capabilities"] = sorted(result["capabilities"])
        result.pop("cacheScope", None)
    for tool in result.get("tools", ()):
        # Ours says by which path the provider calls the function.
        tool.pop("_meta", None)
    return {"id": answer["id"], **result, "_meta": meta}
