"""``${NAME}`` in the configuration of an upstream: values that do not belong into a file. Pure but
for the files that it is told to read.

``${NAME}`` and ``${env:NAME}`` are environment variables, ``${NAME:-default}`` has a default,
``${file:PATH}`` is a secret in a file, without the newline at its end. Editors know some more:
``${workspaceFolder}`` and its like, and ``${input:ID}``, for which they ask.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from schema.errors import InvalidRequest

_REFERENCE: Final = re.compile(r"\$\{(?P<what>[^{}]*)\}")
_VARIABLE: Final = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.S)
_MAX_SECRET_BYTES: Final = 64 * 1024
_MAX_DEPTH: Final = 16
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class CannotExpand(InvalidRequest):
    """A value is missing; the text names it."""


class Expansion:
    """Puts values in. ``may_read_files`` is for what the operator wrote."""

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        may_read_files: bool = False,
        folder: Path | None = None,
        inputs: Mapping[str, str | None] | None = None,
    ) -> None:
        """``folder`` is that of the project that the configuration is in, and ``inputs`` what it
        has editors ask for, by id, with the usual answer."""
        self._variables = variables
        self._may_read_files = may_read_files
        self._inputs = inputs or {}
        self._places: dict[str, str] = {}
        if folder is not None:
            self._places = {
                "workspaceFolder": str(folder),
                "workspaceFolderBasename": folder.name,
                "userHome": str(Path.home()),
                "pathSeparator": os.sep,
                "/": os.sep,
            }

    def tree(self, value: Any, depth: int = 0) -> Any:
        """A copy of JSON data with all texts expanded. Raises CannotExpand."""
        if depth > _MAX_DEPTH:
            raise CannotExpand("it is nested too deeply")
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.tree(child, depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self.tree(child, depth + 1) for child in value]
        return value

    def text(self, text: str) -> str:
        """Raises CannotExpand."""
        return _REFERENCE.sub(lambda found: self._value(found["what"]), text)

    def _value(self, what: str) -> str:
        kind, _, rest = what.partition(":")
        if kind == "file":
            return self.file(rest)
        if kind == "input":
            return self._input(rest)
        if what in self._places:
            return self._places[what]
        found = _VARIABLE.fullmatch(what)
        if found is None:
            raise CannotExpand(
                f"${{{what[:80]}}} is not known here: write an environment variable, as ${{NAME}}"
            )
        value = self._variables.get(found["name"])
        default = found["default"]
        if value is None or (value == "" and default):
            value = default[2:] if default else None
        if value is None:
            raise CannotExpand(f"the environment variable {found['name']} is not set")
        return value

    def _input(self, identifier: str) -> str:
        """Nobody can be asked here: a variable that is called like it has the answer."""
        name = _NO_NAME.sub("_", identifier).upper()
        value = self._variables.get(name, self._inputs.get(identifier))
        if value is None:
            raise CannotExpand(
                f"an editor would ask for ${{input:{identifier[:80]}}}: set the environment "
                f"variable {name[:80]}"
            )
        return value

    def file(self, path: str) -> str:
        """The text of a file. Raises CannotExpand."""
        if not self._may_read_files:
            raise CannotExpand("files can only be named in the configuration of the server")
        try:
            with Path(path).expanduser().open("rb") as file:
                data = file.read(_MAX_SECRET_BYTES + 1)
            text = data.decode()
        except (OSError, ValueError):
            raise CannotExpand(f"the file {path} cannot be read") from None
        if len(data) > _MAX_SECRET_BYTES:
            raise CannotExpand(f"the file {path} is too large for a secret")
        return text.rstrip("\r\n")
