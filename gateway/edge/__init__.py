"""The edge: what every HTTP request passes before any door, whichever it is for.

``middleware`` is the one ASGI layer around everything. It costs each request a few microseconds,
so it looks at nothing twice and does nothing that is not switched on.
"""
