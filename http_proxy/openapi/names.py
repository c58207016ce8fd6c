"""Names that are unique in a document, for generators that make identifiers of them. Pure."""

from __future__ import annotations

import keyword
import re

_NO_LETTERS = re.compile(r"[^A-Za-z0-9]+")


class Names:
    """Hands out identifiers. Two of them differ in more than case and underscores: generators
    turn ``addItem`` and ``add_item`` into one name."""

    def __init__(self, *reserved: str) -> None:
        self._taken = {_folded(name) for name in reserved}

    def take(self, wanted: str) -> str:
        """The identifier nearest to what is wanted."""
        name = _NO_LETTERS.sub("_", wanted).strip("_") or "function"
        if name[0].isdigit() or keyword.iskeyword(name):
            name = f"f_{name}"
        unique, number = name, 1
        while _folded(unique) in self._taken:
            number += 1
            unique = f"{name}_{number}"
        self._taken.add(_folded(unique))
        return unique


def pascal_case(text: str) -> str:
    """``text.count_words`` as ``TextCountWords``, which is how generators name types."""
    return "".join(part[:1].upper() + part[1:] for part in _NO_LETTERS.split(text))


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
