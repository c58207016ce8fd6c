"""Query strings and bodies → the arguments of a call. Pure.

The rules for query values are the HTTP contract: scripts rely on which texts become numbers and
which stay texts. Whoever needs the text ``"33"`` sends a body.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from http_proxy.encoding import from_json, from_msgpack
from http_proxy.negotiation import Media
from schema.errors import InvalidArguments, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from schema.functions import FunctionInfo
from schema.integers import fits

MODE = "_mode"
TIMEOUT = "_timeout"
NEVER_PASSED_ON = frozenset({MODE, TIMEOUT})
RESERVED = frozenset({"workspace", "service_id", "function_key"}) | NEVER_PASSED_ON
"""Names that reach a function over HTTP only if it declares them, and those with an underscore
never: they were parameters of the path and of the call first."""

_PARSERS = {Media.JSON: from_json, Media.MSGPACK: from_msgpack}
_FLOAT_CHARACTERS = frozenset("0123456789.eE+-")


class Arguments(NamedTuple):
    """What a function is called with."""

    positional: Sequence[Any] = ()
    named: Mapping[str, Any] = {}


def parse_query(query_string: bytes) -> dict[str, str]:
    """The parameters of a URL as texts; of a repeated one the last counts."""
    if not query_string:
        return {}
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))


def from_query(parameters: Mapping[str, str], function: FunctionInfo | None = None) -> Arguments:
    """Keyword arguments for a function from a URL. Raises InvalidRequest for a value that cannot
    be read."""
    given = for_function(parameters, function)
    return Arguments(named={name: read_value(name, text) for name, text in given.items()})


def read_value(name: str, text: str) -> Any:
    """The value that a text in a URL stands for.

    Digits are an integer and Python's decimal floats a float, either with a sign; a text that
    starts with a brace is JSON; everything else, also ``true``, ``null`` and ``nan``, is the text.
    Raises InvalidRequest for broken JSON, characters such as ½ that are numeric but no digit, and
    InvalidArguments for an integer beyond 64 bits.
    """
    if text.startswith("{"):
        try:
            return from_json(text.encode())
        except InvalidRequest as error:
            raise InvalidRequest(f"Invalid query parameter {name!r}: {error.message}") from None
    digits = text[1:] if text.startswith(("-", "+")) else text
    if digits.isnumeric():
        return _integer(name, text)
    if _FLOAT_CHARACTERS.issuperset(text):
        try:
            number = float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text


def _integer(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise InvalidRequest(
            f"Invalid query parameter {name!r}: {text[:40]!r} is not a number"
        ) from None
    if not fits(number):  # the RPC wire cannot carry it
        raise InvalidArguments(
            f"Invalid query parameter {name!r}: an integer beyond 64 bits; "
            "send it as text in a JSON body"
        )
    return number


def from_body(body: bytes, media: Media, function: FunctionInfo | None = None) -> Arguments:
    """Arguments for a function from a request body: a map names them, an array lists them, any
    other value is the only one, and an empty body has none.

    Raises InvalidRequest for a malformed body and UnsupportedMediaType.
    """
    if not body:
        return Arguments()
    parse = _PARSERS.get(media)
    if parse is None:
        raise unsupported()
    try:
        value = parse(body)
    except PayloadTooLarge:
        raise
    except InvalidRequest as error:
        raise InvalidRequest(f"Invalid request body: {error.message}") from None
    if isinstance(value, list):
        return Arguments(positional=value)
    if not isinstance(value, dict):
        return Arguments(positional=(value,))
    value = for_function(value, function)
    if media is Media.MSGPACK and not all(isinstance(name, str) for name in value):
        raise InvalidRequest("Invalid request body: the names of arguments must be text")
    return Arguments(named=value)


def with_defaults(arguments: Arguments, function: FunctionInfo | None) -> Arguments:
    """What a function is called with: what is not given by name gets the default of its schema.
    Arguments by position are as they are."""
    if function is None or not function.defaults or arguments.positional:
        return arguments
    missing = {
        name: copy.deepcopy(value)
        for name, value in function.defaults.items()
        if name not in arguments.named
    }
    return Arguments(named={**missing, **arguments.named}) if missing else arguments


def for_function(given: Mapping[str, Any], function: FunctionInfo | None) -> Mapping[str, Any]:
    """What is given without the names that are not for this function."""
    if RESERVED.isdisjoint(given):
        return given
    declared = function.parameter_names if function is not None else []
    return {
        name: value
        for name, value in given.items()
        if name not in RESERVED or (name not in NEVER_PASSED_ON and name in declared)
    }


def unsupported() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "Send arguments as application/json, application/msgpack or a form "
        "(application/x-www-form-urlencoded, multipart/form-data)"
    )
