"""Who offers what: an index of services, and the choice between several that match."""
