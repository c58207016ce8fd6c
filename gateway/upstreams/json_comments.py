"""JSON with comments and trailing commas, as editors let people write it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a text, in which nothing is a comment
    r"|//[^\n]*|/\*.*?\*/"
    r"|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])",
    re.S,
)


def loads(text: str) -> Any:
    """Read it. Raises ValueError, for the text as it was if it is no better without comments."""
    try:
        return json.loads(text)
    except ValueError as error:
        plain = _TOKEN.sub(lambda found: _kept(found[0]), text)
        try:
            return json.loads(plain)
        except ValueError:
            raise error from None


def _kept(token: str) -> str:
    return token if token.startswith('"') else " "
