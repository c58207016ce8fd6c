"""What a request carries beside its own parameters (revision 2026-07-28, per-request metadata).

Of the caller it says what they can be asked and want to hear of: a server sees the capabilities of
whoever makes the call, and not those of the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import mcp_types as types
from mcp.shared.inbound import encode_header_value, mcp_param_headers

from gateway import __version__
from gateway.upstreams.mcp_client.patience import Patience

LOG_LEVEL: Final = "info"
"""What servers are asked to tell; the door passes on what its client wants of it."""

_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_CAPABILITIES: Final[Mapping[str, Any]] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}},
    "roots": {},
}


class Envelope:
    """For the requests of one connection. ``version`` is None for a server of the older era, which
    has heard all that in the handshake."""

    CLIENT: ClassVar = types.Implementation(name="polyport", version=__version__)

    def __init__(self, version: str | None) -> None:
        self._version = version
        self._client = self.CLIENT.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.mirrored: Mapping[str, Mapping[tuple[str, ...], str]] = {}
        """Arguments that are also sent as headers, by tool (its ``x-mcp-header``)."""

    def around(
        self, method: str, params: Mapping[str, Any], patience: Patience
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """The parameters with their metadata, and headers for HTTP."""
        if self._version is None:
            return params, {}
        meta: dict[str, Any] = {
            **params.get("_meta", {}),
            types.PROTOCOL_VERSION_META_KEY: self._version,
            types.CLIENT_INFO_META_KEY: self._client,
            types.CLIENT_CAPABILITIES_META_KEY: {
                name: form for name, form in _CAPABILITIES.items() if name in patience.capabilities
            },
        }
        if patience.is_anybody:
            meta[types.LOG_LEVEL_META_KEY] = LOG_LEVEL
        headers = {"Mcp-Method": method}
        named_by = _NAMED_BY.get(method)
        if named_by is not None:
            headers["Mcp-Name"] = encode_header_value(str(params[named_by]))
        if method == "tools/call" and (mirrored := self.mirrored.get(params["name"])):
            headers |= mcp_param_headers(dict(mirrored), params.get("arguments") or {})
        return {**params, "_meta": meta}, headers
