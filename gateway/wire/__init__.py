"""Bytes of the hypha-rpc protocol. Pure: no sockets, no event loop."""
