"""Commands of several lines: where they end, and what is run of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from blockdb.commands.line import split
from blockdb_repl.highlight import LineLexer
from blockdb_repl.multiline import blocks, is_unfinished


@pytest.mark.parametrize(
    "text",
    [
        'put a {"x": [1,',
        'put a {"x": "}',
        'put a "b',
        "put a 'b",
        "put --prefix='b",
        "scan \\",
        "put a {",
        "scan \\| awk 'print",
        '\\set a "x',
        'get a\nput a "b\n\nc',
    ],
)
def test_a_command_goes_on(text: str) -> None:
    assert is_unfinished(text)
    assert not is_unfinished(text + "\n")  # an empty line ends it


@pytest.mark.parametrize(
    "text",
    [
        "",
        "get a",
        "# it's {",
        "put p C:\\",
        'put a {"x":"\\"{"}',
        "put a it's",
        "scan \\| awk {print",
        "get '\\'",
        'put a "b\n"',
    ],
)
def test_a_command_is_at_its_end(text: str) -> None:
    assert not is_unfinished(text)


def test_what_is_run_of_a_block() -> None:
    text = 'put a {"x": 1,\n\n "y": [2]}\nscan \\\n  --limit 3\n# a comment\nput b "two\nlines"\nput c {'
    found = list(blocks(text))
    assert [(block.first, block.command) for block in found] == [
        (0, 'put a {"x": 1,\n\n "y": [2]}'),
        (3, "scan   --limit 3"),
        (5, "# a comment"),
        (6, 'put b "two\nlines"'),
        (8, "put c {"),
    ]
    assert split(found[0].command) == ["put", "a", '{"x": 1,\n\n "y": [2]}']
    assert split(found[3].command) == ["put", "b", "two\nlines"]


@given(st.text(alphabet=st.sampled_from("ab \"'\\|{}[],:\n#-"), max_size=40))
def test_every_line_belongs_to_one_command_and_is_coloured(text: str) -> None:
    assert "\n".join(block.typed for block in blocks(text)) == text
    document = Document(text)
    lexed = LineLexer().lex_document(document)
    for number, line in enumerate(document.lines):
        assert "".join(piece[1] for piece in lexed(number)) == line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": 1} --x', ['{"a": 1}', "--x"]),
        ('[1, 2]\t"b"', ["[1, 2]", "b"]),
        ('{"a":\n1}', ['{"a":\n1}']),
        ('{"a": 1}x', ['{"a":', "1}x"]),
        ("[1, 2", ["[1,", "2"]),
        ("{ a }", ["{", "a", "}"]),
        ('{"a": ":{b}"}', ['{"a": "B C"}']),
    ],
)
def test_json_with_blanks_is_one_word(line: str, words: list[str]) -> None:
    assert split(line, {"b": "B C"}) == words
