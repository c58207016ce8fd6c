"""OpenID Connect providers: users who log in with an account that they have elsewhere.

None is trusted unless the operator names it. ``config`` is what the operator says of one,
``discovery`` what it says of itself, ``verification`` whether a token is its own, ``accounts`` who
that is here, ``login`` the way of a browser there and back, ``reader`` the provider's tokens at the
doors.
"""
