"""SQLAlchemy's asynchronous engine, without its ORM.

The package ``sqlalchemy.ext.asyncio`` imports the ORM, which nothing here uses and every start
would pay for (a tenth of it, and 5 MB). Its module ``engine`` works alone, so that is imported past
the package; whoever imports the package later gets the same module in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


def _engine_module() -> ModuleType:
    package = "sqlalchemy.ext.asyncio"
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None:
        return importlib.import_module(package)
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"{package}.engine")
    finally:
        del sys.modules[package]


if not TYPE_CHECKING:
    _module = _engine_module()
    AsyncConnection = _module.AsyncConnection
    AsyncEngine = _module.AsyncEngine
    create_async_engine = _module.create_async_engine

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]
