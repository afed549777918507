"""What streams, subjects and keys of a cluster are called. Clusters may share a NATS: all begins with its id."""

from __future__ import annotations

__all__ = ["Names", "escaped"]


def escaped(name: str) -> str:
    """A name as one word of letters, digits, - and _, which no other name becomes."""
    return name.replace("_", "_u").replace(".", "_d")


class Names:
    """Of one cluster."""

    def __init__(self, cluster_id: str) -> None:
        self._cluster = escaped(cluster_id).replace("-", "_h")

    @property
    def bucket(self) -> str:
        """The bucket of rosters, and of what else all nodes have to know."""
        return f"blockdb-{self._cluster}"

    @property
    def domain(self) -> str:
        """The JetStream domain of the servers that nodes start."""
        return self.bucket

    def mirror_domain(self, node: str) -> str:
        """That of a node which mirrors the cluster."""
        return f"{self.bucket}-mirror-{escaped(node)}"

    def all_subjects(self, kind: str) -> str:
        """What is said of that kind, about whichever partition."""
        return f"blockdb.{self._cluster}.{kind}.>"

    def is_ours(self, stream: str) -> bool:
        """Whether a stream is that of a partition, or the bucket."""
        return stream == f"KV_{self.bucket}" or stream.startswith(f"{self.bucket}-")

    def stream(self, partition: str) -> str:
        """The stream of a partition."""
        return f"{self.bucket}-{escaped(partition)}"

    def subject(self, kind: str, partition: str, node: str = "") -> str:
        """What is said about a partition: `log` goes into its stream, other kinds to whoever listens just then."""
        end = f".{escaped(node)}" if node else ""
        return f"blockdb.{self._cluster}.{kind}.{escaped(partition)}{end}"
