"""A gateway as its HTTP door shows it, for the commands that use one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

TIMEOUT_SECONDS: Final = 30.0
"""Longest silence; a call that takes longer than that is a stream or too much for a terminal."""


class Failed(Exception):
    """The request did not succeed; the text is one line for the user."""

    def __init__(self, text: str, *, may_be_mended: bool = False) -> None:
        """``may_be_mended``: the same request with other content may succeed."""
        super().__init__(text)
        self.may_be_mended = may_be_mended


Listener = Callable[[str, Any], None]
"""Takes the name and the data of an event other than an item."""


def _nobody(_name: str, _data: Any) -> None:
    pass


class Client:
    """One gateway, with the token of its user."""

    def __init__(self, server: str, token: str | None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=server.rstrip("/"), headers=headers, timeout=TIMEOUT_SECONDS
        )
        self._server = server

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, *path: str) -> Any:
        """The JSON at a path. Raises Failed."""
        return next(self.request("GET", path))

    def manage(self, workspace: str, function: str, arguments: Mapping[str, Any]) -> Any:
        """What a function of the workspace manager returns. Raises Failed."""
        path = (workspace, "services", "ws", function)
        return next(self.request("POST", path, json_body=arguments))

    def send(self, path: tuple[str, ...], content: Any) -> None:
        """Post something whose answer says no more than that it was taken. Raises Failed."""
        for _ in self.request("POST", path, json_body=content):
            pass

    def request(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        json_body: Any = None,
        wait_seconds: float | None = TIMEOUT_SECONDS,
        listener: Listener = _nobody,
    ) -> Iterator[Any]:
        """The value of an answer, or the items of a stream as they come. Raises Failed, and what
        ``listener`` raises."""
        url = "/" + "/".join(quote(part, safe=":@*.") for part in path)
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=wait_seconds)
        body: Mapping[str, Any] = {} if method == "GET" else {"json": json_body}
        try:
            with self._http.stream(
                method, url, headers={"accept": _ACCEPT}, timeout=timeout, **body
            ) as answer:
                if answer.status_code >= 300:
                    answer.read()
                    raise Failed(_reason(answer), may_be_mended=answer.status_code == 400)
                if answer.headers.get("content-type", "").startswith("text/event-stream"):
                    yield from _events(answer, listener)
                else:
                    answer.read()
                    yield _json(answer) if answer.content else None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed(f"{self._server}: {error}") from None


_ACCEPT: Final = "application/json, text/event-stream;q=0.9"
_EVENT, _DATA, _DONE = "event:", "data:", "[DONE]"


def _events(answer: httpx.Response, listener: Listener) -> Iterator[Any]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith(_EVENT):
            name = line[len(_EVENT) :].strip()
        data = line[len(_DATA) :].strip() if line.startswith(_DATA) else ""
        if data == _DONE:
            return
        if data and name:
            listener(name, json.loads(data))
            name = ""
        elif data:
            item = json.loads(data)
            if isinstance(item, dict) and item.keys() == {"error", "code", "type"}:
                raise Failed(str(item["error"]))
            yield item
    raise Failed("The stream broke off before its end")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise Failed(f"{answer.url} has not answered with JSON; is it a Polyport server?") from None


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    return " ".join(str(detail).split()) + f" (HTTP {answer.status_code})"
