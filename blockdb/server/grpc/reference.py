"""Prints `blockdb.proto`: `python -m blockdb.server.grpc.reference > blockdb/server/grpc/blockdb.proto`."""

from __future__ import annotations

import sys

from blockdb.server.grpc.catalogue import catalogue

if __name__ == "__main__":
    sys.stdout.write(catalogue().text())
