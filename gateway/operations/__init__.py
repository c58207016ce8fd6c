"""For those who run the gateway: is it alive, how is it, what has it done.

``routes`` has the addresses and decides who is told details; ``health`` and ``metrics`` look at the
parts, which know nothing of being looked at.
"""
