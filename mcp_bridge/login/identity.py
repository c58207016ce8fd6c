"""Which OAuth client a program is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """Without ``client_id`` the program registers itself (RFC 7591), with each login anew: its
    redirect URI has another port then, and not every server lets a port pass that it was not told.
    """

    client_id: str | None = None
    """As registered by hand, or the https URL of its metadata (OAuth Client ID Metadata Document).
    """
    secret: str | None = field(default=None, repr=False)
    port: int = 0
    """Of the redirect URI, for servers that want to know it before; 0 is any that is free."""

    @property
    def published(self) -> str | None:
        """The address of its metadata."""
        is_address = (self.client_id or "").startswith("https://")
        return self.client_id if is_address else None

    @property
    def is_registered(self) -> bool:
        """Whether somebody has registered it by hand."""
        return self.client_id is not None and self.published is None
