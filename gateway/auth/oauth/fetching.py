"""Fetch a small public document whose address a stranger chose.

Only https, only addresses of the public internet unless the operator says otherwise, no redirects,
few bytes, little time. The name is resolved once and the connection goes to the address that was
checked, so that a name which changes its address in between leads nowhere (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.addresses import NotPublic, public_address

MAX_BYTES: Final = 32 * 1024
SECONDS: Final = 5.0


class CannotFetch(Exception):
    """The document cannot be had; the text is for the developer of the client."""


@dataclass(frozen=True, slots=True)
class Document:
    """A fetched JSON object, and for how many seconds its server says that it holds."""

    content: dict[str, Any]
    max_age: float | None = None


async def fetch_document(url: str, *, may_be_private: bool = False) -> Document:
    """The JSON object at a public https address. Certificates are checked against the usual
    authorities, or those of ``SSL_CERT_FILE``. Raises CannotFetch."""
    # Only servers whose clients come with such addresses wait for this import.
    import httpx  # noqa: PLC0415

    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        async with asyncio.timeout(SECONDS):
            address = host if may_be_private else await _address(host, parts.port or 443)
            literal = f"[{address}]" if ":" in address else address
            target = parts._replace(netloc=f"{literal}:{parts.port or 443}").geturl()
            request_headers = {"host": parts.netloc, "accept": "application/json"}
            async with (
                httpx.AsyncClient(
                    timeout=SECONDS, verify=httpx.create_ssl_context(), trust_env=False
                ) as client,
                client.stream(
                    "GET", target, headers=request_headers, extensions={"sni_hostname": host}
                ) as response,
            ):
                if response.status_code != 200:
                    raise CannotFetch(f"The address answers with status {response.status_code}")
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise CannotFetch(f"The document has more than {MAX_BYTES} bytes")
                return Document(_object(body), _max_age(response.headers.get("cache-control", "")))
    except TimeoutError:
        raise CannotFetch("The address does not answer in time") from None
    except httpx.HTTPError as error:
        raise CannotFetch(f"The address cannot be reached ({type(error).__name__})") from None


async def _address(host: str, port: int) -> str:
    try:
        return await public_address(host, port)
    except OSError:
        raise CannotFetch("The host name cannot be resolved") from None
    except NotPublic:
        raise CannotFetch("The address is not on the public internet") from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise CannotFetch("The document is not JSON") from None
    if not isinstance(content, dict):
        raise CannotFetch("The document is not a JSON object")
    return content


def _max_age(cache_control: str) -> float | None:
    for part in cache_control.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name in ("no-store", "no-cache"):
            return 0.0
        if name == "max-age" and value.isdigit() and len(value) < 10:
            return float(value)
    return None
