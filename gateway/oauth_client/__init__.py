"""How a client of MCP logs in at a server by OAuth 2.1 (revision 2026-07-28, authorization).

The discovery, the registration and the exchange of codes are the SDK's; here is what it leaves to
others: what survives a restart, refreshing then, how the client proves who it is, and where its
requests may go. Whoever asks the person, and whoever keeps the record, is passed in.
"""
