"""Migrations of the database, run by alembic at the start of a server."""
