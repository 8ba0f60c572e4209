"""The figure of budgets: of each what is spent, what is leased and what is left, and its alerts."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quartermaster.console import svg
from quartermaster.console.figures_legend import swatches
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

BARS_MAX = 12
"""More than a screen of bars is a table."""

_BAR_PX, _ROW_PX = 16.0, 30.0
_LABEL_PX = 20.0
_WHOLE = 100


class SpentBar(msgspec.Struct, frozen=True, kw_only=True):
    """One budget; shares of its amount, and the words at its end."""

    label: str
    spent: Decimal
    leased: Decimal
    shown: str
    marks: tuple[int, ...]
    """Per cent at which alerts are sent."""
    over: bool
    """Drawn in the colour of risk."""


def spent_bars(
    bars: Sequence[SpentBar],
    *,
    legend: tuple[str, str, str, str],
    title: str,
    desc: str,
    width: int,
    name: str = "spent",
) -> str:
    """A bar a budget, each as long as its whole amount; a tick where an alert is sent.

    Args:
        bars: in drawing order.
        legend: words for spent, spent and refused, leased, and left; what does not occur is
            left out.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no bars, or too many.
    """
    if not 0 < len(bars) <= BARS_MAX:
        raise UsageError(f"budgets are shown for 1 to {BARS_MAX} at once, not {len(bars)}")
    narrow = width < NARROW_PX
    gutter = 0.0 if narrow else width * 0.34
    values_px = max(svg.text_width(bar.shown, SMALL_PX) for bar in bars) + 12
    whole = width - gutter - values_px
    tones = (("area",), ("risk",), ("s2",), ("s5",))
    occur = (
        any(not bar.over for bar in bars),
        any(bar.over for bar in bars),
        any(bar.leased > 0 for bar in bars),
        any(bar.spent + bar.leased < 1 for bar in bars),
    )
    named = zip(legend, tones, occur, strict=True)
    parts, y = swatches([(words, tone) for words, tone, seen in named if seen], width)
    for bar in bars:
        label_y, y = (y + 13, y + _LABEL_PX) if narrow else (y + 13, y)
        room = (width if narrow else gutter) - 12
        pieces = [
            svg.label(0, label_y, svg.fitted(bar.label, TEXT_PX, room), "ink", size_px=TEXT_PX),
            svg.rect(gutter, y, whole, _BAR_PX, "s5", rx=2),
            *_filled(bar, gutter, y, whole),
            svg.label(gutter + whole + 8, y + 12, bar.shown, "muted", size_px=SMALL_PX),
        ]
        parts.append(svg.group(pieces, f"{bar.label} · {bar.shown}"))
        y += _ROW_PX
    height = int(y - _ROW_PX + _BAR_PX + 6)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _filled(bar: SpentBar, left: float, top: float, whole: float) -> list[str]:
    """What is spent, what is leased behind it, and the ticks over both."""
    spent = min(float(bar.spent), 1.0) * whole
    leased = min(float(bar.leased) * whole, whole - spent)
    parts = [svg.rect(left, top, spent, _BAR_PX, "risk" if bar.over else "area", rx=2)]
    if leased > 0:
        parts.append(svg.rect(left + spent, top, leased, _BAR_PX, "s2"))
    for mark in bar.marks:
        x = left + whole * mark / _WHOLE
        parts.append(svg.line(x, top - 3, x, top + _BAR_PX + 3, "tick"))
    return parts
