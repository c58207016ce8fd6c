"""Which MCP SDK the client for MCP servers takes."""

from __future__ import annotations

import pytest

from gateway.upstreams.loading import check_sdk
from schema.errors import Unavailable


@pytest.mark.parametrize("installed", ["2.3.0", "2.10.1", "3.0.0", "2.4.0rc1"])
def test_a_version_for_both_eras_will_do(installed: str) -> None:
    check_sdk(installed)


@pytest.mark.parametrize("installed", ["1.30.0", "2.2.9", "2.0.0b1"])
def test_an_older_one_is_named_with_what_is_needed(installed: str) -> None:
    with pytest.raises(Unavailable, match=f"need mcp 2.3 or newer, and {installed} is installed"):
        check_sdk(installed)
