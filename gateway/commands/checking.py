"""``polyport check-config``: the settings as the server would take them."""

from __future__ import annotations

import json
from typing import Any

import typer
from pydantic import SecretStr

from gateway.auth.oidc.config import OidcMistake, oidc_configs
from gateway.commands.options import shown
from gateway.settings import Settings
from gateway.upstreams.config_file import ConfigMistake, read_config


def check(settings: Settings, *, as_json: bool = False) -> int:
    """Print the settings that the server would run with, secrets masked; exit with 2 and a sentence
    for each mistake if it would not run."""
    try:
        read_config(settings)
        oidc_configs(settings)
    except (ConfigMistake, OidcMistake) as error:
        typer.echo(str(error), err=True)
        return 2
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    if as_json:
        typer.echo(json.dumps({name: _plain(value) for name, value in values.items()}, indent=2))
    else:
        width = max(map(len, values))
        for name, value in values.items():
            typer.echo(f"{name:<{width}}  {shown(value)}")
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return shown(value) if isinstance(value, SecretStr) else str(value)
