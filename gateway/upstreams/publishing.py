"""Between upstreams and the registry: offers their functions, but for those that are held back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.registry.directory import Directory
from gateway.registry.hosting import Hosting
from gateway.rpc.hosted import Handler
from gateway.upstreams.entries import Upstream
from schema.functions import FunctionInfo

EXPECT_SECONDS: Final = 15.0
"""How long whoever asks for an upstream that is starting waits for it."""


class Publisher:
    """Offers the functions of upstreams."""

    def __init__(self, hosting: Hosting, directory: Directory, pins: Pins) -> None:
        self._hosting = hosting
        self._directory = directory
        self._pins = pins

    def expect(self, upstream: Upstream) -> None:
        """It is starting: who asks for it may wait a little."""
        sid = self._hosting.id_of(upstream.workspace, upstream.name)
        info = self._hosting.describe(sid, {}, visibility=upstream.visibility)
        self._directory.expect([info], min(EXPECT_SECONDS, upstream.start_seconds))
