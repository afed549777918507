"""BlockDB beside RocksDB, LMDB, LevelDB and SQLite, in one run: `make bench`. Guide: docs/BENCHMARKS.md."""
