"""Accounts of the gateway's own (``--enable-local-auth``): an e-mail address and a password.

``passwords`` hashes, ``throttle`` slows down who guesses, ``mail`` sends codes, ``accounts`` is
what can be done, ``functions`` the same as functions of the login service.
"""
