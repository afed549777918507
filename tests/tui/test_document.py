import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from blockdb_tui.document import FORMATTED_BYTES, Document, best_mode, read_as


def lines_of(document: Document, width: int = 40) -> list[str]:
    layout = document.layout(width)
    return ["".join(text for _, text in layout.line(index)) for index in range(layout.height)]


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (b'{"a": 1}', "json"),
        (b"  [1, 2]", "json"),
        (b"{not json", "text"),
        (b"plain words", "text"),
        ("grüße".encode(), "text"),
        (b"", "text"),
        (b"\x00\x01\x02\x03", "hex"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "hex"),
        (b"[" * 100_000, "text"),
    ],
)
def test_a_value_is_read_as_what_it_is(data: bytes, mode: str) -> None:
    assert best_mode(data) == mode


def test_json_is_set_out_and_coloured() -> None:
    document = read_as(b'{"a":{"b":[1,true,null,"x"]},"e":[],"f":{}}', "json")
    assert lines_of(document) == [
        "{",
        '  "a": {',
        '    "b": [',
        "      1,",
        "      true,",
        "      null,",
        '      "x"',
        "    ]",
        "  },",
        '  "e": [],',
        '  "f": {}',
        "}",
    ]
    layout = document.layout(40)
    assert [role for role, _ in layout.line(1)] == ["border", "key", "muted", "muted"]
    assert [layout.line(at)[1][0] for at in (3, 4, 5, 6)] == ["number", "boolean", "null", "string"]


def test_no_token_of_json_is_changed() -> None:
    text = r'{"twice": 1e2, "twice": 0.10, "escaped": "a\"b\u0041", "big": 123456789012345678901234567890}'
    shown = "".join(lines_of(read_as(text.encode(), "json"), 200))
    assert shown.replace(" ", "") == text.replace(" ", "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_of_any_shape_keeps_its_meaning(value: object) -> None:
    text = json.dumps([value])
    assert json.loads("".join(lines_of(read_as(text.encode(), "json"), 10_000))) == [value]


def test_what_is_not_json_is_shown_as_text_and_says_so() -> None:
    document = read_as(b"{oops", "json")
    assert lines_of(document) == ["{oops"]
    assert "not JSON" in document.note


@given(st.text(), st.integers(8, 60))
def test_wrapped_text_fits_and_is_whole(text: str, width: int) -> None:
    lines = lines_of(read_as(text.encode("utf-8", "surrogatepass"), "text"), width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines) == "".join(lines_of(read_as(text.encode("utf-8", "surrogatepass"), "text"), 1 << 20))


def test_a_wrapped_line_of_json_is_set_in() -> None:
    lines = lines_of(read_as(b'{"a": {"b": "' + b"x" * 40 + b'"}}', "json"), 20)
    assert lines[2] == '    "b": "' + "x" * 10
    assert lines[3] == "      " + "x" * 14
    assert all(len(line) <= 20 for line in lines)


def test_hex_shows_every_byte() -> None:
    document = read_as(bytes(range(64, 90)), "hex")
    assert lines_of(document, 76) == [
        "00000000  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO",
        "00000010  50 51 52 53 54 55 56 57  58 59                    PQRSTUVWXY",
    ]
    assert lines_of(read_as(b"\x1b[2J\x00\xff", "hex"), 76)[0].endswith(" ·[2J··")


@pytest.mark.parametrize(("width", "per_row"), [(20, 4), (44, 8), (76, 16), (142, 32)])
def test_hex_takes_as_many_bytes_as_there_is_room_for(width: int, per_row: int) -> None:
    first = lines_of(read_as(bytes(100), "hex"), width)[0]
    assert first.count("00 ") + first.count("00\n") >= per_row - 1
    assert first.rstrip().endswith("·" * per_row)


def test_sixty_four_megabytes_in_hex_cost_nothing_until_they_are_looked_at() -> None:
    data = bytes(64 << 20)
    began = time.thread_time()
    layout = read_as(data, "hex").layout(76)
    last = layout.line(layout.height - 1)
    assert time.thread_time() - began < 0.5
    assert layout.height == (64 << 20) // 16
    assert last[0][1].startswith("03fffff0")


def test_a_long_text_is_cut_in_words() -> None:
    document = read_as(b"a" * (FORMATTED_BYTES + 10), "text")
    assert "first 1 MB" in document.note
    assert "hex shows all" in document.note
    too_long = read_as(b"[" + b" " * FORMATTED_BYTES + b"]", "json")
    assert "too long" in too_long.note
