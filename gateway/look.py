"""How pages without a script look: one style, and the headers that hold them to it.

They load nothing from anywhere, so they work on a machine without the internet.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #f4f5f8; --card: #fff; --ink: #1b2030; --soft: #5c657a; --line: #d5d9e3;
  --accent: #2f5fd0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12151d; --card: #1b202c; --ink: #e8ebf3; --soft: #9aa4bb; --line: #343c4f;
    --accent: #8fb0ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 1.4rem 1.2rem 3rem; min-height: 100vh; color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere;
  background: radial-gradient(60rem 40rem at 50% -10%, #2f5fd022, transparent) no-repeat,
    var(--paper);
}
body > * { max-width: 54rem; margin-inline: auto; }
.top { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1.4rem;
  margin-bottom: 2rem; }
.brand { display: flex; align-items: center; gap: .6rem; margin-right: auto; color: inherit;
  font-weight: 700; text-decoration: none; }
@media (max-width: 36rem) { .brand { flex-basis: 100%; } }
svg { width: 1.7rem; height: 1.7rem; color: var(--accent); flex: none; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px;
  border-radius: 4px; }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.25; }
h2 { margin: 2rem 0 .6rem; font-size: 1.15rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
.card { margin-top: 1.1rem; padding: 1.2rem 1.4rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 14px; }
.card h2 { margin: 0; }
.tag { padding: .1rem .5rem; border: 1px solid var(--line); border-radius: 99px;
  font-size: .78rem; font-weight: 500; color: var(--soft); vertical-align: .12em; }
.names { display: flex; flex-wrap: wrap; gap: .4rem; margin: .8rem 0; padding: 0;
  list-style: none; }
.names li { padding: .05rem .5rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: 7px; }
code, pre { font: 14px/1.55 ui-monospace, monospace; }
pre { margin: .6rem 0; padding: .8rem 1rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 9px; white-space: pre-wrap; }
.card pre { background: var(--paper); }
dl { margin: .8rem 0 0; }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .5rem 0;
  border-top: 1px solid var(--line); }
dt { flex: 0 0 6rem; color: var(--soft); font-size: .9rem; }
dd { flex: 1 1 20rem; margin: 0; min-width: 0; }
dd code, pre { user-select: all; }
details { border-top: 1px solid var(--line); }
summary { padding: .6rem 0; cursor: pointer; font-weight: 600; }
details > :last-child { margin-bottom: 1rem; }
"""

_MARK: Final = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" '
    'stroke-linecap="round" aria-hidden="true"><circle cx="12" cy="12" r="3.2"/>'
    '<path d="M12 2v6.8M3.3 17l5.9-3.4M20.7 17l-5.9-3.4"/>'
    '<circle cx="12" cy="12" r="10" opacity=".35"/></svg>'
)


def source_hash(text: str) -> str:
    """The source of an inline element with this text, as Content Security Policy Level 3 section
    2.3.1 writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


PAGE_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; style-src {source_hash(_STYLE)}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""What every such page is sent with."""


def document(title: str, body: str, *, home: str, links: str = "") -> str:
    """A page. ``body`` and ``links`` are HTML whose texts are escaped already; ``home`` is the way
    to the first page of the server, relative to this one."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<header class="top"><a class="brand" href="{escape(home)}">{_MARK}Polyport</a>{links}'
        f"</header>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
