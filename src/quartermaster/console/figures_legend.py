"""The legend of bars: swatches with words, on as many lines as they need."""

from collections.abc import Sequence

from quartermaster.console import svg
from quartermaster.console.svg import SMALL_PX

_ROW_PX = 20.0
_SWATCH_PX = 11.0
_LINE_PX = 15.0


def swatches(legend: Sequence[tuple[str, tuple[str, ...]]], width: int) -> tuple[list[str], float]:
    """Swatches with words, side by side where they fit; and where the bars may begin.

    Args:
        legend: words, each with the palette classes that they stand for.
        width: px the figure is drawn for.
    """
    parts, x, y = list[str](), 0.0, 2.0
    for words, tones in legend:
        taken = len(tones) * (_SWATCH_PX + 1) + 6
        lines = _lines(words, width - taken)
        needed = taken + max(svg.text_width(line, SMALL_PX) for line in lines)
        if x and x + needed > width:
            x, y = 0.0, y + _ROW_PX
        for at, tone in enumerate(tones):
            left = x + at * (_SWATCH_PX + 1)
            parts.append(svg.rect(left, y, _SWATCH_PX, _SWATCH_PX, tone, rx=2))
        for at, line in enumerate(lines):
            where = y + 10 + at * _LINE_PX
            parts.append(svg.label(x + taken, where, line, "muted", size_px=SMALL_PX))
        x, y = x + needed + 22, y + (len(lines) - 1) * _LINE_PX
    return parts, y + _ROW_PX + 10


def _lines(words: str, room: float) -> list[str]:
    """The words on as many lines as they need: the rates in a legend are never cut off."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and svg.text_width(longer, SMALL_PX) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
