"""The replicated log over NATS JetStream: a stream for each partition, and the NATS server of a node."""
