"""The table of views: modes, keys, the line at the top and the palette are all drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from textual.screen import Screen

if TYPE_CHECKING:
    from .navigation import Navigation

__all__ = ["VIEWS", "ViewKind", "views_of"]


class ViewKind(NamedTuple):
    """A top-level view: the mode that it is, the key that leads to it, its title, and the class in `screens/`."""

    mode: str
    key: str
    title: str
    made_by: str
    """Its class, as `module:Class` of `screens/`; it is imported when the view is first looked at."""
    is_there: Callable[[Navigation], bool] = lambda _: True
    """Whether it has something to show."""

    def make(self) -> Screen[None]:
        """The view itself."""
        module, name = self.made_by.split(":")
        screen: Screen[None] = getattr(import_module(f".screens.{module}", __package__), name)()
        return screen


_ALL = (
    ViewKind("collections", "0", "Collections", "collections:CollectionsView"),
    ViewKind("records", "1", "Records", "records:RecordsView"),
    ViewKind("blocks", "2", "Blocks", "blocks:BlocksView"),
    ViewKind("metrics", "3", "Metrics", "metrics:MetricsView"),
    ViewKind("lab", "4", "Lab", "lab:LabView"),
    ViewKind("schema", "5", "Schema", "schema:SchemaView"),
    ViewKind("changes", "6", "Changes", "changes:ChangesView"),
    ViewKind("acts", "7", "Acts", "acts:ActsView"),
    ViewKind("transactions", "9", "Transactions", "transactions:TransactionsView"),
    ViewKind("query", "Q", "Query", "query:QueryView"),
    ViewKind("settings", "S", "Settings", "settings:SettingsView"),
    ViewKind("dashboard", "d", "Dashboard", "dashboard:DashboardView"),
    ViewKind("cluster", "8", "Cluster", "cluster:ClusterView", lambda explorer: explorer.scene is not None),
)

VIEWS = {view.mode: view for view in _ALL}
"""Every view by its mode, in the order of the line at the top. The first is the way up out of a collection."""


def views_of(explorer: Navigation) -> list[ViewKind]:
    """The views that have something to show."""
    return [view for view in VIEWS.values() if view.is_there(explorer)]
