"""Workspaces, and the manager: the service through which clients use the gateway."""
