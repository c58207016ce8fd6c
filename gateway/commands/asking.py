"""What a function tells and asks while it runs, on a terminal: the output of the command stays what
the function returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from gateway.commands.client import Client

_FORM: Final = "elicitation/create"
_JSON_TYPES: Final = frozenset({"integer", "number", "boolean", "array", "object"})


class Listener:
    """Takes the events of a call; ``client`` brings the answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        """Raises Failed for a question that cannot be answered."""
        if name == "progress":
            typer.echo(visible(progress_line(data)), err=True)
        elif name == "log":
            typer.echo(visible(f"{data.get('level')}: {text_of(data.get('data'))}"), err=True)
        elif name == "ask":
            self._answer(data)

    def _answer(self, asked: Mapping[str, Any]) -> None:
        from gateway.commands.client import Failed  # noqa: PLC0415 - loads an HTTP client

        requests: Mapping[str, Any] = asked["requests"]
        for request in requests.values():
            if request["method"] != _FORM:
                raise Failed(f"The function asks for {request['method']}, which a terminal has not")
            if not sys.stdin.isatty():
                message = visible(str(request["params"].get("message", "")))
                raise Failed(f"The function asks, and nobody is at a terminal: {message}")
        path = tuple(urlsplit(asked["url"]).path.strip("/").split("/")[-3:])
        while True:
            answers = {key: filled_in(request["params"]) for key, request in requests.items()}
            try:
                self._client.send(path, answers)
            except Failed as refused:
                if not refused.may_be_mended:
                    raise
                typer.echo(f"Error: {refused}", err=True)
            else:
                return


def progress_line(data: Mapping[str, Any]) -> str:
    """``3/10 words``, as far as it is known."""
    value, total, message = (data.get(key) for key in ("value", "total", "message"))
    number = f"{value}" if total is None else f"{value}/{total}"
    return f"{number} {message}" if message else number


def filled_in(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the user answers to a form; nothing more than Ctrl-D or Ctrl-C cancels it."""
    typer.echo(visible(str(params.get("message", ""))), err=True)
    schema = params.get("requestedSchema") or {}
    needed = schema.get("required") or ()
    content: dict[str, Any] = {}
    try:
        for name, field in (schema.get("properties") or {}).items():
            text = typer.prompt(
                visible(prompt_of(name, field)),
                default="" if name not in needed or "default" in field else None,
                show_default=False,
                err=True,
            )
            if text != "":
                content[name] = value_of(text, field)
            elif "default" in field:
                content[name] = field["default"]
    except typer.Abort:
        return {"action": "cancel"}
    return {"action": "accept", "content": content}


def prompt_of(name: str, field: Mapping[str, Any]) -> str:
    """The name of a field with what may be given: ``seat ("window" | "aisle")``."""
    told = str(field.get("title") or name)
    choices = field.get("enum") or [c["const"] for c in field.get("oneOf") or () if "const" in c]
    if choices:
        told += f" ({' | '.join(map(str, choices))})"
    if "default" in field:
        told += f" [{text_of(field['default'])}]"
    return told


def value_of(text: str, field: Mapping[str, Any]) -> Any:
    """What was typed, as JSON where the field is no text; what does not fit is refused later."""
    if field.get("type") in _JSON_TYPES:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def text_of(value: Any, *, as_json: bool = False) -> str:
    """A value as it is printed: a text as it is, anything else as JSON."""
    is_text = isinstance(value, str) and not as_json
    return str(value) if is_text else json.dumps(value, ensure_ascii=False)


def visible(text: str) -> str:
    """A text from afar without the control characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
