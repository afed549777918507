"""Several machines, one database: the replicated log, and the database that sits on it."""
