"""What a user calls a database: the handle that `blockdb.open` returns."""
