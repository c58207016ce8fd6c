"""From a decoded body and its headers to a request of a known revision, or a refusal. Pure.

Both eras share one endpoint. The version in the body decides before the one in the header: a
stateless request whose headers a proxy has dropped must be told so, and not be served as if it
came from an older client. Then the requirements of the era are checked one by one; the first
that fails is the answer. Which methods exist is not decided here.

Sources: JSON-RPC 2.0; revision 2026-07-28, per-request metadata and Streamable HTTP; revision
2025-06-18, protocol version header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_bridge import headers as http
from mcp_bridge.errors import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    UNSUPPORTED_VERSION,
    Failure,
    RequestId,
)
from mcp_bridge.revisions import (
    CLIENT_CAPABILITIES_KEY,
    KNOWN,
    LEGACY,
    MODERN,
    PROTOCOL_VERSION_KEY,
    UNDECLARED,
    Revision,
)
from mcp_bridge.text import cut

if TYPE_CHECKING:
    from mcp_bridge.sessions import Session

NAMED_BY: Final[Mapping[str, str]] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
}
"""The parameter that ``Mcp-Name`` repeats, by method."""

_NOTHING: Final[Mapping[str, Any]] = {}
_NO_MESSAGE: Final = "Not a JSON-RPC 2.0 request or notification"
HeaderMap = Mapping[bytes, bytes]


@dataclass(slots=True)
class Request:
    """A well-formed request."""

    id: str | int
    method: str
    params: Mapping[str, Any]
    meta: Mapping[str, Any]
    revision: Revision
    headers: HeaderMap
    size: int = 0
    """Bytes of the body it came in."""
    session: Session | None = None
    """What it belongs to; None almost always."""
    opens_session: bool = False

    @property
    def progress_token(self) -> str | int | None:
        """The token under which the client wants to hear of progress, if it does."""
        token = self.meta.get("progressToken")
        return token if type(token) is str or type(token) is int else None


@dataclass(slots=True)
class Notification:
    """A well-formed message that wants no answer."""

    method: str
    params: Mapping[str, Any]


@dataclass(slots=True)
class ClientAnswer:
    """A well-formed answer of the client to a request of the server's."""

    message: Mapping[str, Any]


@dataclass(slots=True)
class Rejection:
    """The first check that failed."""

    id: RequestId
    failure: Failure
    is_modern: bool = False


def classify(
    message: Any, headers: HeaderMap, repeated: bytes | None = None, *, size: int = 0
) -> Request | Notification | ClientAnswer | Rejection:
    """Run the checks. ``repeated`` names a header that must be single and was not; ``size`` is
    the length of the body."""
    refused = malformed(message)
    if refused is not None:
        return refused
    if "method" not in message:
        return ClientAnswer(message)
    request_id, method = message.get("id"), message["method"]
    params = message.get("params")
    if params is None:
        params = _NOTHING
    if repeated is not None:
        text = f"{repeated.decode('latin-1')} header appears more than once"
        return Rejection(request_id, Failure(HEADER_MISMATCH, text, status=400))
    if request_id is None:
        return _notification(method, params, headers)
    meta = params.get("_meta")
    request = Request(
        request_id,
        method,
        params,
        meta if isinstance(meta, dict) else _NOTHING,
        UNDECLARED,
        headers,
        size,
    )
    return _in_era(request)


def malformed(message: Any) -> Rejection | None:
    """Why a decoded message is neither a request nor a notification nor an answer (JSON-RPC 2.0,
    sections 4 and 5); None if it is one."""
    if not isinstance(message, dict):
        return _malformed(None, "Send one JSON-RPC message at a time; batches are not supported")
    request_id = message.get("id")
    if type(request_id) is not str and type(request_id) is not int:
        if "id" in message:
            return _malformed(None, "id must be a string or an integer")
        request_id = None
    if message.get("jsonrpc") != "2.0":
        return _malformed(request_id, _NO_MESSAGE)
    method = message.get("method")
    if not isinstance(method, str):
        is_answer = "method" not in message and request_id is not None
        if is_answer and ("result" in message or "error" in message):
            return None
        return _malformed(request_id, _NO_MESSAGE)
    params = message.get("params")
    if params is not None and not isinstance(params, dict):
        return _malformed(request_id, "params must be an object")
    return None


def _in_era(request: Request) -> Request | Rejection:
    """The request with its revision, if it meets the requirements of its era."""
    raw_version = request.headers.get(http.VERSION)
    version = raw_version.decode("latin-1") if raw_version is not None else None
    declares = PROTOCOL_VERSION_KEY in request.meta
    if request.method == "initialize" and (version is None or version in LEGACY):
        declares = False
    if declares or version in MODERN:
        failure = _modern_failure(request, version)
        if failure is not None:
            return Rejection(request.id, failure, is_modern=True)
        request.revision = MODERN[request.meta[PROTOCOL_VERSION_KEY]]
    elif version is not None:
        if version not in LEGACY:
            return Rejection(request.id, _unknown_version(version))
        request.revision = LEGACY[version]
    return request


def _modern_failure(request: Request, version: str | None) -> Failure | None:
    """The first requirement of the stateless revisions that the request does not meet."""
    meta, headers = request.meta, request.headers
    missing = [k for k in (PROTOCOL_VERSION_KEY, CLIENT_CAPABILITIES_KEY) if k not in meta]
    if missing:
        return Failure(INVALID_PARAMS, f"params._meta must have {' and '.join(missing)}")
    if not isinstance(meta[CLIENT_CAPABILITIES_KEY], dict):
        return Failure(INVALID_PARAMS, f"{CLIENT_CAPABILITIES_KEY} must be an object")
    declared = meta[PROTOCOL_VERSION_KEY]
    if version != declared:
        return _mismatch("MCP-Protocol-Version", version, declared)
    method = http.decoded(headers.get(http.METHOD))
    if method != request.method:
        return _mismatch("Mcp-Method", method, request.method)
    named_by = NAMED_BY.get(request.method)
    if named_by is not None and (value := request.params.get(named_by)) is not None:
        name = http.decoded(headers.get(http.NAME))
        if name != value:
            return _mismatch("Mcp-Name", name, value)
    if declared not in MODERN:
        data = {"supported": list(MODERN), "requested": declared}
        return Failure(UNSUPPORTED_VERSION, "Unsupported protocol version", data)
    return None


def _mismatch(header: str, sent: str | None, expected: object) -> Failure:
    if sent is None:
        return Failure(HEADER_MISMATCH, f"{header} header is missing or not readable")
    wanted = cut(repr(expected), 100)
    return Failure(HEADER_MISMATCH, f"{header} header is not what the body says, {wanted}")


def _notification(
    method: str, params: Mapping[str, Any], headers: HeaderMap
) -> Notification | Rejection:
    version = headers.get(http.VERSION, b"").decode("latin-1")
    if version and version not in KNOWN:
        return Rejection(None, _unknown_version(version))
    return Notification(method, params)


def _unknown_version(version: str) -> Failure:
    known = ", ".join(KNOWN)
    return Failure(
        INVALID_REQUEST,
        f"Unsupported protocol version {cut(version, 40)!r}; supported: {known}",
        status=400,
    )


def _malformed(request_id: RequestId, message: str) -> Rejection:
    return Rejection(request_id, Failure(INVALID_REQUEST, message, status=400))
