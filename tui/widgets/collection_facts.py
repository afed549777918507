"""What a collection is: where it comes from, what it holds, how it is set."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from textual.content import Content

from blockdb.commands.display import human_bytes, human_count, human_duration, human_time, printable

from ..catalog import NOT_TOLD
from .facts import Fact, Facts

if TYPE_CHECKING:
    from blockdb import CollectionInfo

    from ..catalog import Known

__all__ = ["CollectionFacts"]


class CollectionFacts(Facts):
    """The collection under the cursor."""

    HELP = """What is known of the collection under the cursor. Documents, size and the time of the last write are \
counted from its chain. Settings that are not named are as they come."""

    label = 12

    def show(self, name: str | None, known: Known | None) -> None:
        """Shows a collection; nothing of which nothing is known yet."""
        self.entitle(Content("Collection" if name is None else printable(name)))
        if known is None:
            self.show_facts([] if name is None else [("", [("is being looked at …", "muted")])])
        elif known.info is None:
            self.show_facts(
                [("not there" if known.later else "✗ trouble", [(known.trouble, "muted" if known.later else "error")])]
            )
        else:
            self.show_facts(_facts(known.info, known.blocks))


def _facts(info: CollectionInfo, blocks: int) -> list[Fact]:
    stats = info.stats
    facts: list[Fact] = [
        ("id", [(info.id, "secondary")]),
        ("documents", [(human_count(stats.document_count), "number")]),
        ("size", [(_bytes(stats.total_size_bytes), "number"), (" keys and values", "muted")]),
        ("blocks", [(human_count(blocks), "primary"), (" sealed", "muted")]),
        ("index size", [(human_bytes(stats.index_size_bytes), "number")]),
        ("last write", [(human_time(stats.last_updated * 1000)[:19] if stats.document_count else "never", "text")]),
        ("created", [(human_time(info.created_at * 1000)[:19], "text")]),
        ("by", [(printable(info.created_by) or "—", "text")]),
    ]
    if info.description:
        facts.insert(1, ("description", [(printable(info.description), "text")]))
    return facts + [(name, [(words, "text")]) for name, words in _settings(info)]


def _bytes(count: int) -> str:
    return "not told of then" if count == NOT_TOLD else human_bytes(count)


def _settings(info: CollectionInfo) -> list[tuple[str, str]]:
    """What was set otherwise than it comes, and how large a document may be."""
    settings, usual = asdict(info.settings), asdict(type(info.settings)())
    told = [("largest", human_bytes(info.settings.max_document_size))]
    if info.settings.ttl_seconds is not None:
        told.append(("expire after", human_duration(info.settings.ttl_seconds)))
    others = set(settings) - {"max_document_size", "ttl_seconds"}
    changed = sorted(name for name in others if settings[name] != usual[name])
    return told + [(name.split("_")[0], str(settings[name])) for name in changed]
