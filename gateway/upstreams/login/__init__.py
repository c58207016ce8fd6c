"""How administrators log the gateway in at upstreams that ask for it by OAuth: who waits for a
browser, where that comes back to, and what is kept of a login."""
