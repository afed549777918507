import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb_tui.keytext import Target, get_command, key_of, proof_command, scan_command, shell_word, text_of

ODD = [
    b"a",
    b"user:42",
    b"it's",
    b"a b",
    b"\\x41",
    b"\x00",
    b"\x1b[31m",
    b"\xff\xfe",
    "\u202e".encode(),
    b"-n",
    b"$HOME",
]


@given(st.binary(min_size=1))
def test_every_key_can_be_typed(key: bytes) -> None:
    text = text_of(key)
    assert key_of(text) == key
    assert text.isprintable()


@pytest.mark.parametrize("key", ODD)
def test_odd_keys_can_be_typed(key: bytes) -> None:
    assert key_of(text_of(key)) == key


def test_what_is_typed_plainly_is_taken_as_it_is() -> None:
    assert key_of("é:\\x00\\\\") == "é:".encode() + b"\x00\\"
    assert key_of("\\q") == b"\\q"


@pytest.mark.parametrize("key", [key for key in ODD if b"\0" not in key])
def test_the_shell_reads_the_word_as_the_key(key: bytes) -> None:
    word = shell_word(key)
    assert word is not None
    read = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert read.stdout == key or key == b"-n"


def test_a_key_that_no_shell_takes_is_given_in_base64() -> None:
    assert shell_word(b"a\0b") is None
    assert get_command(Target("/data"), b"a\0b") == "blockdb -d /data get --key-base64 YQBi"
    assert get_command(Target("/data"), b"-n") == "blockdb -d /data get --key-base64 LW4="
    assert scan_command(Target("/data"), b"-\0") == "blockdb -d /data scan --key-base64 --prefix LQA="


def test_the_record_of_any_key_can_be_proven_outside() -> None:
    check = " && blockdb check receipt.txt --key 'v k'"
    prove = "blockdb -d /data prove -o receipt.txt"
    assert proof_command(Target("/data"), b"a b", 7, "v k") == f"{prove} 'a b'{check}"
    assert proof_command(Target("/data"), b"-n", 7, "v k") == f"{prove} -- -n{check}"
    assert proof_command(Target("/data"), b"a\0b", 7, "v k") == f"{prove} --records 7{check}"


def test_a_command_names_the_collection_that_it_is_about() -> None:
    words = shlex.split(scan_command(Target("/data", "my orders"), b"a"))
    assert words == ["blockdb", "-d", "/data", "scan", "--collection", "my orders", "--prefix", "a"]


def test_a_command_is_cut_as_the_shell_cuts_it() -> None:
    assert shlex.split(scan_command(Target("/my data"), b"user: 1")) == [
        "blockdb",
        "-d",
        "/my data",
        "scan",
        "--prefix",
        "user: 1",
    ]
    assert scan_command(Target("/data"), b"") == "blockdb -d /data scan"
