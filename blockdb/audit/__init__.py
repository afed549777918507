"""The independent verifier: recomputes everything through `format` and `ledger` alone, never through the writer."""
