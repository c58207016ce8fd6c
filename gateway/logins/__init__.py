"""What the programs of this machine's user have been allowed: kept for all of them, and got in the
browser. The gateway itself has no part in it.

- ``store``: the files, and the lock of each
- ``browser``: showing a page to the user
"""
