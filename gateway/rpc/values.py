"""Encode and decode the values that the gateway itself sends and receives. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schema.errors import GatewayError, ServiceError
from schema.values import ERROR, METHOD, RTYPE, rtype

_LAST_LINE_TYPE: Final = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?::\s|$)")
_TYPE_NAME_ENDINGS: Final = ("Error", "Exception", "Warning", "Exit", "Interrupt", "Iteration")
_MAX_DEPTH: Final = 64


def encode_error(error: GatewayError) -> dict[str, Any]:
    return {RTYPE: ERROR, "_rvalue": error.wire_text(), "_rtrace": ""}


def decode_error(value: object) -> ServiceError:
    """What a provider rejected a call with, as one line and the name of the exception's class.

    Python clients send either a whole traceback as text, or the message as text and the traceback
    beside it; JavaScript clients send the message alone.
    """
    if rtype(value) != ERROR or not isinstance(value, dict):
        return ServiceError(str(value) if isinstance(value, str) else "The service failed")
    text, trace = _text(value.get("_rvalue")), _text(value.get("_rtrace"))
    if text.startswith("Traceback ("):
        return _from_last_line(text)
    from_trace = _from_last_line(trace)
    remote_type = from_trace.remote_type
    if not remote_type:
        named = _LAST_LINE_TYPE.match(text)
        if named and named[1].endswith(_TYPE_NAME_ENDINGS):
            return _from_last_line(text)
    return ServiceError(text or from_trace.message or remote_type, remote_type=remote_type)


def _from_last_line(text: str) -> ServiceError:
    """The exception line of a traceback is the last one that is not indented."""
    lines = text.rstrip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        found = _LAST_LINE_TYPE.match(lines[index])
        if found and found[1].rpartition(".")[2].endswith(_TYPE_NAME_ENDINGS):
            first = lines[index][found.end() :].strip()
            message = "\n".join([first, *lines[index + 1 :]]).strip()
            return ServiceError(message or found[1], remote_type=found[1].rpartition(".")[2])
    return ServiceError(lines[-1].strip() if lines else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def encode_method(
    target: str, path: str, *, base_url: str, name: str, doc: str, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A function of the gateway, as clients turn it back into a callable."""
    return {
        RTYPE: METHOD,
        "_rserver": base_url,
        "_rtarget": target,
        "_rmethod": path,
        "_rpromise": "*",
        "_rname": name,
        "_rasync": True,
        "_rdoc": doc,
        "_rschema": schema,
    }


TARGET: Final = "_rtarget"
"""Key of an encoded function: the client whose function it is."""


def has_function(value: object) -> bool:
    """Whether an encoded value has a function of some client in it, at any depth."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if TARGET in node:
                return True
            waiting.extend(node.values())
        elif isinstance(node, (list, tuple)):
            waiting.extend(node)
    return False


def make_targets_absolute(value: Any, workspace: str, depth: int = 0) -> Any:
    """Write the workspace into every relative ``_rtarget`` of an encoded value, in place.

    A relative target means "in the workspace of whoever sent me this"; once the gateway passes
    the value on, that would be another one.
    """
    if depth > _MAX_DEPTH:
        return value
    if type(value) is dict:
        target = value.get(TARGET)
        if type(target) is str and "/" not in target:
            value[TARGET] = f"{workspace}/{target}"
        for child in value.values():
            if type(child) is dict or type(child) is list:
                make_targets_absolute(child, workspace, depth + 1)
    elif type(value) is list:
        for child in value:
            if type(child) is dict or type(child) is list:
                make_targets_absolute(child, workspace, depth + 1)
    return value
