"""An assembled gateway without sockets, and clients that join it."""

from __future__ import annotations

import hypothesis
import pytest

from gateway.app import Parts, build
from gateway.settings import Settings

hypothesis.settings.register_profile("nightly", max_examples=100_000)


@pytest.fixture
def settings() -> Settings:
    return Settings(ephemeral=True, port=9527)


@pytest.fixture
def parts(settings: Settings) -> Parts:
    return build(settings)[0]
