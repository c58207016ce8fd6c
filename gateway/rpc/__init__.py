"""The gateway as a hypha-rpc peer: its own services, and its calls to providers."""
