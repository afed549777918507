"""The log-structured merge tree over places in the chain. Pure: no file, no clock, no thread of its own."""
