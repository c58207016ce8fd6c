"""Web services: ``/{workspace}/apps/{service}/...`` goes to the program that offers the service.

A service of type ``asgi`` gets the request as an ASGI application does, wherever it runs: scope,
``receive`` and ``send`` are handed to its function ``serve``. One of type ``functions`` has a
function for each path, which gets the request as one event and returns the response.

``routes`` (URLs) → ``services`` (which service, which kind) → ``exchange`` with ``http`` or
``websocket`` (one conversation), or ``functions`` and ``responses``. ``scope`` says what a provider
gets to see of a request.
"""
