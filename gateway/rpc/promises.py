"""How a call says where its outcome goes, and how arguments travel. Pure.

Both forms of a promise occur on every connection: ``"*"``, which stands for ``resolve``, ``reject``
and ``heartbeat`` of the caller's session, and a map that names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.wire.codec import Identity
from schema.errors import InvalidMessage


@dataclass(slots=True)
class Reply:
    """Where the outcome of a call goes. Only method names come from the caller; the address never
    does, it is always the sender's own."""

    session: str | None = None
    resolve: str | None = None
    reject: str | None = None
    heartbeat: str | None = None
    interval: float | None = None

    @classmethod
    def of(cls, header: Mapping[str, Any], content: Mapping[str, Any] | None) -> Reply:
        session = header.get("session")
        if session is None:
            return cls()
        promise = content.get("promise", "*") if content is not None else "*"
        if isinstance(promise, Mapping):
            return cls(
                session,
                _method_of(promise.get("resolve")),
                _method_of(promise.get("reject")),
                _method_of(promise.get("heartbeat")),
                _seconds(promise.get("interval")),
            )
        return cls(
            session,
            f"{session}.resolve",
            f"{session}.reject",
            f"{session}.heartbeat",
            _seconds((content or {}).get("t")),
        )


def _method_of(callback: object) -> str | None:
    method = callback.get("_rmethod") if isinstance(callback, Mapping) else None
    return method if isinstance(method, str) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, (int, float)) and 0 < value < float("inf"):
        return max(0.1, float(value))
    return None


def read_arguments(content: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments; with ``with_kwargs`` the last positional is the latter."""
    args = content.get("args")
    if args is None:
        args = []
    if not isinstance(args, list):
        raise InvalidMessage("The key 'args' must be a list")
    if content.get("with_kwargs"):
        if not args or not isinstance(args[-1], dict):
            raise InvalidMessage("With 'with_kwargs' the last argument must be a map")
        kwargs = dict(args[-1])
        return args[:-1], kwargs
    return args, {}


def bare_promise(identity: Identity, session: str) -> dict[str, Any]:
    """Where to send the outcome, written out, because the short form asks for heartbeats."""
    return {
        "promise": {
            action: {
                "_rtype": "method",
                "_rtarget": identity.address,
                "_rmethod": f"{session}.{action}",
            }
            for action in ("resolve", "reject")
        }
    }


def answered_promise(identity: Identity, session: str, interval: float) -> dict[str, Any]:
    """As ``"*"``, but heartbeats want an answer. A Python client cancels its function when one is
    refused, which is the only way to end it from here."""
    promise = bare_promise(identity, session)
    promise["promise"]["heartbeat"] = {
        "_rtype": "method",
        "_rtarget": identity.address,
        "_rmethod": f"{session}.heartbeat",
        "_rpromise": "*",
    }
    promise["promise"]["interval"] = interval
    return promise


def call_content(
    args: Sequence[Any], kwargs: Mapping[str, Any] | None, promise: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a call."""
    content: dict[str, Any] = dict(promise)
    if kwargs:
        content["args"] = [*args, kwargs]
        content["with_kwargs"] = True
    elif args:
        content["args"] = list(args)
    return content
