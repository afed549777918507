"""BlockDB beside RocksDB, LMDB and SQLite, in one run: `make bench`."""
