"""Putting a configuration where its client looks, beside what is there already."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp_bridge.connect.configurations import Configuration


class NotWritten(Exception):
    """The file is left as it was; the text says why."""


def place(configuration: Configuration, *, home: Path, project: Path) -> Path:
    """The file of a client. Raises NotWritten if it has none."""
    if configuration.file is None or configuration.content is None:
        raise NotWritten(
            f"{configuration.title} has no file to write to; without --write it is shown"
        )
    if configuration.file == "claude_desktop_config.json":
        return _claude_desktop(home) / configuration.file
    if configuration.file.startswith("~/"):
        return home / configuration.file[2:]
    return project / configuration.file


def write(configuration: Configuration, file: Path) -> None:
    """Add the configuration to a file, which is made if it is not there. All else in it stays, and
    the file as it was is kept beside it as ``<name>.bak``. Raises NotWritten."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if configuration.language == "json" and isinstance(configuration.content, Mapping):
        after = _merged(before, configuration.content, file)
    elif configuration.language == "toml":
        after = _appended(before, configuration.text, file)
    else:
        raise NotWritten(f"{file} has to be changed by hand; without --write it is shown what to")
    file.parent.mkdir(parents=True, exist_ok=True)
    if before:
        _replace(file.with_name(f"{file.name}.bak"), before)
    _replace(file, after)


def _replace(file: Path, text: str) -> None:
    """Write the whole or nothing: others may read the file, and it may hold secrets."""
    new = file.with_name(f".{file.name}.new")
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as output:
        output.write(text)
    new.replace(file)


def _merged(before: str, content: Mapping[str, Any], file: Path) -> str:
    try:
        present = json.loads(before) if before.strip() else {}
    except ValueError:
        # Some clients allow comments, which would be lost.
        raise NotWritten(f"{file} is not plain JSON; change it by hand") from None
    if not isinstance(present, dict):
        raise NotWritten(f"{file} does not hold a JSON object")
    return json.dumps(_joined(present, content), indent=2, ensure_ascii=False) + "\n"


def _joined(present: Mapping[str, Any], new: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The entries of both; below the name of a server the new one alone counts."""
    result = dict(present)
    for key, value in new.items():
        there = result.get(key)
        if depth < 1 and isinstance(there, dict) and isinstance(value, Mapping):
            result[key] = _joined(there, value, depth + 1)
        elif isinstance(there, list) and isinstance(value, list):
            result[key] = there + [item for item in value if item not in there]
        else:
            result[key] = value
    return result


def _appended(before: str, text: str, file: Path) -> str:
    try:
        present, new = tomllib.loads(before), tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise NotWritten(f"{file} is not TOML; change it by hand") from None
    for table, entries in new.items():
        for name in entries:
            if name in present.get(table, {}):
                raise NotWritten(f"{file} has a [{table}.{name}] already; change it by hand")
    return f"{before.rstrip()}\n\n{text}" if before.strip() else text


def _claude_desktop(home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "Claude"
    if sys.platform == "win32":
        return home / "AppData" / "Roaming" / "Claude"
    return home / ".config" / "Claude"
