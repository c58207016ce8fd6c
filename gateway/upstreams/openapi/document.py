"""An OpenAPI document: read, checked, and asked for what a reference means. Pure.

References inside the document are followed; others never are, since that would have the gateway
fetch what somebody else names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from gateway.upstreams.openapi.swagger import upgraded
from gateway.upstreams.readable import unbroken
from schema.errors import InvalidRequest

MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_HOPS: Final = 16


class BadDocument(InvalidRequest):
    """The document cannot be used; the text says why."""


class Document:
    """A document of version 3.0 or 3.1, or of Swagger 2.0, which is read as 3.0."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Raises BadDocument."""
        if content.get("swagger") == "2.0":
            content = upgraded(content)
        version = content.get("openapi")
        if not isinstance(version, str) or not version.startswith("3."):
            found = f"Swagger {content['swagger']}" if "swagger" in content else f"{version!r}"
            raise BadDocument(f"The document must be OpenAPI 3 or Swagger 2.0, not {found[:40]}")
        self.content = content
        self.has_old_schemas = version.startswith("3.0")
        """Its schemas are of the dialect of 3.0, in which null is no type."""

    @classmethod
    def parse(cls, text: str) -> Document:
        """Read JSON or YAML. Raises BadDocument."""
        try:
            content = json.loads(text)
        except ValueError:
            content = _yaml(text)
        except RecursionError:
            raise BadDocument("The document is nested too deeply") from None
        if not isinstance(content, dict):
            raise BadDocument("The document is not an OpenAPI document")
        return cls(content)

    @property
    def title(self) -> str:
        return _text(self._info.get("title"))

    @property
    def description(self) -> str:
        return _text(self._info.get("summary")) or _text(self._info.get("description"))

    @property
    def _info(self) -> Mapping[str, Any]:
        info = self.content.get("info")
        return info if isinstance(info, dict) else {}

    def resolve(self, node: Any) -> Any:
        """The node itself, or what it refers to. Raises BadDocument for a reference that leads out
        of the document, nowhere or in a circle."""
        for _ in range(_MAX_HOPS):
            if not isinstance(node, Mapping) or not isinstance(node.get("$ref"), str):
                return node
            node = self.at(node["$ref"])
        raise BadDocument("A reference in the document leads in a circle")

    def at(self, reference: str) -> Any:
        """What is at ``#/a/b`` (RFC 6901). Raises BadDocument."""
        if not reference.startswith("#/"):
            raise BadDocument(
                f"The document refers to {reference[:100]!r}; references that lead out of it are "
                "not followed: bundle it into one document"
            )
        node: Any = self.content
        for part in unquote(reference[2:]).split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, Mapping) and key in node:
                node = node[key]
            else:
                raise BadDocument(f"The document has nothing at {reference[:100]!r}")
        return node

    def server_url(self, source: str) -> str | None:
        """Where the document says the API is, if it says so; ``source`` is where it was found."""
        servers = self.content.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        url = first.get("url", "/") if isinstance(first, Mapping) else "/"
        variables = first.get("variables") if isinstance(first, Mapping) else None
        for name, variable in (variables if isinstance(variables, Mapping) else {}).items():
            default = variable.get("default", "") if isinstance(variable, Mapping) else ""
            url = str(url).replace(f"{{{name}}}", str(default))
        absolute = urljoin(source, str(url)) if "://" in source else str(url)
        return absolute if "://" in absolute else None


def base_url(document: Document, source: str, configured: str | None) -> str:
    """Where the API is. A document that was fetched decides that only for the host it came from:
    credentials must not go where somebody else says (CWE-918).

    Raises BadDocument.
    """
    url = configured or document.server_url(source)
    if url is None:
        raise BadDocument("The document does not say where the API is: give it a 'baseUrl'")
    if configured is None and "://" in source and origin(url) != origin(source):
        raise BadDocument(
            f"The document says that the API is at {origin(url)}, and not where it comes from "
            "itself: confirm that with a 'baseUrl'"
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadDocument("The URL of the API must be http or https")
    return url.rstrip("/")


def origin(url: str) -> str:
    """Scheme, host and port (RFC 6454)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        raise BadDocument(f"{url[:100]!r} is no URL") from None
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - most documents are JSON

    try:
        return yaml.load(text, Loader=_loader(yaml))  # noqa: S506 - derived from the safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadDocument("The document is neither JSON nor YAML") from None


def _loader(yaml: Any) -> Any:
    """Without aliases, with which a small text means a gigantic one, and without dates, which JSON
    does not know."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("aliases are not allowed")
            return super().compose_node(parent, index)

    Loader.add_constructor(
        "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
    )
    return Loader


def _text(value: object) -> str:
    return unbroken(value.strip()) if isinstance(value, str) else ""
