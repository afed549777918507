"""Every forged receipt is found by what the table says, by the engine and by the stranger's script alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import blockdb
from blockdb.ledger.note import BadNote
from blockdb.ledger.proof import BadProof
from tests.database.forged_databases import FORGED
from tests.ledger.forged_histories import STORIES, Story, Witness, honest
from tests.ledger.forgeries import FORGERIES, Forgery, Found, World, bodies, world
from tests.ledger.forgery_table import page
from tests.ledger.script import script

ROOT = Path(__file__).parents[2]


def keys_for(forgery: Forgery) -> list[str]:
    return [world().key.vkey, *[world().witness.vkey] * forgery.witnessed]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forged_receipt_is_found(forgery: Forgery) -> None:
    text, keys = forgery.make(world()), keys_for(forgery)
    if forgery.found is Found.RECEIPT:
        with pytest.raises(blockdb.InvalidProof) as refused:
            blockdb.verify_receipt(text, *keys)
        assert re.search(forgery.says, str(refused.value)), refused.value
        with pytest.raises(Exception):  # noqa: B017 - whatever it is, the script ends with "REFUSED"
            script().check(text, *keys)
        return
    verified = blockdb.verify_receipt(text, *keys)
    assert script().check(text, *keys)
    assert FOUND_OTHERWISE[forgery.name](verified, world())


FOUND_OTHERWISE: dict[str, Callable[[blockdb.Verified, World], bool]] = {
    "a receipt of another collection of this database": lambda v, w: v.origin.startswith(w.key.name + "/"),
    "an old receipt shown again": lambda v, w: v.size == len(w.old),
    "a value blanked as if it had been erased": lambda v, w: v.records[0].value is blockdb.REDACTED,
    "a range by an old tree and its state, under the checkpoint of now": lambda v, w: (
        v.size == len(w.old) and v.as_of_ms == 1_700_000_000_100
    ),
    "an operator's state that leaves a key out": lambda v, w: (
        not v.records and blockdb.verify_receipt(w.record(4), w.key.vkey).records[0].key == v.start
    ),
}


def test_what_the_forgeries_are_made_of_is_good() -> None:
    w = world()
    good = [w.record(index) for index in range(11)] + [w.range().text, w.absent().text, w.range(None, None).text]
    good += [w.run(first, count) for first in range(11) for count in range(1, 12 - first)]
    for text in good:
        blockdb.verify_receipt(text, w.key.vkey)
        script().check(text, w.key.vkey)
    cosigned = w.record() + w.witness.cosignature(w.note.partition("\n\n")[0] + "\n", 1_700_000_000)
    assert blockdb.verify_receipt(cosigned, w.key.vkey, w.witness.vkey).witnessed[0].time_s == 1_700_000_000
    script().check(cosigned, w.key.vkey, w.witness.vkey)


def test_a_key_of_one_collection_speaks_for_no_other() -> None:
    w = world()
    [other] = [one.make(w) for one in FORGERIES if one.name == "a receipt of another collection of this database"]
    narrow = replace(w.key, name=blockdb.verify_receipt(other, w.key.vkey).origin).vkey
    for check in (blockdb.verify_receipt, script().check):
        check(other, narrow)
        with pytest.raises(ValueError if check != blockdb.verify_receipt else blockdb.InvalidProof):
            check(w.record(), narrow)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_witness_takes_no_other_history(story: Story) -> None:
    w = world()
    witness = Witness(w.key.vkey, w.note_of(bodies(story.seen)))
    before = witness.seen
    with pytest.raises((BadProof, BadNote)):
        witness.add(*story.tell(w))
    assert witness.seen == before
    for size in range(story.seen, 12):
        witness.add(*honest(w, witness.seen.size, size))
    assert witness.seen.size == 11


def test_the_page_of_forgeries_is_current() -> None:
    assert (ROOT / "docs" / "FORGERIES.md").read_text() == page(), "python -m tests.ledger.forgery_table prints it"


def test_there_are_enough_of_them_and_no_name_is_used_twice() -> None:
    names = [one.name for one in (*FORGERIES, *FORGED, *STORIES)]
    assert len(set(names)) == len(names) >= 40
