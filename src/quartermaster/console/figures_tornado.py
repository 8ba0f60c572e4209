"""A tornado: what each lever would change, the strongest first, with the error of each change."""

from collections.abc import Sequence

import msgspec

from quartermaster.console import svg
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

BARS_MAX = 20
"""More levers than a screen are a table."""
_BAR_PX, _ROW_PX, _NARROW_ROW_PX = 18.0, 32.0, 48.0
_TOP_PX, _CAP_PX = 30.0, 4.0


class LeverBar(msgspec.Struct, frozen=True):
    """One lever: its change and the standard error of it, in one unit for all bars."""

    label: str
    change: float
    error: float
    text: str


def tornado(
    bars: Sequence[LeverBar],
    *,
    less: str,
    more: str,
    title: str,
    desc: str,
    width: int,
    name: str = "tornado",
) -> str:
    """Bars left and right of nothing, each with a whisker of two standard errors.

    Args:
        bars: in drawing order.
        less: words over the side where the amount falls.
        more: words over the side where it rises.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no bars, too many, or a negative error.
    """
    if not 0 < len(bars) <= BARS_MAX or any(bar.error < 0 for bar in bars):
        raise UsageError(f"a tornado has 1 to {BARS_MAX} levers with errors of at least 0")
    narrow = width < NARROW_PX
    gutter = 0.0 if narrow else width * 0.4
    low = min(0.0, *(bar.change - 2 * bar.error for bar in bars))
    high = max(0.0, *(bar.change + 2 * bar.error for bar in bars))
    words = max(svg.text_width(bar.text, SMALL_PX) for bar in bars) + 12
    falls, rises = (words if low < 0 else 0.0), (words if high > 0 else 4.0)
    scale = (width - gutter - falls - rises) / ((high - low) or 1.0)
    zero = gutter + falls - low * scale
    row = _NARROW_ROW_PX if narrow else _ROW_PX
    bottom = _TOP_PX + len(bars) * row
    # Names stand above their bars on a phone: there the line of nothing leaves them alone.
    spans = [(_TOP_PX - 8, bottom)]
    if narrow:
        spans = [(_TOP_PX + at * row + 17, _TOP_PX + at * row + 41) for at in range(len(bars))]
    parts = [svg.line(zero, top, zero, foot, "tick") for top, foot in spans]
    if low < 0:
        parts.append(svg.label(zero - 8, 14, less, "muted", size_px=SMALL_PX, anchor="end"))
    if high > 0:
        room = svg.text_width(more, SMALL_PX) + 8 <= width - zero
        x, anchor = (zero + 8, "start") if room else (float(width), "end")
        parts.append(svg.label(x, 14, more, "muted", size_px=SMALL_PX, anchor=anchor))
    for at, bar in enumerate(bars):
        y = _TOP_PX + at * row + (20.0 if narrow else 4.0)
        parts.append(_bar(bar, y, zero, scale, (width if narrow else gutter) - 14, narrow=narrow))
    return svg.figure(parts, width=width, height=int(bottom), name=name, title=title, desc=desc)


def _bar(bar: LeverBar, y: float, zero: float, scale: float, room: float, *, narrow: bool) -> str:
    end = zero + bar.change * scale
    spread = 2 * bar.error * scale
    middle = y + _BAR_PX / 2
    rises = bar.change > 0
    pieces = [
        svg.label(
            0,
            y - 6 if narrow else y + 13,
            svg.fitted(bar.label, TEXT_PX, room),
            "ink",
            size_px=TEXT_PX,
        ),
        svg.rect(
            min(zero, end), y, max(abs(end - zero), 0.5), _BAR_PX, "risk" if rises else "s1", rx=2
        ),
        svg.line(end - spread, middle, end + spread, middle, "band-edge"),
        svg.line(end - spread, middle - _CAP_PX, end - spread, middle + _CAP_PX, "band-edge"),
        svg.line(end + spread, middle - _CAP_PX, end + spread, middle + _CAP_PX, "band-edge"),
    ]
    outer = end + spread + 6 if rises else end - spread - 6
    anchor = "start" if rises else "end"
    pieces.append(svg.label(outer, y + 13, bar.text, "ink", size_px=SMALL_PX, anchor=anchor))
    return svg.group(pieces, f"{bar.label}: {bar.text}")
