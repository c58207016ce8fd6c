"""Who may call a single function of a service, as its provider or its workspace's owner says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schema.errors import InvalidRequest
from schema.functions import iter_functions

ACCESS: Final = "access"
"""Key of a service's ``config``, and of a function in its schema, that has the rules."""

KINDS: Final = ("users", "emails", "roles", "keys")
MAX_NAMES: Final = 1000


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """Whoever is named in one of the lists may call; nobody else."""

    users: frozenset[str] = frozenset()
    """Ids of users. A token that somebody minted is a user of its own."""
    emails: frozenset[str] = frozenset()
    """Addresses that the user has been seen to own."""
    roles: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    """Ids of API keys."""

    @classmethod
    def read(cls, declared: object) -> FunctionRule:
        """A rule as people write it, ``{"users": […], "emails": […], "roles": […], "keys": […]}``.

        Raises InvalidRequest: a rule with a mistake must not let anybody in.
        """
        if not isinstance(declared, Mapping) or not set(declared) <= set(KINDS):
            raise InvalidRequest(f"access takes lists by {', '.join(KINDS)}")
        names: dict[str, frozenset[str]] = {}
        for kind, listed in declared.items():
            if not isinstance(listed, (list, tuple)) or len(listed) > MAX_NAMES:
                raise InvalidRequest(f"access.{kind} must be a list of at most {MAX_NAMES}")
            if not all(isinstance(name, str) and name for name in listed):
                raise InvalidRequest(f"access.{kind} must be a list of texts")
            names[kind] = frozenset(name.lower() if kind == "emails" else name for name in listed)
        return cls(**names)

    def to_wire(self) -> dict[str, list[str]]:
        """As it is written, without empty lists."""
        lists = {kind: sorted(getattr(self, kind)) for kind in KINDS}
        return {kind: names for kind, names in lists.items() if names}


@dataclass(frozen=True, slots=True)
class FunctionLimits:
    """Which functions of one service there are for one caller."""

    hidden: frozenset[str] = frozenset()
    """Paths that do not exist, with all below them."""
    only: frozenset[str] | None = None
    """If set, paths that alone exist."""

    def allows(self, path: str) -> bool:
        """Whether the function at a dotted path may be called."""
        if self.only is not None and path not in self.only:
            return False
        return not any(_is_below(path, root) or _is_below(root, path) for root in self.hidden)

    def prune(self, node: Any, *, is_function: Any, prefix: str = "") -> Any:
        """A tree of functions without those that do not exist for the caller."""
        if not isinstance(node, Mapping):
            return node
        return dict(self._kept(node, is_function, prefix))

    def _kept(
        self, node: Mapping[Any, Any], is_function: Any, prefix: str
    ) -> Iterator[tuple[Any, Any]]:
        for key, child in node.items():
            path = f"{prefix}.{key}" if prefix else str(key)
            if is_function(child):
                if self.allows(path):
                    yield key, child
            elif isinstance(child, list):
                kept = self.prune(dict(enumerate(child)), is_function=is_function, prefix=path)
                if len(kept) == len(child):
                    yield key, list(kept.values())
            elif isinstance(child, Mapping):
                yield key, self.prune(child, is_function=is_function, prefix=path)
            else:
                yield key, child


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}.")


def declared_rules(
    config: Mapping[str, Any], service_schema: Mapping[str, Any]
) -> dict[str, FunctionRule]:
    """The rules of a registration by dotted path: from ``config.access`` (path to rule) and from
    ``access`` in a function's schema. Where both are, the config's counts.

    Raises InvalidRequest.
    """
    rules = {
        function.path: FunctionRule.read(function.declared[ACCESS])
        for function in iter_functions(service_schema)
        if ACCESS in function.declared
    }
    declared = config.get(ACCESS)
    if declared is not None:
        if not isinstance(declared, Mapping):
            raise InvalidRequest("config.access must be a map of functions")
        rules |= {str(path): FunctionRule.read(rule) for path, rule in declared.items()}
    return rules


def without_rules(node: Any) -> Any:
    """A service schema without its rules, which are nobody's business."""
    if isinstance(node, Mapping):
        if node.get("type") == "function" and isinstance(node.get("function"), Mapping):
            function = {k: v for k, v in node["function"].items() if k != ACCESS}
            return {**node, "function": function}
        return {key: without_rules(child) for key, child in node.items()}
    return [without_rules(child) for child in node] if isinstance(node, list) else node
