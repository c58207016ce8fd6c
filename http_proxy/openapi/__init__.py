"""OpenAPI: what the HTTP door offers, as documents for tools and as pages for people.

The documents are made from the same function schemas as the MCP tools. Inside, from the bottom:
``names`` and ``schemas`` (one function's arguments) → ``components`` (what operations share) →
``operations`` and ``answers`` → ``documents`` (whole documents; pure up to here) → ``resources``
(requests, caching) and ``pages`` (Swagger UI, from an installed package).
"""
