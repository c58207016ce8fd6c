"""Token buckets, by hand-moved clocks."""

from __future__ import annotations

import pytest

from gateway.edge import limits
from gateway.edge.limits import Buckets, Rate, RateLimits, network_of
from schema.identity import User, anonymous_http_caller


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_goes_through_and_then_the_rate(clock: Clock) -> None:
    buckets = Buckets(Rate(2, 3), clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("a") == pytest.approx(0.5), "what is refused costs nothing"
    clock.now += 0.5
    assert [buckets.take("a"), buckets.take("b")] == [0, 0]
    assert buckets.take("a") > 0


def test_a_rate_of_nothing_is_no_limit(clock: Clock) -> None:
    buckets = Buckets(Rate(0, 1), clock)
    assert not any(buckets.take("a") for _ in range(1000))
    assert len(buckets) == 0


def test_full_buckets_are_forgotten(clock: Clock) -> None:
    buckets = Buckets(Rate(1, 5), clock)
    for key in range(100):
        buckets.take(str(key))
    clock.now += limits.SWEEP_SECONDS + 1
    buckets.take("last")
    assert len(buckets) == 1


def test_a_flood_of_addresses_does_not_fill_the_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 10)
    buckets = Buckets(Rate(0.001, 5), clock)
    for key in range(100):
        buckets.take(str(key))
    assert len(buckets) <= 10


def test_who_is_accountable_is_counted_and_not_a_token_or_client(clock: Clock) -> None:
    both = RateLimits(Rate(1, 1), Rate(1, 2), clock)
    for user in (User("alice"), User("child-7", parent="alice")):
        assert both.take_for(user, "1.2.3.4") == 0
    assert both.take_for(User("child-8", parent="alice"), "5.6.7.8") > 0
    assert both.take_for(User("bob"), "1.2.3.4") == 0
    assert both.rejected == {"address": 0, "user": 1}


def test_anonymous_users_share_what_their_address_has(clock: Clock) -> None:
    both = RateLimits(Rate(1, 1), Rate(1, 100), clock)
    anonymous = anonymous_http_caller().user
    assert both.take_for(anonymous, "1.2.3.4") == 0
    assert both.take_for(User("anonymouz-2", is_anonymous=True), "1.2.3.4") > 0
    assert both.take_for(anonymous, "1.2.3.5") == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1%eth0", "2001:db8::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("no:address", "no:address"),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
