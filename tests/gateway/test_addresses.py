"""Where a server that somebody else named may be: at addresses of the internet at large."""

from __future__ import annotations

import pytest

from gateway.addresses import is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::", False),
        ("2001:0:50ba:7765:a2fd:db3c:44bb:b790", False),  # Teredo
        ("4000::1", False),
        ("no address", False),
        ("nonsense", False),
    ],
)
def test_private_addresses_are_known_in_every_spelling(address: str, public: bool) -> None:
    assert is_public(address) is public
