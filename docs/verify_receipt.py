"""Check a receipt of a BlockDB database with none of its code: python verify_receipt.py RECEIPT VKEY [WITNESS-VKEY ...]
Prints what the receipt proves. Exit status 0: it holds, 1: it does not. RECEIPTS.md explains formats and limits."""

import json
import re
import sys
from base64 import b64decode as decode
from collections import namedtuple
from hashlib import sha256
from pathlib import Path
from struct import unpack

CHAR, NUMBER = "[A-Za-z0-9+/]", "(0|[1-9][0-9]{0,17})"
HASH = f"{CHAR}{{42}}[AEIMQUYcgkosw048]="  # base64 of 32 bytes; only these characters leave no unused bit set before =
WORD = f"(?:{CHAR}{{4}})*(?:{CHAR}{{4}}|{CHAR}{{2}}[AEIMQUYcgkosw048]=|{CHAR}[AQgw]==)"  # of any; RFC 4648 §4, §3.5
HASHES, RECORDS = f"((?:{HASH}\n)*)", f"((?:record {WORD}\n)*)"
CHECKPOINT = f"(([^\\s+]+)\n{NUMBER}\n({HASH})\n)\n((?:— [^\\s+]+ {WORD}\n)+)"  # c2sp.org/tlog-checkpoint, /signed-note
RECORD = f"c2sp[.]org/tlog-proof@v1\n(extra {WORD}\n)index {NUMBER}\n{HASHES}"  # c2sp.org/tlog-proof
RUN = f"blockdb/run-proof@v1\nindex {NUMBER}\n{RECORDS}{HASHES}"
RANGE = f"""blockdb/range-proof@v1\n(?:start ({WORD})\n)?(?:end ({WORD})\n)?index {NUMBER}
(?:before ({WORD} {HASH})\n)?{RECORDS}(?:after ({WORD} {HASH})\n)?{HASHES}collection ([0-9a-f-]+)
at {NUMBER}\nstate ({WORD})\n{HASHES}"""
Record = namedtuple("Record", "key leaf value time_ms", defaults=(b"", 0))


def require(condition, otherwise):
    if not condition:
        raise ValueError(otherwise)


def root_of(leaves, first, size, others, side):  # RFC 6962 §2.1: MTH of a tree of which these leaves are known
    if size == 1:
        return leaves[0]
    k = 1 << (size - 1).bit_length() - 1  # the largest power of two smaller than size
    right = (others or [b""]).pop() if first + len(leaves) <= k else None  # with none of them: its hash is given, last;
    left = (others or [b""]).pop(side) if first >= k else None  # the left one's too in a PATH (§2.1.1), else first
    left = root_of(leaves[: k - first], first, k, others, side) if left is None else left
    right = root_of(leaves[max(k - first, 0) :], max(first - k, 0), size - k, others, side) if right is None else right
    return sha256(b"\x01" + left + right).digest()  # a leaf begins with 0x00, so that neither passes for the other


def check_tree(leaves, first, size, hashes, root, side=0):
    others = [decode(line) for line in hashes.split()]
    require(leaves and first + len(leaves) <= size, "the records are not in the tree")
    require(root_of(leaves, first, size, others, side) == root and not others, "the hashes do not lead to the root")


def record_in(word):  # formats/chain.md: kind, time (upper 16 bits, lower 32), length of key and content, key, content
    data = decode(word)
    kind, high, low, key_size, size = unpack("<BHIHI", data[:13].ljust(13, b"\0"))
    key, content, covered = data[13 : 13 + key_size], data[13 + key_size :], data
    require(kind in (1, 2) and 0 < key_size == len(key) and size == len(content), "no record")
    if kind == 2:  # redactable: the leaf ends with SHA-256(salt of 16 bytes | value); these follow, or zeros: erased
        is_there = sha256(content[32:]).digest() == content[:32]
        require(size >= 48 and (is_there or not any(content[32:])), "the value is not the one of the digest")
        content, covered = content[48:] if is_there else None, data[: 13 + key_size + 32]
    return Record(key, sha256(b"\x00" + covered).digest(), content, high << 32 | low)


def check_signature(text, lines, vkey, origin=""):  # c2sp.org/signed-note; by a database, else by a witness
    from nacl.signing import VerifyKey

    name, _, key = vkey.split("+", 2)  # NAME+ID+KEY, where KEY begins with the type of the signature
    require(f"{origin or name}/".startswith(f"{name}/"), f"the checkpoint is not of {name}, but of {origin}")
    signer, key = origin or name, decode(key)  # a database's key speaks for what is below its name, too
    key_id = sha256(f"{signer}\n".encode() + key).digest()[:4]
    split = [line.rpartition(" ") for line in lines.splitlines()]
    found = [decode(word)[4:] for owner, _, word in split if owner == f"— {signer}" and decode(word)[:4] == key_id]
    require(found, f"{signer} has not signed the checkpoint with this key")
    for signature in found:  # c2sp.org/tlog-cosignature: a witness signs the time, too, in eight bytes before it
        time = "" if origin else f"cosignature/v1\ntime {int.from_bytes(signature[:8], 'big')}\n"
        VerifyKey(key[1:]).verify(f"{time}{text}".encode(), signature if origin else signature[8:])


def check(text, vkey, *witnesses):
    head, _, note = text.partition("\n\n")
    checkpoint = re.fullmatch(CHECKPOINT, note)
    signed, origin, size, root, lines = checkpoint.groups() if checkpoint else require(checkpoint, "no checkpoint")
    check_signature(signed, lines, vkey, origin)
    for witness in witnesses:
        check_signature(signed, lines, witness)
    if origin.endswith("/journal") and (shape := re.fullmatch(RANGE, f"{head}\n")):
        return check_range(shape, origin, int(size), decode(root))
    shape = re.fullmatch(f"{RECORD}|{RUN}", f"{head}\n")
    extra, index, path, first, records, hashes = shape.groups() if shape else require(shape, "this is no receipt")
    shown = [record_in(line.split()[1]) for line in (extra or records).splitlines()]
    leaves, first = [one.leaf for one in shown], int(index or first)
    check_tree(leaves, first, int(size), path or hashes, decode(root), -1 if extra else 0)
    return [f"{origin} had {size} records; from number {first} on these:", *map(str, shown)]


def check_range(shape, origin, size, root):
    start, end, index, before, records, after, hashes, collection, at, state, path = shape.groups()
    state, low, high, index = record_in(state), decode(start or ""), decode(end or ""), int(index)
    check_tree([state.leaf], int(at), size, path, root, -1)
    event = json.loads(state.value)
    spelled = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    require(event["event"] == "state" and spelled == state.value, "the record in the journal is no state")
    total, keys_root = (event["collections"][collection][name] for name in ("records", "keys"))
    before, after = ([Record(*map(decode, one.split()))] if one else [] for one in (before, after))
    shown = [record_in(line.split()[1]) for line in records.splitlines()]
    keys = [one.key for one in before + shown + after]
    require(keys == sorted(set(keys)) and (not end or low <= high), "the keys are not in order")
    require(all(low <= one.key and (not end or one.key < high) for one in shown), "a record is outside of the range")
    require(before[0].key < low if before else index == 0, "a record before the range is left out")
    require(end and high <= after[0].key if after else index + len(keys) == total, "a record after it is left out")
    leaves = [b"\x00" + len(one.key).to_bytes(2, "big") + one.key + one.leaf for one in before + shown + after]
    if total or keys_root != sha256().hexdigest():
        check_tree([sha256(one).digest() for one in leaves], index, total, hashes, bytes.fromhex(keys_root))
    about = f"{collection} had {total} records at {state.time_ms}; with keys from {low} on, before {end and high}:"
    return [about, *map(str, shown)]


if __name__ == "__main__":
    try:
        print("\n".join(check(Path(sys.argv[1]).read_bytes().decode(), *sys.argv[2:])))
    except ImportError:
        sys.exit("Ed25519 signatures are checked with PyNaCl: python -m pip install pynacl")
    except Exception as error:
        sys.exit(f"REFUSED: {error}")
