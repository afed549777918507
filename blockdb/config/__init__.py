"""One validated, frozen configuration: flags over environment over file over defaults."""

from blockdb.config.sections import (
    JETSTREAM,
    AlertsConfig,
    ClusterConfig,
    Config,
    DatabaseConfig,
    LoggingConfig,
    SecurityConfig,
    ServerConfig,
)
from blockdb.config.sources import DEFAULT_FILE, Given, Sources, from_settings, load, load_all, reloaded

__all__ = [
    "DEFAULT_FILE",
    "JETSTREAM",
    "AlertsConfig",
    "ClusterConfig",
    "Config",
    "DatabaseConfig",
    "Given",
    "LoggingConfig",
    "SecurityConfig",
    "ServerConfig",
    "Sources",
    "from_settings",
    "load",
    "load_all",
    "reloaded",
]
