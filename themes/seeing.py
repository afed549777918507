"""How colours are seen: contrast as WCAG 2.1 measures it, colour blindness, and how far apart two colours look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Final, TypeAlias

from .theme import Theme

__all__ = ["BLINDNESS", "GRAPHS", "GROUNDS", "STATES", "WORDS", "alike", "as_seen", "contrast", "difference", "faint"]

Triple: TypeAlias = tuple[float, float, float]

GROUNDS: Final = ("background", "surface", "panel")
WORDS: Final = (
    *("text", "muted", "accent", "primary", "secondary", "success", "warning", "error"),
    *("key", "string", "number", "boolean", "null"),
)
STATES: Final = ("success", "warning", "error")
GRAPHS: Final = ("graph1", "graph2", "graph3", "graph4")

BLINDNESS: Final[Mapping[str, tuple[Triple, Triple, Triple]]] = MappingProxyType(
    {
        "protanopia": (
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ),
        "deuteranopia": (
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.011820, 0.042940, 0.968881),
        ),
        "tritanopia": (
            (1.255528, -0.076749, -0.178779),
            (-0.078411, 0.930809, 0.147602),
            (0.004733, 0.691367, 0.303900),
        ),
    }
)
"""What linear red, green and blue become to people who lack one kind of cone: Machado, Oliveira and Fernandes, 2009."""

_TO_XYZ: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE: Final = (0.95047, 1.0, 1.08883)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb`, from 1 to 21, as WCAG 2.1 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def as_seen(colour: str, blindness: str) -> str:
    """A colour `#rrggbb` as somebody with a kind of `BLINDNESS` sees it."""
    seen = _times(BLINDNESS[blindness], _linear(colour))
    return "#" + "".join(f"{round(255 * _curved(min(max(part, 0.0), 1.0))):02x}" for part in seen)


def difference(one: str, other: str) -> float:
    """How different two colours `#rrggbb` look (CIEDE2000): 1 is just noticed, black and white are 100 apart."""
    return _ciede2000(_lab(one), _lab(other))


def faint(theme: Theme, least: float) -> Iterator[tuple[str, str, float]]:
    """Words of which the contrast to a ground is less than `least`: (role, ground, contrast)."""
    for role in WORDS:
        for ground in GROUNDS:
            if (found := contrast(theme.roles[role], theme.roles[ground])) < least:
                yield role, ground, found


def alike(theme: Theme, least: float) -> Iterator[tuple[str, str, str, float]]:
    """States, and series of graphs, that look alike to somebody: (role, role, kind of blindness, difference)."""
    for group in (STATES, GRAPHS):
        for one, other in combinations(group, 2):
            for kind in BLINDNESS:
                found = difference(as_seen(theme.roles[one], kind), as_seen(theme.roles[other], kind))
                if found < least:
                    yield one, other, kind, found


def _linear(colour: str) -> Triple:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return red, green, blue


def _curved(linear: float) -> float:
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _times(matrix: tuple[Triple, Triple, Triple], vector: Triple) -> Triple:
    one, two, three = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return one, two, three


def _lab(colour: str) -> Triple:
    """L*, a* and b* of a colour under D65."""
    x, y, z = (
        part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116
        for part in (found / white for found, white in zip(_times(_TO_XYZ, _linear(colour)), _WHITE, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _ciede2000(one: Triple, other: Triple) -> float:
    """The difference of two colours in L*a*b*: Sharma, Wu and Dalal, 2005, whose names are kept."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean**7 / (mean**7 + 25**7)))
    c1, h1 = _polar((1 + g) * a1, b1)
    c2, h2 = _polar((1 + g) * a2, b2)
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    d_l, d_c, d_h = l2 - l1, c2 - c1, 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    l, c = (l1 + l2) / 2, (c1 + c2) / 2  # noqa: E741
    h = h1 + h2 if c1 * c2 == 0 else h1 + turn / 2
    t = 1 - 0.17 * _cosine(h - 30) + 0.24 * _cosine(2 * h) + 0.32 * _cosine(3 * h + 6) - 0.20 * _cosine(4 * h - 63)
    s_l = 1 + 0.015 * (l - 50) ** 2 / math.sqrt(20 + (l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c, 1 + 0.015 * c * t
    r_t = -2 * math.sqrt(c**7 / (c**7 + 25**7)) * math.sin(math.radians(60 * math.exp(-(((h % 360 - 275) / 25) ** 2))))
    parts = (d_l / s_l) ** 2 + (d_c / s_c) ** 2 + (d_h / s_h) ** 2 + r_t * (d_c / s_c) * (d_h / s_h)
    return math.sqrt(max(parts, 0.0))


def _polar(a: float, b: float) -> tuple[float, float]:
    """Chroma, and hue in degrees from 0 to 360."""
    return math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360


def _cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))
