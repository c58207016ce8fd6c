"""Requests that are malformed, contradictory or unwelcome, each with the answer it is due.

One table for both eras and both transports. ``over_stdio`` says what the same message gets from the
bridge, which writes the headers itself, so what is wrong with headers has no counterpart there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.mcp_bridge.wire import META, MODERN

OLD: Final = "2025-06-18"
CAPABILITIES: Final = f"{META}clientCapabilities"
VERSION: Final = f"{META}protocolVersion"
CLIENT: Final = {"capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}

NO_OBJECTS: Final[tuple[Any, ...]] = (None, [], "elicitation")

OverStdio = Literal["the same", "served", "no answer", "not possible"]


@dataclass
class Case:
    """A request made from a good one, and the answer it gets."""

    sentence: str
    status: int
    code: int | None = None
    """Of the error; None: there is a result."""
    version: str | None = MODERN
    name: str = "tools/list"
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str | None] = field(default_factory=dict)
    more: list[tuple[str, str]] = field(default_factory=list)
    without_meta: tuple[str, ...] = ()
    http_method: str = "POST"
    body: bytes | None = None
    change: dict[str, Any] = field(default_factory=dict)
    """Members of the message; a value of ``...`` takes one away."""
    is_broken: bool = False
    """The gateway fails where nobody thought it would."""
    says: str = ""
    data: dict[str, Any] | None = None
    result: dict[str, Any] = field(default_factory=dict)
    """What the result has among others."""
    has_answer: bool = True
    allow: str | None = None
    id: Any = 1
    over_stdio: OverStdio = "the same"

    @property
    def transports(self) -> tuple[str, ...]:
        is_http_alone = self.headers or self.more or self.http_method != "POST"
        if is_http_alone or self.over_stdio == "not possible":
            return ("http",)
        return "http", "stdio"


def both(
    sentence: str, modern: int, legacy: int, code: int | None = None, **case: Any
) -> list[Case]:
    return [
        Case(f"{sentence} (stateless)", modern, code, **case),
        Case(f"{sentence} (handshake)", legacy, code, OLD, **case),
    ]


def named(sentence: str, header: str | None, status: int = 400, **case: Any) -> Case:
    """A call of a tool with another ``Mcp-Name`` than the right one."""
    code = -32020 if status == 400 else None
    params = {"name": "echo"}
    return Case(
        sentence,
        status,
        code,
        name="tools/call",
        params=params,
        headers={"mcp-name": header},
        **case,
    )


METADATA = [
    Case("no _meta", 400, -32602, without_meta=("_meta",), says=CAPABILITIES, over_stdio="served"),
    Case("no client capabilities", 400, -32602, without_meta=(CAPABILITIES,), says=CAPABILITIES),
    *(
        Case(f"{given!r} as client capabilities", 400, -32602, says=CAPABILITIES,
             params={"_meta": {CAPABILITIES: given}})
        for given in NO_OBJECTS
    ),
    Case("no client info is served", 200),
    Case("header and body differ", 400, -32020, headers={"mcp-protocol-version": "2025-11-25"}),
    Case("a proxy dropped the header", 400, -32020, headers={"mcp-protocol-version": None}),
    Case(
        "an unknown version in header and body",
        400,
        -32022,
        headers={"mcp-protocol-version": "2099-01-01"},
        params={"_meta": {VERSION: "2099-01-01"}},
        data={"supported": [MODERN], "requested": "2099-01-01"},
    ),
    Case("a version that is no string", 400, -32020, params={"_meta": {VERSION: 7}}),
    Case("an unknown version header alone", 400, -32600, "1999-01-01", says="2025-11-25",
         over_stdio="not possible"),
    Case("no version at all is served", 200, version=None),
]  # fmt: skip

ROUTING = [
    Case("no Mcp-Method", 400, -32020, headers={"mcp-method": None}),
    Case("another Mcp-Method", 400, -32020, headers={"mcp-method": "tools/call"}),
    Case("Mcp-Method in another case", 400, -32020, headers={"mcp-method": "Tools/List"}),
    named("no Mcp-Name", None),
    named("another Mcp-Name", "sub"),
    named("Mcp-Name in sloppy base64", "=?base64?ZWNobx==?="),
    named("Mcp-Name in base64 is served", "=?base64?ZWNobw==?=", 200),
    named("Mcp-Name twice", "echo", 400, more=[("mcp-name", "echo")]),
    Case("Mcp-Method twice", 400, -32020, more=[("mcp-method", "tools/list")]),
    Case("the version header twice", 400, -32020, more=[("mcp-protocol-version", MODERN)]),
    Case(
        "routing headers mean nothing to a handshake client",
        200,
        version=OLD,
        headers={"mcp-method": "nonsense", "mcp-name": "nonsense"},
    ),
]

METHODS = [
    *both("an unknown method", 404, 200, -32601, name="tools/destroy"),
    *both("a method that is not served", 404, 200, -32601, name="roots/list"),
    *(
        Case(f"{name} is gone", 404, -32601, name=name)
        for name in ("ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
    ),
    Case("initialize is gone", 404, -32601, name="initialize", data={"supported": [MODERN]},
         over_stdio="not possible"),
    *(
        Case(f"{name} is not there yet", 200, -32601, OLD, name=name, over_stdio="not possible")
        for name in ("server/discover", "subscriptions/listen")
    ),
    *(
        Case(
            f"initialize for {asked} is answered with {answered}",
            200,
            version=None,
            name="initialize",
            params={**CLIENT, "protocolVersion": asked},
            result={"protocolVersion": answered},
        )
        for asked, answered in ((OLD, OLD), (MODERN, "2025-11-25"), ("2099-01-01", "2025-11-25"))
    ),
    Case("initialize without a version", 200, -32602, None, name="initialize", params=CLIENT),
    *(
        Case(
            f"{level!r} as a log level",
            200,
            -32602,
            OLD,
            name="logging/setLevel",
            params={"level": level},
            says="emergency",
        )
        for level in (None, 3, ["info"], {"info": True})
    ),
]  # fmt: skip

TOOLS = [
    *both("an unknown tool", 400, 200, -32602, name="tools/call", params={"name": "ad"},
          says="Unknown tool: ad", data={"nearest": ["add"]}),
    *both("a tool without name", 400, 200, -32602, name="tools/call"),
    *both("arguments that are no object", 400, 200, -32602, name="tools/call",
          params={"name": "add", "arguments": [1, 2]}),
    *both("no arguments where none are needed are served", 200, 200, name="tools/call",
          params={"name": "echo", "arguments": None},
          result={"content": [{"type": "text", "text": "null"}]}),
    *both("arguments that do not fit", 200, 200, name="tools/call", params={"name": "add"},
          result={"isError": True}),
    *both("a made-up cursor", 400, 200, -32602, params={"cursor": "made-up"}),
    *both("a cursor that is no string", 400, 200, -32602, params={"cursor": 5}),
    *both("a defect of the gateway", 200, 200, -32603, name="tools/call", params={"name": "echo"},
          is_broken=True, says="Internal error"),
]  # fmt: skip

MESSAGES = [
    *both("not JSON", 400, 400, -32700, body=b"{", id=None),
    *both("an empty body", 400, 400, -32700, body=b"", id=None, over_stdio="no answer"),
    *both("too deep", 400, 400, -32700, body=b"[" * 5000, id=None),
    *both("a huge integer", 400, 400, -32700, body=b"9" * 5000, id=None),
    *both("an integer beyond 64 bits", 400, 400, -32700, id=None, says="send it as text",
          name="tools/call", params={"name": "echo", "arguments": {"value": 2**64}},
          over_stdio="not possible"),
    *both("a batch", 400, 400, -32600, body=b"[]", id=None),
    *both("a batch of good requests", 400, 400, -32600, id=None,
          body=b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'),
    *both("a number", 400, 400, -32600, body=b"5", id=None),
    *both("a null id", 400, 400, -32600, change={"id": None}, id=None),
    *both("a fractional id", 400, 400, -32600, change={"id": 1.5}, id=None),
    *both("a boolean id", 400, 400, -32600, change={"id": True}, id=None),
    *both("params that are no object", 400, 400, -32600, change={"params": [1]}),
    *both("another JSON-RPC", 400, 400, -32600, change={"jsonrpc": "1.0"}),
    *both("no method", 400, 400, -32600, change={"method": None}),
    *both("a response", 400, 400, -32600, body=b'{"jsonrpc":"2.0","id":1,"result":{}}',
          over_stdio="no answer"),
    *both("a notification", 202, 202, name="notifications/initialized", change={"id": ...},
          has_answer=False),
    Case("a notification in an unknown version", 400, -32600, "1999-01-01", change={"id": ...},
         name="notifications/initialized", id=None, over_stdio="not possible"),
]  # fmt: skip

HTTP = [
    *(
        Case(f"{method} is not possible", 405, -32600, http_method=method, body=b"", id=None,
             allow="POST", version=version)
        for method in ("GET", "DELETE", "PUT", "PATCH")
        for version in (MODERN, OLD)
    ),
    *both("no content type", 415, 415, -32600, headers={"content-type": None}, id=None),
    *both("another content type", 415, 415, -32600, id=None,
          headers={"content-type": "text/plain"}),
    *both("a content type with parameters is served", 200, 200,
          headers={"content-type": "Application/JSON; charset=utf-8"}),
    *both("no Accept is served", 200, 200, headers={"accept": None}),
    *both("another Accept", 406, 406, -32600, headers={"accept": "text/html"}, id=None),
    *both("a foreign host", 421, 421, -32600, headers={"host": "evil.example"}, id=None),
    *both("a foreign origin", 403, 403, -32600, id=None,
          headers={"origin": "https://evil.example"}),
    *both("an opaque origin", 403, 403, -32600, headers={"origin": "null"}, id=None),
    *both("a local origin is served", 200, 200, headers={"origin": "http://localhost:6274"}),
    *both("a body above the limit", 413, 413, -32600, body=b" " * 70_000, id=None,
          over_stdio="not possible"),
    *both("a body that is said to be above the limit", 413, 413, -32600, body=b"", id=None,
          headers={"content-length": "70000"}),
    *both("an unknown session is ignored", 200, 200, headers={"mcp-session-id": "unknown"}),
    *both("a bad token", 401, 401, -32600, headers={"authorization": "Bearer wrong"}),
    *both("a bad API key", 401, 401, -32600, headers={"x-api-key": "wrong"}),
    *both("another scheme", 401, 401, -32600, headers={"authorization": "Basic YTpi"}),
    *both("two credentials", 400, 400, -32020, more=[("authorization", "Bearer good")] * 2),
    *both("two API keys", 400, 400, -32020, more=[("x-api-key", "good")] * 2),
]  # fmt: skip

CASES: Final = (*METADATA, *ROUTING, *METHODS, *TOOLS, *MESSAGES, *HTTP)
MAX_BODY_BYTES: Final = 65_536
"""Of the door that these are sent to."""
