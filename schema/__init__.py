"""Contracts that every part of Polyport shares: identities, ids, services, errors.

Imports only the standard library. No I/O, no async, no framework: a decision written with these
types can be tested with literals.

Layout: ``errors`` (the error tree), ``identity`` (who calls), ``ids`` (how things are named),
``services`` (what is offered), ``functions`` (what a function takes), ``parameters`` (its JSON
Schema), ``values`` (encoded values).
"""

POLYPORT_SCHEMA = True
"""Proof that this is Polyport's ``schema`` and not another distribution of that name."""
