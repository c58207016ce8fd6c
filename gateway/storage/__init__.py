"""What must survive a restart: one database, its tables part by part, and secrets at rest.

SQLite in the data directory, PostgreSQL by ``--database-uri``, in memory with ``--ephemeral``.
"""
