"""JSON documents to be compressed: the commits of a repository that never was, the same for the same seed.

They are about as long and as compressible as those that `git log` tells of a busy repository: hashes that nothing
compresses, times that rise, few people, messages out of few words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Final

from .data import Pair

__all__ = ["commits"]

BEGINNING: Final = 1_420_102_800
MERGES: Final = 0.3
LONG_MESSAGES: Final = 0.15

_words = str.split

FIRST_NAMES: Final = _words("Ada Barbara Carl Dorothy Edsger Frances Grace Hedy Ivan Jean Ken Leslie Margaret Niklaus")
LAST_NAMES: Final = _words("Ashdown Birch Calder Dunmore Ellery Fenwick Garrow Hollis Ingram Jessop Kestrel Lorne")
VERBS: Final = _words("add fix remove rename refactor document test simplify revert hasten bump guard tidy log")
AREAS: Final = _words("parser server client cache index storage config router session metrics tls build docs queue")
THINGS: Final = _words(
    "handling timeout lock buffer leak header option default error message retry limit race test flag path check "
    "version callback key connection counter benchmark reference warning iterator format dependency snapshot permission"
)
SYLLABLES: Final = _words(
    "re con get set Data Stream sub pro tocol jet acc ount Leaf Raft ack Mem ory File ws mq tt Rou te"
)
TAILS: Final = _words(
    "on shutdown,when the peer is gone,for large values,under load,after a restart,in the tests,with an empty list,"
    "on Windows,before the first request,if the file exists,for old clients,at startup,per connection",
    ",",
)


def commits(count: int, seed: int = 1) -> Iterator[Pair]:
    """So many commits, oldest first. The key is `commit:<hash>`, the value a JSON object."""
    chance = random.Random(seed)
    people = [f"{first} {last}" for first, last in zip(FIRST_NAMES * 3, LAST_NAMES * 3, strict=False)]
    weights = [1 / place for place in range(1, len(people) + 1)]
    recent: list[str] = []
    committed_at = BEGINNING
    for number in range(count):
        commit = chance.randbytes(20).hex()
        [author] = chance.choices(people, weights)
        committed_at += int(chance.expovariate(1 / 9_000))
        merge = len(recent) > 1 and chance.random() < MERGES
        value = {
            "repository": "harbour",
            "author": author,
            "email": f"{author.lower().replace(' ', '.')}@harbour.example",
            "authored_at": committed_at - (chance.randrange(90_000) if chance.random() < 0.2 else 0),
            "committed_at": committed_at,
            "parents": recent[-2:] if merge else recent[-1:],
            "files": 0 if merge else 1 + int(chance.expovariate(0.4)),
            "insertions": 0 if merge else int(chance.paretovariate(0.8)),
            "deletions": 0 if merge else int(chance.paretovariate(1.0)),
            "message": _merge(chance, number) if merge else _message(chance, number),
        }
        recent = [*recent[-4:], commit]
        yield b"commit:" + commit.encode(), json.dumps(value, separators=(",", ":")).encode()


def _merge(chance: random.Random, number: int) -> str:
    return f"Merge pull request #{number // 2} from harbour/{_slug(chance)}"


def _slug(chance: random.Random) -> str:
    return "-".join((chance.choice(VERBS), chance.choice(AREAS), chance.choice(THINGS), _name(chance)))


def _message(chance: random.Random, number: int) -> str:
    subject = _sentence(chance)
    if chance.random() < 0.3:
        subject = f"[{chance.choice(AREAS)}] {subject}"
    if chance.random() < 0.25:
        subject += f" (#{number // 2})"
    if chance.random() > LONG_MESSAGES:
        return subject
    return f"{subject}\n\n" + ". ".join(_sentence(chance) for _ in range(chance.randint(1, 4))) + "."


def _sentence(chance: random.Random) -> str:
    words = [chance.choice(VERBS).capitalize(), chance.choice(AREAS), *chance.sample(THINGS, chance.randint(1, 3))]
    words.insert(chance.randint(1, len(words)), _name(chance))
    return " ".join([*words, *([chance.choice(TAILS)] if chance.random() < 0.5 else [])])


def _name(chance: random.Random) -> str:
    """Something in the source: a function, a file, a version."""
    name = "".join(chance.choices(SYLLABLES, k=chance.randint(2, 4)))
    return name + chance.choice(("()", ".go", "_test.go", "", f" v{chance.randint(0, 3)}.{chance.randint(0, 40)}"))
