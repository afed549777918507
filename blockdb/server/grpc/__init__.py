"""The door for gRPC."""
