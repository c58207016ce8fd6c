"""I/O shells around sessions."""
