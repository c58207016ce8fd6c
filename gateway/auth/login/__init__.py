"""Logging in: the service ``public/hypha-login`` and the page it sends people to.

A program calls ``start`` and shows its user a URL; the user proves on the page who they are; the
page (or whoever else holds the key and a token) calls ``report``; the program, which waits in
``check``, has its token. ``functions`` is the service, ``pending`` the logins between start and
check, ``exchange`` cuts a token to one workspace, ``providers`` are the ways to prove who one is,
``page`` shows them.
"""
