"""Finding tools by words: BM25 over names, descriptions and names of arguments. Pure.

Source of the weighting: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and
Beyond (2009), with the usual constants. Weights are worked out once, so a search adds numbers up.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final

from mcp_bridge.tools import Tool

K1: Final = 1.2
B: Final = 0.75
_NAME_WEIGHT: Final = 3
_MAX_TEXT: Final = 1_000
_MAX_WORDS: Final = 16
"""Words of a query that count."""

_WORD: Final = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|[0-9]+")
_UNSPACED: Final = "\u2e80"
"""From here on are scripts without spaces (Chinese, Japanese …): two characters are a word."""


class ToolSearch:
    """An index of tools, in the order they are given in."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._names = list(tools)
        documents = [_document(tool) for tool in tools.values()]
        lengths = [sum(document.values()) for document in documents]
        average = sum(lengths) / len(lengths) if lengths else 1.0
        containing = Counter(word for document in documents for word in document)
        count = len(documents)
        self._found: dict[str, list[tuple[int, float]]] = {}
        for index, document in enumerate(documents):
            norm = K1 * (1 - B + B * lengths[index] / average)
            for word, times in document.items():
                rarity = math.log(1 + (count - containing[word] + 0.5) / (containing[word] + 0.5))
                weight = rarity * times * (K1 + 1) / (times + norm)
                self._found.setdefault(word, []).append((index, weight))

    def find(self, query: str, limit: int) -> Sequence[str]:
        """Names of the best tools for a query, best first; equally good ones in their order."""
        words = dict.fromkeys(_words(query[:_MAX_TEXT]))
        known = [self._found[word] for word in words if word in self._found][:_MAX_WORDS]
        # A word that most tools have tells little and takes long, unless there is no other.
        telling = [found for found in known if 2 * len(found) <= len(self._names)] or known
        scores: dict[int, float] = {}
        for found in telling:
            for index, weight in found:
                scores[index] = scores.get(index, 0.0) + weight
        best = nsmallest(limit, scores.items(), key=lambda item: (-item[1], item[0]))
        return [self._names[index] for index, _ in best]


def _document(tool: Tool) -> Counter[str]:
    """The words of a tool, with how often they count."""
    words: Counter[str] = Counter()
    for word in _words(f"{tool.name} {tool.definition.get('title', '')}"[:_MAX_TEXT]):
        words[word] += _NAME_WEIGHT
    words.update(_words(str(tool.definition.get("description", ""))[:_MAX_TEXT]))
    properties: Mapping[str, Any] = tool.definition["inputSchema"].get("properties", {})
    words.update(_words(" ".join(properties)[:_MAX_TEXT]))
    return words


def _words(text: str) -> Iterator[str]:
    """Words as they are compared: parts of compound names, small, without the plural's s."""
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word[0] >= _UNSPACED:
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif len(word) > 4 and word.endswith("ies"):
            yield f"{word[:-3]}y"
        else:
            yield word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word
