"""How MCP clients are told of an endpoint: what each of them wants to read, and writing it there.

``configurations`` is pure and the only place that knows the clients; the pages and the command
``polyport connect`` show what it says. ``files`` puts it where a client looks.
"""
