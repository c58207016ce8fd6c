"""An assembled gateway without sockets, and clients that join it."""

from __future__ import annotations

import pytest

from gateway.app import Parts, build
from gateway.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(ephemeral=True, port=9527)


@pytest.fixture
def parts(settings: Settings) -> Parts:
    return build(settings)[0]
