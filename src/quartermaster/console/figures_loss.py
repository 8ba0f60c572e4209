"""The figure of the loss: each customer's part of revenue beside its part of the shortfall.

The part at one rate of departure for all stands under it, because the other hangs on the rates
that were assumed.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.console import svg
from quartermaster.console.figures_legend import swatches
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

BARS_MAX = 20
"""Three bars each: more than a screen of them is a table."""

_BAR_PX, _STEP_PX, _BETWEEN_PX = 13.0, 16.0, 14.0
_LABEL_PX = 20.0


class LossBar(msgspec.Struct, frozen=True, kw_only=True):
    """One customer; shares of one, with their words as shown. `asked` has the colour of risk."""

    label: str
    revenue: Decimal
    loss: Decimal
    equal: Decimal
    revenue_text: str
    loss_text: str
    equal_text: str
    kind: Literal["asked", "named", "rest"] = "named"


def loss_bars(
    bars: Sequence[LossBar],
    *,
    legend: tuple[str, str, str],
    title: str,
    desc: str,
    width: int,
    name: str = "loss-bars",
) -> str:
    """Three bars a customer on one scale from zero: revenue, loss, loss at one rate for all.

    Args:
        bars: in drawing order.
        legend: what the three bars are, with the assumed rates.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no bars, or too many.
    """
    if not 0 < len(bars) <= BARS_MAX:
        raise UsageError(f"the loss is shown for 1 to {BARS_MAX} customers, not {len(bars)}")
    narrow = width < NARROW_PX
    gutter = 0.0 if narrow else width * 0.24
    values = [text for bar in bars for text in (bar.revenue_text, bar.loss_text, bar.equal_text)]
    room = width - gutter - max(svg.text_width(text, SMALL_PX) for text in values) - 12
    longest = max(float(max(bar.revenue, bar.loss, bar.equal)) for bar in bars)
    scale = room / max(longest, 1e-9)
    tones = (("s1",), ("risk", "area"), ("s4",))
    parts, y = swatches(tuple(zip(legend, tones, strict=True)), width)
    for bar in bars:
        pieces = [
            svg.label(
                0,
                y + (13 if narrow else _STEP_PX + 11),
                svg.fitted(bar.label, TEXT_PX, (width if narrow else gutter) - 12),
                "risk-text" if bar.kind == "asked" else "ink",
                size_px=TEXT_PX,
                strong=bar.kind == "asked",
            )
        ]
        y += _LABEL_PX if narrow else 0.0
        for share, shown, tone in _rows(bar):
            length = max(float(share) * scale, 0.5)
            pieces += [
                svg.rect(gutter, y, length, _BAR_PX, tone, rx=2),
                svg.label(gutter + length + 7, y + 11, shown, "muted", size_px=SMALL_PX),
            ]
            y += _STEP_PX
        y += _BETWEEN_PX
        hint = " · ".join((bar.label, bar.revenue_text, bar.loss_text, bar.equal_text))
        parts.append(svg.group(pieces, hint))
    height = int(y - _BETWEEN_PX + 6)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _rows(bar: LossBar) -> tuple[tuple[Decimal, str, str], ...]:
    return (
        (bar.revenue, bar.revenue_text, "s1"),
        (bar.loss, bar.loss_text, "risk" if bar.kind == "asked" else "area"),
        (bar.equal, bar.equal_text, "s4"),
    )
