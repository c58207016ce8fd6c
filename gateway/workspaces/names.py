"""Names that people can read aloud, for anonymous users and minted tokens."""

from __future__ import annotations

import secrets
from typing import Final

_ADJECTIVES: Final = (
    "amber", "brave", "bright", "calm", "clever", "cosmic", "crisp", "daring", "eager", "early",
    "fancy", "gentle", "golden", "happy", "honest", "humble", "jolly", "keen", "kind", "lively",
    "lucky", "mellow", "merry", "mighty", "misty", "noble", "patient", "proud", "quick", "quiet",
    "rapid", "royal", "rustic", "shiny", "silent", "silver", "smooth", "snowy", "solid", "spry",
    "steady", "stormy", "sunny", "swift", "tidy", "vivid", "warm", "wild", "wise", "witty",
)  # fmt: skip
_NOUNS: Final = (
    "anchor", "badger", "beacon", "birch", "bridge", "brook", "canyon", "cedar", "comet", "coral",
    "crane", "delta", "dune", "eagle", "ember", "falcon", "fern", "fjord", "forest", "fox",
    "garden", "glacier", "harbor", "heron", "island", "juniper", "lagoon", "lantern", "lynx",
    "maple", "meadow", "meteor", "moose", "oak", "orchid", "otter", "owl", "panda", "pebble",
    "pine", "planet", "prairie", "quartz", "raven", "reef", "river", "sparrow", "spruce",
    "tundra", "willow",
)  # fmt: skip


def readable_name() -> str:
    """Such as ``sunny-otter-48210375``. Unique by its number, not a secret."""
    number = secrets.randbelow(90_000_000) + 10_000_000
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{number}"
