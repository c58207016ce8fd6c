"""The gateway as a client of MCP servers, on the official SDK. Imported when there is one."""
