"""How an endpoint says that a token is not enough."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MORE: Final = re.compile(r'error="?insufficient_scope\b')


@dataclass(frozen=True, slots=True)
class Refused:
    """A response with the status 401 or 403."""

    status: int = 401
    challenge: str | None = None
    """``WWW-Authenticate`` (RFC 6750 section 3)."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str]) -> Refused:
        return cls(status, headers.get("www-authenticate"))

    @property
    def wants_more(self) -> bool:
        """Whether the token is good, but not for this."""
        return self.status == 403 and _MORE.search(self.challenge or "") is not None

    @property
    def can_be_mended(self) -> bool:
        """Whether another token may do: a server that takes some says so."""
        is_for_tokens = "bearer" in (self.challenge or "").lower()
        return self.wants_more or (self.status == 401 and is_for_tokens)
