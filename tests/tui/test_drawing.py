import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from blockdb.commands.display import printable
from blockdb_tui.drawing import ago, area, bar, fit, fitted_line, layered, nice_ceiling, short_hash

SAFE = st.text().map(printable)


@given(SAFE, st.integers(0, 40), st.booleans())
def test_a_text_fits_its_cells_exactly(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, right=right)) == width


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    assert fit("abcdef", 4) == "abc…"
    assert fit("ab", 4) == "ab  "
    assert fit("ab", 4, right=True) == "  ab"
    assert fit("日本語", 4) == "日 …"


@given(st.lists(SAFE), st.integers(0, 30))
def test_a_line_of_pieces_fits_its_cells_exactly(texts: list[str], width: int) -> None:
    line = fitted_line([(text, Style()) for text in texts], width)
    assert cell_len(line.text) == width


def test_a_bar_is_filled_by_eighths() -> None:
    assert bar(0, 4) == "    "
    assert bar(1, 4) == "████"
    assert bar(0.5, 4) == "██  "
    assert bar(0.53, 4) == "██▏ "
    assert bar(0.0001, 4) == "▏   "
    assert bar(7, 4) == "████"


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (0.3, 0.5), (1, 1), (7, 10), (11, 20), (201, 500), (1000, 1000)]
)
def test_scales_stand_on_round_numbers(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_an_area_rises_from_the_bottom_right() -> None:
    assert area([1, 2, 3, 4], 2, 1, 4) == ["⣠⣾"]
    assert area([4, 4], 3, 1, 4) == ["  ⣿"]
    assert area([8, 8], 1, 2, 8) == ["⣿", "⣿"]
    assert area([4, 4], 1, 2, 8) == [" ", "⣿"]
    assert area([0.001, 0], 1, 1, 8) == ["⡀"]
    assert area([], 2, 1, 1) == ["  "]


def test_layers_are_coloured_by_the_lowest_that_reaches() -> None:
    rows = layered([[1, 1], [4, 4], [8, 8]], 1, 3, 12)
    assert [row[0][1] for row in rows] == [2, 2, 0]
    rows = layered([[1, 1], [6, 6], [8, 8]], 1, 2, 8)
    assert [row[0][1] for row in rows] == [1, 0]


def test_hashes_keep_both_ends() -> None:
    digest = bytes(range(32))
    assert short_hash(digest, 12) == "00010203…e1f"
    assert len(short_hash(digest, 12)) == 12
    assert short_hash(digest, 64) == digest.hex()


def test_ages_are_told_in_their_largest_unit() -> None:
    assert [ago(ms) for ms in (0, 999, 1000, 61_000, 3_600_000, 200_000_000)] == [
        "now",
        "now",
        "1 s ago",
        "1 min ago",
        "1 h ago",
        "2 d ago",
    ]
