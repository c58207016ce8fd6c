"""OAuth 2.1 for MCP clients: what protects an endpoint, and an authorization server of the
gateway's own for those who have none.

``resources`` says which URL an endpoint is and where its clients log in (RFC 9728). The rest is the
authorization server: ``clients`` who asks, ``requests`` what for, ``consent`` the page that asks
the user, ``grants`` what was allowed and how it is refreshed, ``server`` the flow, ``routes`` its
HTTP side. Users log in with the login page, as for any other program.
"""
