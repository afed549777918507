"""Consensus, without clock, socket or file: `Raft` is told what happened, and says what is to be done about it."""

from blockdb.raft.config import RaftConfig
from blockdb.raft.errors import Broken, NotLeader, TooMuch
from blockdb.raft.log import LogView
from blockdb.raft.raft import Raft
from blockdb.raft.ready import Ready, Status

__all__ = ["Broken", "LogView", "NotLeader", "Raft", "RaftConfig", "Ready", "Status", "TooMuch"]
