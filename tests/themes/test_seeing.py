"""Contrast, colour blindness and differences are measured as their standards do, and every theme stands up to that."""

from __future__ import annotations

import pytest

import blockdb_themes as themes
from blockdb_themes import seeing

KNOWN = [name for name in themes.shipped_names() if not themes.load_shipped(name).is_native]
SAFE = ("okabe", "tol", "contrast")
"""For people with any kind of colour blindness."""


def test_contrast_is_measured_as_the_standard_does() -> None:
    assert seeing.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert seeing.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_are_those_of_the_published_pairs(
    one: seeing.Triple, other: seeing.Triple, expected: float
) -> None:
    assert seeing._ciede2000(one, other) == pytest.approx(expected, abs=0.0001)
    assert seeing._ciede2000(other, one) == pytest.approx(expected, abs=0.0001)


def test_black_and_white_are_a_hundred_apart() -> None:
    assert seeing.difference("#000000", "#ffffff") == pytest.approx(100, abs=0.1)
    assert seeing.difference("#123456", "#123456") == 0


def test_who_lacks_a_cone_takes_red_for_green_but_not_black_for_white() -> None:
    for kind in seeing.BLINDNESS:
        assert {seeing.as_seen(colour, kind) for colour in ("#000000", "#ffffff")} == {"#000000", "#ffffff"}
    red, green = "#d03030", "#628a00"
    seen = [seeing.difference(seeing.as_seen(red, kind), seeing.as_seen(green, kind)) for kind in seeing.BLINDNESS]
    apart = seeing.difference(red, green)
    assert min(seen[:2]) < apart / 4
    assert seen[2] > apart / 2


@pytest.mark.parametrize("name", KNOWN)
def test_words_can_be_read_on_every_ground(name: str) -> None:
    least = 7 if name.startswith("contrast") else 4.5
    assert not list(seeing.faint(themes.load_shipped(name), least))


@pytest.mark.parametrize("name", KNOWN)
def test_the_selected_row_can_be_read(name: str) -> None:
    roles = themes.load_shipped(name).roles
    assert seeing.contrast(roles["text"], roles["selection"]) >= 4.5
    assert seeing.contrast(roles["muted"], roles["selection"]) >= 3


@pytest.mark.parametrize("name", KNOWN)
def test_graphs_stand_out_from_the_ground(name: str) -> None:
    roles = themes.load_shipped(name).roles
    assert all(seeing.contrast(roles[graph], roles["background"]) >= 3 for graph in seeing.GRAPHS)


@pytest.mark.parametrize("name", SAFE)
def test_states_and_graphs_are_told_apart_with_any_kind_of_colour_blindness(name: str) -> None:
    assert not list(seeing.alike(themes.load_shipped(name), 10))


def test_what_is_faint_or_alike_is_found() -> None:
    basalt = themes.load_shipped("basalt")
    dim = themes.Theme("dim", True, {**basalt.roles, "muted": "#444444"})
    assert [(role, ground) for role, ground, _ in seeing.faint(dim, 4.5)] == [("muted", it) for it in seeing.GROUNDS]
    assert ("success", "error", "deuteranopia") in [it[:3] for it in seeing.alike(basalt, 10)]
