"""The page about configuration says what the settings are."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices

from gateway.commands.options import shown
from gateway.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def table() -> str:
    """The table of the page: flag, environment variables, default and meaning of each setting."""
    lines = ["| Setting | Environment | Default | |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        assert isinstance(field.validation_alias, AliasChoices)
        names = ", ".join(f"`{alias}`" for alias in field.validation_alias.choices)
        default = shown(field.default)
        cells = (f"`--{name.replace('_', '-')}`", names, default, field.description)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_every_setting_as_it_is() -> None:
    text = PAGE.read_text("utf-8")
    assert table() in text, f"put this table into {PAGE.name}:\n{table()}"
