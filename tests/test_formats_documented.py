"""The pages of docs/formats/: their examples are decoded, their tables added up, so that they cannot lie."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest

from blockdb.cluster.machine import commands
from blockdb.cluster.peers import bodies
from blockdb.cluster.peers.bodies import Hello
from blockdb.format import (
    applied,
    archive,
    audit_log,
    backup_header,
    batch,
    block,
    checked_toml,
    consensus,
    index,
    intent,
    keyring,
    mark,
    nodes,
    note_file,
    ordered,
    packed,
    pages,
    peer_frame,
    raft_log,
    record,
    sealed,
    segment,
    stream_message,
    table,
    transaction,
)
from blockdb.format.block import GENESIS, BlockHeader
from blockdb.format.consensus import Entry, HardState, Member, Members
from blockdb.format.consensus import Kind as EntryKind
from blockdb.format.consensus import Role as ClusterRole
from blockdb.format.frame import RECORD
from blockdb.format.keyring import DataKeys
from blockdb.format.mark import Mark
from blockdb.format.peer_frame import FrameKind, FrameReader
from blockdb.format.reserved import end_of, filled_bytes, is_torn, whole_at
from blockdb.format.sealed import Binding, Kind, Pieces
from blockdb.format.segment import SegmentHeader
from blockdb.format.transaction import Decision, LogHeader, Writes
from blockdb.ledger.chain import Head, check_seal
from blockdb.ledger.merkle import node_hash
from blockdb.ledger.note import Note
from blockdb.ledger.signature import Signer
from blockdb.lsm import index_file
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.builder import build
from blockdb.lsm.table import Table
from blockdb.raft.messages import Heartbeat
from blockdb.security.roles import Principal, Role
from blockdb.server.tokens import TokenFile, hash_of
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata, SchemaEntry, load_metadata, save_metadata
from blockdb.types import REDACTED, Act
from tests.lsm.sources import DictChain

ROOT = Path(__file__).parent.parent
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "formats").glob("*.md"))}
MAX_PAGE_BYTES = 3_600

COLLECTION = UUID("00112233-4455-6677-8899-aabbccddeeff").bytes
TIME_MS = 1_700_000_000_000
KEY, VALUE = b"user:1001", b"John Doe"
SIGNER = Signer(bytes(range(32)))


def bytes_of(text: str) -> bytes:
    """What an example stands for: hex, `00*n` for a byte n times, and words after a `|`."""
    data = b""
    for token in " ".join(line.partition("|")[0] for line in text.splitlines()).split():
        digits, _, times = token.partition("*")
        data += bytes.fromhex(digits) * int(times or 1)
    return data


EXAMPLES = {
    (page, name): bytes_of(text)
    for page, content in PAGES.items()
    for name, text in re.findall(r"^```hex (\S+)\n(.*?)^```$", content, re.MULTILINE | re.DOTALL)
}


def decodes(page: str, name: str) -> Callable[[Callable[[bytes], None]], Callable[[], None]]:
    """The test that is given an example of a page."""

    def wrap(check: Callable[[bytes], None]) -> Callable[[], None]:
        def test() -> None:
            check(EXAMPLES[page, name])

        CHECKED.add((page, name))
        return test

    return wrap


CHECKED: set[tuple[str, str]] = set()

# ── the examples ─────────────────────────────────────────────────────────────────────────────────────────────────


@decodes("chain", "header")
def test_the_header_of_a_chain_file(data: bytes) -> None:
    header = SegmentHeader(COLLECTION, 0, 0)
    assert segment.decode(data) == header
    assert segment.encode(header) == data


@decodes("chain", "record")
def test_a_plain_record(data: bytes) -> None:
    frame = record.decode(data, 0)
    assert (frame.kind, frame.time_ms, frame.key, frame.value) == (record.PLAIN, TIME_MS, KEY, VALUE)
    assert (frame.size, frame.body) == (len(data), record.encode(TIME_MS, KEY, VALUE))
    assert frame.leaf == data[4:]
    assert data[4] == RECORD == 0


@decodes("chain", "redactable")
def test_a_redactable_record(data: bytes) -> None:
    frame = record.decode(data, 0)
    assert (frame.kind, frame.time_ms, frame.key, frame.value) == (record.REDACTABLE, TIME_MS, KEY, VALUE)
    assert frame.body == record.encode_redactable(TIME_MS, KEY, VALUE, bytes(range(16)))
    [line] = [line for line in PAGES["chain"].splitlines() if "the leaf ends here" in line]
    last_of_leaf = bytes_of(line)
    assert frame.leaf == data[4 : data.index(last_of_leaf) + len(last_of_leaf)]


@decodes("peer-frames", "hello")
def test_how_a_node_introduces_itself(data: bytes) -> None:
    hello = Hello(1, 1, "shop", "node1", "node2", "messages", 7)
    assert _only_frame(data) == (FrameKind.HELLO, bodies.encode(hello))
    assert bodies.decode(Hello, data[peer_frame.HEADER_BYTES :]) == hello


@decodes("peer-frames", "messages")
def test_messages_of_a_node(data: bytes) -> None:
    message = Heartbeat("node1", 3, 9, 1)
    assert _only_frame(data) == (FrameKind.MESSAGES, bodies.encode_batch([bodies.encode(message)]))
    assert bodies.decode_batch(data[peer_frame.HEADER_BYTES :]) == [message]


@decodes("peer-frames", "piece")
def test_a_piece_of_messages(data: bytes) -> None:
    body = bodies.encode_batch([bodies.encode(Heartbeat("node1", 3, 9, 1))])
    assert data == peer_frame.pack_frame(FrameKind.PIECE, body[:3])
    reader = FrameReader(peer_frame.HEADER_BYTES * 4)
    reader.push(data)
    assert reader.pull() is None
    reader.push(peer_frame.pack_frame(FrameKind.LAST_PIECE, body[3:]))
    assert reader.pull() == (FrameKind.MESSAGES, body)


def _only_frame(data: bytes) -> tuple[FrameKind, bytes] | None:
    reader = FrameReader(peer_frame.HEADER_BYTES * 4)
    reader.push(data)
    return reader.pull()


@decodes("tokens", "tokens")
def test_a_list_of_tokens(data: bytes) -> None:
    with TemporaryDirectory() as root:
        file = TokenFile(Path(root))
        file.path.parent.mkdir()
        file.path.write_bytes(data)
        [token] = file.list()
    assert token.secret_sha256 == hash_of(bytes(range(32)).hex())
    assert token.principal == Principal(
        "shop", Role.WRITER, frozenset({"orders"}), b"user:", "0011223344556677", 1_800_000_000_000
    )
    assert token.created_ms == TIME_MS


@decodes("redaction", "redacted")
def test_a_redacted_record(data: bytes) -> None:
    frame = record.decode(data, 0)
    assert (frame.kind, frame.time_ms, frame.key) == (record.REDACTABLE, TIME_MS, KEY)
    assert frame.value is REDACTED
    assert frame.leaf == record.leaf_of(record.encode_redactable(TIME_MS, KEY, VALUE, bytes(range(16))))
    assert len(data) == len(EXAMPLES["chain", "redactable"])
    assert data[4:-24] == EXAMPLES["chain", "redactable"][4:-24]


@decodes("reserve", "reserve")
def test_the_reserve_of_a_chain_file(data: bytes) -> None:
    whole = EXAMPLES["chain", "header"] + EXAMPLES["chain", "record"]
    torn = data.rstrip(b"\0")
    assert EXAMPLES["chain", "record"].startswith(torn)
    filled = filled_bytes(len(data), lambda start, stop: data[start:stop])
    assert (filled, len(data)) == (len(torn), len(torn) + 42)
    assert whole_at(whole + data, len(whole), len(whole + data)) is None
    assert is_torn(whole + data, len(whole), len(whole) + filled)
    assert end_of(whole + data[filled:]) == len(whole)


@decodes("chain", "batch")
def test_a_batch(data: bytes) -> None:
    bodies = record.encode_many(TIME_MS, [b"a", b"b"], [b"1", b""])
    assert batch.encode(bodies) == data
    assert batch.decode(data, 0) == (2, 39, 0)
    assert [record.item_at(data, at) for at in batch.places(batch.HEADER_BYTES, bodies)] == [(b"a", b"1"), (b"b", b"")]


@decodes("backup", "entry")
def test_what_stands_before_a_file_of_a_backup(data: bytes) -> None:
    entry = archive.Entry("keys/public.toml", 197)
    assert archive.decode_entry(data) == entry
    assert archive.encode_entry(entry) == data


@decodes("backup-header", "header")
def test_the_header_of_an_increment(data: bytes) -> None:
    path = "audit/00000000.acts"
    logs, parts = {path: backup_header.LogFile(96, 5, 0, "ff")}, {path: 87}
    names = {"kind": "increment", "parent": "a", "parent_digest": "00", "logs": logs, "parts": parts}
    header = backup_header.Header("b", 7, "c", False, False, 9, {}, **names)
    assert backup_header.decode_header(data) == header
    assert header.encode() == data


@decodes("intents", "header")
def test_the_header_of_the_log_of_intents(data: bytes) -> None:
    assert intent.decode_header(data) == bytes(range(16))
    assert intent.encode_header(bytes(range(16))) == data


@decodes("intents", "intent")
def test_an_intent(data: bytes) -> None:
    digests = intent.Digests(bytes(16))
    name, request = digests.of(b"admin", b"order-7"), digests.of(b"put", b"x")
    expected = intent.Intent(TIME_MS, name, request, (digests.part(COLLECTION, 0, [KEY]),))
    assert intent.decode(data, 0) == (expected, len(data))
    assert intent.encode(expected) == data


@decodes("transactions", "header")
def test_the_header_of_the_transaction_log(data: bytes) -> None:
    assert transaction.decode_header(data) == (COLLECTION, 0)
    assert transaction.encode_header(LogHeader(COLLECTION, 0)) == data


@decodes("transactions", "decision")
def test_a_decision(data: bytes) -> None:
    writes = (Writes(COLLECTION, ((b"a", b"1"),)), Writes(bytes(range(16)), ((b"b", b""),)))
    decision = Decision(transaction.HEADER_BYTES, writes)
    assert list(transaction.walk(EXAMPLES["transactions", "header"] + data, 0)) == [(decision, 44 + len(data))]
    assert transaction.encode(decision) == data


@decodes("transactions", "batch")
def test_a_batch_of_a_transaction(data: bytes) -> None:
    bodies = record.encode_many(TIME_MS, [b"a"], [b"1"])
    assert batch.encode(bodies, transaction.HEADER_BYTES) == data
    assert batch.decode(data, 0) == (1, 20, transaction.HEADER_BYTES)
    assert record.item_at(data, batch.TRANSACTION_HEADER_BYTES) == (b"a", b"1")


@decodes("raft", "header")
def test_the_header_of_a_file_of_the_replicated_log(data: bytes) -> None:
    header = raft_log.FileHeader(bytes(range(16)), 0, 0, raft_log.FIRST)
    assert raft_log.decode_header(data) == header
    assert raft_log.encode_header(header) == data


@decodes("raft", "batch")
def test_a_batch_of_the_replicated_log(data: bytes) -> None:
    header = EXAMPLES["raft", "header"]
    state, entry = HardState(3, "node2", 41), Entry(42, 3, EntryKind.COMMAND, b"put")
    start = raft_log.HEADER_BYTES
    [found] = raft_log.walk(header + data, raft_log.decode_header(header))
    assert (found.head.state, found.head.forced, found.entries) == (state, start, ((42, 3),))
    assert raft_log.decode_entry(header + data, found.offsets[0]) == entry
    assert raft_log.encode_batch(state, [raft_log.encode_entry(entry)], start, raft_log.FIRST, start) == data


@decodes("raft", "command")
def test_a_command_of_the_replicated_log(data: bytes) -> None:
    assert raft_log.unwrap(data) == (b"abcdefgh", 7, b"put")
    assert raft_log.wrap(b"abcdefgh", 7, b"put") == data


@decodes("commands", "put")
def test_a_command_that_stores_a_record(data: bytes) -> None:
    envelope, content = commands.decode(data)
    assert (envelope.id, envelope.time_ms, envelope.seed) == (bytes(range(16)), TIME_MS, b"")
    assert content == commands.Put(COLLECTION, KEY, VALUE)
    assert commands.encode(bytes(range(16)), TIME_MS, b"", content) == data


TRANSACTION = bytes(range(16, 32))
PREPARE = commands.Prepare(TRANSACTION, "ab-0", (), (commands.CommitPart(COLLECTION, ((KEY, VALUE),)),))


@decodes("pending", "prepare")
def test_a_command_that_prepares_a_part(data: bytes) -> None:
    envelope, content = commands.decode(data)
    assert (envelope.time_ms, content) == (TIME_MS, PREPARE)
    assert commands.encode(bytes(range(16)), TIME_MS, b"", PREPARE) == data


@decodes("pending", "pending")
def test_what_has_not_ended(data: bytes) -> None:
    prepared = applied.Prepared(TIME_MS, b"", commands.encode_content(PREPARE))
    found = applied.Unfinished((prepared,), (applied.Decided(TRANSACTION, ("ab-1",)),))
    assert applied.decode_unfinished(data) == found
    assert applied.encode_unfinished(found) == data


@decodes("applied", "applied")
def test_how_far_the_log_was_applied(data: bytes) -> None:
    found = applied.Applied(7, TIME_MS, {COLLECTION: 1}, (1,))
    assert applied.decode_applied(data) == found
    assert applied.encode_applied(found) == data


@decodes("applied", "outcomes")
def test_what_became_of_commands(data: bytes) -> None:
    digest = commands.digest_of(commands.encode_content(commands.Put(COLLECTION, KEY, VALUE)))
    found = applied.Outcome(bytes(range(16)), digest, 0)
    assert applied.decode_outcomes(data) == [found]
    assert applied.encode_outcomes([found]) == data


@decodes("stream-message", "two")
def test_a_message_of_a_stream(data: bytes) -> None:
    found = stream_message.decode(data)
    assert (found.sort, found.pieces, found.origin, found.number) == (stream_message.Sort.COMMANDS, 1, b"abcdefgh", 7)
    assert list(stream_message.commands_in(found.data)) == [b"put", b"get"]
    assert stream_message.encode_commands(b"abcdefgh", 7, [b"put", b"get"], len(data)) == [data]


@decodes("stream-message", "first")
def test_the_first_piece_of_a_command(data: bytes) -> None:
    found = stream_message.decode(data)
    assert (found.piece, found.pieces, found.number) == (0, 2, 9)
    assert stream_message.encode_commands(b"abcdefgh", 9, [b"a long one"], len(data))[0] == data


@decodes("stream-message", "second")
def test_the_last_piece_of_a_command(data: bytes) -> None:
    whole = stream_message.decode(EXAMPLES["stream-message", "first"]).data + stream_message.decode(data).data
    assert list(stream_message.commands_in(whole)) == [b"a long one"]


@decodes("stream-message", "barrier")
def test_a_barrier_in_a_stream(data: bytes) -> None:
    barrier = stream_message.Message(stream_message.Sort.BARRIER, 0, 1, b"abcdefgh", 1, b"")
    assert stream_message.decode(data) == barrier
    assert stream_message.encode(barrier) == data


@decodes("raft", "members")
def test_the_members_of_a_cluster(data: bytes) -> None:
    voter = Member("node1", "10.0.0.1:8080", "10.0.0.1:9080")
    learner = Member("node2", "10.0.0.2:8080", "10.0.0.2:9080", ClusterRole.LEARNER)
    assert consensus.decode_members(data) == Members((voter, learner))
    assert consensus.encode_members(Members((voter, learner))) == data


@decodes("audit-log", "header")
def test_the_header_of_a_file_of_the_audit_log(data: bytes) -> None:
    header = audit_log.FileHeader(COLLECTION, 0, 0, audit_log.FIRST)
    assert audit_log.decode_header(data) == header
    assert audit_log.encode_header(header) == data


@decodes("audit-log", "entry")
def test_an_entry_of_the_audit_log(data: bytes) -> None:
    what = ("put", "default", KEY, 9, 1, "ok", "r1", 0)
    act = Act(TIME_MS, "ann", "1f2e3d4c", "127.0.0.1", "http", *what)  # type: ignore[arg-type]
    entry = audit_log.decode(data, 0, audit_log.FIRST)
    assert entry == (act, entry.hash, len(data))
    assert audit_log.encode(act, audit_log.FIRST) == (data, entry.hash)
    assert f"`{entry.hash.hex()}`" in PAGES["audit-log"]


@decodes("block", "seal")
def test_a_seal(data: bytes) -> None:
    seal, size = block.decode_seal(data, 0)
    leaf = sha256(EXAMPLES["chain", "record"][4:]).digest()
    expected = BlockHeader(COLLECTION, 0, 0, 1, len(KEY + VALUE), TIME_MS, TIME_MS, GENESIS, leaf)
    assert seal.header == expected
    assert (size, seal.first_place, seal.frontier) == (len(data), segment.HEADER_BYTES, ())
    assert block.encode_seal(seal) == data
    assert check_seal(seal, Head(), COLLECTION, {SIGNER.key_id: SIGNER.public_key}) is None
    assert f"`{seal.header.hash().hex()}`" in PAGES["block"]


@decodes("table", "table")
def test_a_table(data: bytes) -> None:
    place = segment.HEADER_BYTES
    seal = place + len(EXAMPLES["chain", "record"])
    end = seal + len(EXAMPLES["block", "seal"])
    header = table.decode_header(data)
    about = {"number": 1, "tier": 0, "first_sequence": 0, "first_place": place, "end_place": end, "first_block": 0}
    assert header._asdict().items() >= {**about, "records": 1, "seals": 1, "data_bytes": 17}.items()
    assert list(pages.bad_pages(data, header)) == []
    found = Table(data, "example", DictChain({place: (KEY, VALUE)}))
    assert found.find(KEY, key_hash(KEY)) == (place, VALUE)
    assert found.seals() == [seal]
    assert build(header, [([KEY], [place])], [seal]) == data


@decodes("index", "index")
def test_an_index_file(data: bytes) -> None:
    place = segment.HEADER_BYTES
    header = index.decode_header(data)
    about = {"number": 1, "tier": 0, "unique": 0, "first_place": place, "end_place": 83, "records": 1, "entries": 1}
    assert header._asdict().items() >= {"collection": COLLECTION, "index_id": bytes(range(16)), **about}.items()
    entry = (ordered.encode("Oslo") + index.place_bytes(place), place)
    assert index_file.IndexFile(data, "example").window(0, 1) == [entry]
    assert index_file.build(header, [[entry]]) == data


@decodes("ordered", "array")
def test_an_array_of_values(data: bytes) -> None:
    assert ordered.encode(["Oslo", -2.5, None]) == data
    assert ordered.decode(data) == (["Oslo", -2.5, None], len(data))


@decodes("ordered", "long")
def test_a_number_that_no_double_is(data: bytes) -> None:
    assert ordered.encode(2**53 + 1) == data
    assert ordered.decode(data) == (2**53 + 1, len(data))


@decodes("packed", "packed")
def test_a_packed_chain_file(data: bytes) -> None:
    chain_file = EXAMPLES["chain", "header"] + EXAMPLES["chain", "record"]
    index = packed.decode(data)
    assert index.header[:3] == (COLLECTION, 0, len(chain_file))
    assert index.starts == [0, segment.HEADER_BYTES, len(chain_file)]
    assert packed.unpack(data) == chain_file
    assert packed.unpack(packed.encode(COLLECTION, 0, chain_file, index.starts[:-1])) == chain_file


@decodes("mark", "mark")
def test_a_mark(data: bytes) -> None:
    forced = segment.HEADER_BYTES + len(EXAMPLES["chain", "record"])
    written = forced + len(EXAMPLES["block", "seal"])
    expected = Mark(COLLECTION, bytes(range(16)), written, forced, clean=False)
    assert mark.decode(data) == expected
    assert mark.encode(expected) == data


@decodes("nodes", "nodes")
def test_the_node_file(data: bytes) -> None:
    left, right = sha256(b"left").digest(), sha256(b"right").digest()
    nodes.check_header(data, COLLECTION)
    assert data == nodes.encode_header(COLLECTION) + left + right + node_hash(left, right)
    assert (nodes.chunks_in(len(data)), nodes.size_of(2)) == (2, len(data))
    assert [nodes.node(data, *at) for at in ((0, 0), (0, 1), (1, 0))] == [left, right, node_hash(left, right)]


DATA_KEYS = DataKeys([(bytes(range(1, 9)), bytes(range(32)))], bytes(range(1, 9)))


@decodes("sealed", "pages")
def test_a_sealed_file_that_was_written_once(data: bytes) -> None:
    binding = Binding(Kind.SIGNING_KEY)
    assert sealed.open_file(data, binding, DATA_KEYS) == b'kind = "signing key"\n'
    assert sealed.seal(b'kind = "signing key"\n', binding, DATA_KEYS, bytes(range(16))) == data
    assert len(data) == sealed.file_bytes(21)


@decodes("sealed", "pieces")
def test_a_sealed_file_that_grows(data: bytes) -> None:
    binding = Binding(Kind.CHAIN, COLLECTION, 0)
    parts = [EXAMPLES["chain", "header"], EXAMPLES["chain", "record"]]
    assert list(Pieces(data, binding, DATA_KEYS).open(data)) == parts
    assert sealed.open_file(data, binding, DATA_KEYS) == b"".join(parts)
    assert len(data) == sealed.HEADER_BYTES + 2 * sealed.PIECE_EXTRA_BYTES + sum(map(len, parts))


@decodes("keyring", "keyring")
def test_a_keyring(data: bytes) -> None:
    values, master = checked_toml.decode(data), bytes(range(32, 64))
    assert keyring.wrapping_of(values) == (keyring.master_id(master), None)
    assert keyring.unwrap(values, master) == DATA_KEYS
    wrapped = keyring.wrap(DATA_KEYS, master, None, [bytes(range(24))])
    assert checked_toml.encode({"kind": keyring.KEYRING, "format": 1, **wrapped}) == data


@decodes("checked-toml", "registry")
def test_a_registry(data: bytes) -> None:
    values = {"kind": "registry", "format": 1, "collections": {"default": f"col_{UUID(bytes=COLLECTION)}"}}
    assert checked_toml.decode(data) == values
    assert checked_toml.encode(values) == data


@decodes("metadata", "metadata")
def test_the_metadata_of_a_collection(data: bytes) -> None:
    entry = SchemaEntry(1, 0, TIME_MS, "ann", '{"version":1,"fields":{}}', True)
    expected = Metadata("col_00112233-4455-6677-8899-aabbccddeeff", "users", 1_700_000_000, 1000, schemas=(entry,))
    with TemporaryDirectory() as directory:
        path = Path(directory, "metadata.toml")
        path.write_bytes(data)
        assert load_metadata(Door(), path) == expected
        save_metadata(Door(), path, expected)
        assert path.read_bytes() == data


@decodes("note-file", "notes")
def test_a_file_of_notes(data: bytes) -> None:
    found = note_file.decode(data)
    assert [note.partition("\n")[0] for note in found.notes] == ["one", "two"]
    assert all(Note.parse(note).encode() == note for note in found.notes)
    whole = b""
    for note in found.notes:
        whole += note_file.encode_next(note, len(whole))
    assert whole == data[: found.good_bytes]


def test_every_example_is_decoded() -> None:
    assert EXAMPLES.keys() == CHECKED


# ── the tables of fields ─────────────────────────────────────────────────────────────────────────────────────────


def layouts_of(page: str) -> list[list[tuple[int, int | None]]]:
    """Offset and size of each field, for each table of a page; the size is None where it varies."""
    layouts: list[list[tuple[int, int | None]]] = []
    for line in PAGES[page].splitlines():
        if re.match(r"\| offset \| size \|", line):
            layouts.append([])
        elif row := re.match(r"\| (\d+) \| ([^|]*)\|", line):
            layouts[-1].append((int(row[1]), int(row[2]) if row[2].strip().isdigit() else None))
    return layouts


SIZES = {
    "chain": [segment.HEADER_BYTES, record.HEADER_BYTES, batch.HEADER_BYTES],
    "block": [len(BlockHeader(b"", 0, 0, 0, 0, 0, 0, b"", b"").encode()), len(EXAMPLES["block", "seal"])],
    "table": [pages.HEADER_BYTES],
    "index": [pages.HEADER_BYTES],
    "audit-log": [audit_log.HEADER_BYTES, audit_log.ENTRY_BYTES],
    "mark": [mark.MARK_BYTES],
    "packed": [packed.HEADER_BYTES],
    "peer-frames": [peer_frame.HEADER_BYTES],
    "raft": [raft_log.HEADER_BYTES, raft_log.HEAD_BYTES, raft_log.ENTRY_BYTES],
    "sealed": [sealed.HEADER_BYTES],
    "stream-message": [stream_message.MESSAGE_BYTES],
    "transactions": [transaction.HEADER_BYTES, transaction.DECISION_BYTES, batch.TRANSACTION_HEADER_BYTES],
}


@pytest.mark.parametrize("page", SIZES)
def test_fields_follow_each_other_and_have_the_size_of_the_codec(page: str) -> None:
    ends = []
    for layout in layouts_of(page):
        expected = 0
        for offset, size in layout:
            assert offset == expected
            expected = offset + (size or 0)
        ends.append(expected)
    assert ends == SIZES[page]


# ── the pages ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_codec_names_its_page_and_every_page_has_a_codec() -> None:
    named = {
        page
        for path in (ROOT / "blockdb").rglob("*.py")
        for page in re.findall(r"Format page: docs/formats/([\w-]+)\.md", path.read_text())
    }
    assert named == PAGES.keys() - {"README"}


def test_the_index_names_every_page_and_every_codec_module() -> None:
    links = set(re.findall(r"\]\(([\w-]+)\.md\)", PAGES["README"]))
    assert links == PAGES.keys() - {"README"}
    helpers = {"__init__", "buffer", "bulk", "checks", "limits", "sizes"}
    codecs = {path.stem for path in (ROOT / "blockdb" / "format").glob("*.py")} - helpers
    assert codecs <= set(re.findall(r"`(\w+)`", PAGES["README"]))


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short_and_their_links_lead_somewhere(page: str) -> None:
    assert len(PAGES[page].encode()) <= MAX_PAGE_BYTES + 700 * (page == "README")
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", PAGES[page]):
        assert (ROOT / "docs" / "formats" / target).exists(), target
    for path in re.findall(r"`((?:blockdb|tests)/[\w./]+)`", PAGES[page]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"README"}))
def test_each_page_says_what_is_to_be_said(page: str) -> None:
    for part in ("**A reader checks**", "**Limits.**", "```hex"):
        assert part in PAGES[page], part
    assert "**Version rule.**" in PAGES[page] or "`format` is an error" in PAGES[page]
