"""SVG elements as escaped text: the only place where markup of figures is put together."""

import re
import unicodedata
from html import escape

FONT_STACK = (
    "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', Ubuntu, Cantarell, 'Helvetica Neue', Arial,"
    " 'Liberation Sans', sans-serif"
)
"""The system's own sans-serif: nothing is loaded. The page's sheet names the same."""

WIDTH_PX = 960
"""The reading width of the console and the report."""
NARROW_PX = 560
"""Under this a figure is laid out for a phone."""
POINTS_MAX = 300
"""25 years of months; a line with more points is no longer read point by point."""
TEXT_PX, SMALL_PX, LARGE_PX = 13, 12, 16
"""Sizes of text in figures; none under 12 px at the width a figure is drawn for."""

# Literal colours of the light theme, for readers of a figure that has no style sheet; the classes
# of the same names in static/css/figures.css override them and follow light and dark.
FALLBACK_FILL = {
    "ink": "#1d232e",
    "muted": "#565d68",
    "risk": "#bf4c1b",
    "risk-text": "#a63b06",
    "area": "#2c5583",
    "dot": "#2c5583",
    "band": "#d9e9f7",
    "s1": "#a9bdd3",
    "s2": "#b8c9dc",
    "s3": "#c8d5e4",
    "s4": "#d4dfea",
    "s5": "#e1e8f0",
}
FALLBACK_STROKE = {
    "grid": "#dee1e6",
    "tick": "#565d68",
    "risk-tick": "#bf4c1b",
    "line": "#2c5583",
    "band-edge": "#2c5583",
}

# Mean advance of a system sans-serif in em, by kind of character; used only to decide whether a
# label fits, so an estimate on the wide side is right.
_EM_NARROW, _EM_MEAN, _EM_WIDE, _EM_FULL = 0.34, 0.6, 0.9, 1.05
_NARROW = set(" .,:;'|!iljtfrI()[]-\N{NO-BREAK SPACE}")
_WIDE = set("mwMWQO%@—…&")
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: str) -> str:
    """Text safe inside an element or a quoted attribute; characters XML forbids become U+FFFD."""
    return escape(_UNPRINTABLE.sub("\ufffd", value), quote=True)


def text_width(value: str, size_px: float) -> float:
    """Estimated width in px of text in a system sans-serif."""
    return size_px * sum(_em(character) for character in value)


def _em(character: str) -> float:
    if character in _NARROW:
        return _EM_NARROW
    if character in _WIDE:
        return _EM_WIDE
    if unicodedata.east_asian_width(character) in "WF":
        return _EM_FULL
    return _EM_MEAN


def fitted(value: str, size_px: float, width_px: float) -> str:
    """The text, cut with an ellipsis where it is wider than the space; empty when nothing fits."""
    if text_width(value, size_px) <= width_px:
        return value
    for length in range(len(value) - 1, 1, -1):
        shorter = value[:length].rstrip() + "…"
        if text_width(shorter, size_px) <= width_px:
            return shorter
    return ""


def px(value: float) -> str:
    """A coordinate with at most one decimal: stable bytes for goldens, no visible difference."""
    short = f"{value:.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def rect(x: float, y: float, width: float, height: float, css: str, *, rx: float = 0) -> str:
    """A filled rectangle of a palette class."""
    round_ = f' rx="{px(rx)}"' if rx else ""
    return (
        f'<rect class="{css}" fill="{FALLBACK_FILL[css]}" x="{px(x)}" y="{px(y)}"'
        f' width="{px(width)}" height="{px(height)}"{round_}/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str, *, dashed: bool = False) -> str:
    """A hairline of a palette class."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<line class="{css}" stroke="{FALLBACK_STROKE[css]}" x1="{px(x1)}" y1="{px(y1)}"'
        f' x2="{px(x2)}" y2="{px(y2)}"{dash}/>'
    )


def polyline(points: list[tuple[float, float]], css: str, *, width_px: float) -> str:
    """A line through points."""
    where = " ".join(f"{px(x)},{px(y)}" for x, y in points)
    return (
        f'<polyline class="{css}" stroke="{FALLBACK_STROKE[css]}" fill="none"'
        f' stroke-width="{px(width_px)}" stroke-linejoin="round" stroke-linecap="round"'
        f' points="{where}"/>'
    )


def area(points: list[tuple[float, float]], css: str) -> str:
    """A filled shape of a palette class; half transparent, so that shapes show each other."""
    where = " ".join(f"{px(x)},{px(y)}" for x, y in points)
    return (
        f'<polygon class="{css}" fill="{FALLBACK_FILL[css]}" fill-opacity="0.6" points="{where}"/>'
    )


def dot(x: float, y: float, radius: float) -> str:
    """A point on a line, with a rim of the page's colour."""
    return (
        f'<circle class="dot" fill="{FALLBACK_FILL["dot"]}" stroke="#fff" stroke-width="2"'
        f' cx="{px(x)}" cy="{px(y)}" r="{px(radius)}"/>'
    )


def label(
    x: float,
    y: float,
    value: str,
    css: str,
    *,
    size_px: float,
    anchor: str = "start",
    strong: bool = False,
) -> str:
    """One line of text; `anchor` is start, middle or end."""
    weight = ' font-weight="600"' if strong else ""
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return (
        f'<text class="{css}" fill="{FALLBACK_FILL[css]}" x="{px(x)}" y="{px(y)}"'
        f' font-size="{px(size_px)}"{weight}{anchored}>{text(value)}</text>'
    )


def group(parts: list[str], hint: str) -> str:
    """Parts that belong together, with the words a pointer resting on them shows."""
    return f"<g><title>{text(hint)}</title>{''.join(parts)}</g>"


def figure(parts: list[str], *, width: int, height: int, name: str, title: str, desc: str) -> str:
    """A whole figure: an image to assistive technology, named by its title and description."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' aria-labelledby="{text(name)}-title {text(name)}-desc"'
        f' font-family="{text(FONT_STACK)}">\n'
        f'<title id="{text(name)}-title">{text(title)}</title>\n'
        f'<desc id="{text(name)}-desc">{text(desc)}</desc>\n{body}\n</svg>\n'
    )
