"""MCP servers and OpenAPI documents as services: started, kept running, offered at every door."""
