"""Losses before and after a change: how likely a loss is larger than each amount."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from quartermaster.console import svg
from quartermaster.console.format import Lang, money_short, percent
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money

CURVE_POINTS_MAX = 300
"""A curve of 1,000 px cannot show more."""
_LEFT, _TOP, _HEIGHT, _BELOW = 52.0, 30.0, 250.0, 50.0
_NARROW_HEIGHT = 210.0
_TICK_PX = 96.0
"""Room for an amount under the axis."""


class LossCurve(msgspec.Struct, frozen=True):
    """Losses in minor units, rising, at each level of `loss_exceedance`; what it is called."""

    losses: tuple[int, ...]
    label: str


class Mark(msgspec.Struct, frozen=True):
    """A loss on the axis of a curve with its words; such as its expected shortfall."""

    loss: int
    label: str


def loss_exceedance(
    levels: Sequence[float],
    before: LossCurve,
    after: LossCurve,
    *,
    marks: tuple[Mark, Mark],
    tail: tuple[float, str],
    title: str,
    desc: str,
    y_label: str,
    x_label: str,
    lang: Lang,
    currency: str,
    width: int,
    name: str = "loss",
) -> str:
    """Two curves of the chance that a loss is larger, on one scale from nothing.

    Args:
        levels: shares of scenarios with at most that loss, rising, below one.
        before: of the book as it stands, drawn thin and dashed.
        after: of the book with the change.
        marks: an amount of `before` and one of `after`, drawn as ticks at the foot.
        tail: the chance beyond which the tail begins, and the words at its line.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        y_label: words above the axis of chances.
        x_label: words under the axis of losses.
        lang: how numbers are written.
        currency: of the losses.
        width: px the figure is drawn for.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: too few or too many points, or curves of another length.
    """
    if not 2 <= len(levels) <= CURVE_POINTS_MAX or any(
        len(curve.losses) != len(levels) for curve in (before, after)
    ):
        raise UsageError(f"a loss curve has 2 to {CURVE_POINTS_MAX} points, one for each level")
    low = min(0, before.losses[0], after.losses[0])
    high = max(before.losses[-1], after.losses[-1], *(mark.loss for mark in marks), low + 1)
    height = _NARROW_HEIGHT if width < NARROW_PX else _HEIGHT
    right, bottom = width - 14.0, _TOP + height

    def x(loss: float) -> float:
        return _LEFT + (loss - low) / (high - low) * (right - _LEFT)

    def y(chance: float) -> float:
        return bottom - chance * height

    parts = [svg.label(0, 14, y_label, "muted", size_px=SMALL_PX)]
    for quarter in range(5):
        words = percent(Decimal(quarter) / 4, lang, decimals=0)
        parts.append(svg.line(_LEFT, y(quarter / 4), right, y(quarter / 4), "grid"))
        parts.append(
            svg.label(_LEFT - 6, y(quarter / 4) + 4, words, "muted", size_px=SMALL_PX, anchor="end")
        )
    ticks = max(1, min(5, int((right - _LEFT) // _TICK_PX)))
    for at in range(ticks + 1):
        loss = low + (high - low) * at // ticks
        anchor = "start" if at == 0 else "end" if at == ticks else "middle"
        words = money_short(Money(loss, currency), lang)
        parts.append(svg.line(x(loss), bottom, x(loss), bottom + 5, "tick"))
        parts.append(
            svg.label(x(loss), bottom + 20, words, "muted", size_px=SMALL_PX, anchor=anchor)
        )
    parts.append(
        svg.label(
            (_LEFT + right) / 2, bottom + 40, x_label, "muted", size_px=SMALL_PX, anchor="middle"
        )
    )
    chance, words = tail
    parts.append(svg.line(_LEFT, y(chance), right, y(chance), "risk-tick", dashed=True))
    parts.append(
        svg.label(right, y(chance) - 5, words, "risk-text", size_px=SMALL_PX, anchor="end")
    )
    for curve, mark, thin in ((before, marks[0], True), (after, marks[1], False)):
        points = [(x(loss), y(1 - level)) for level, loss in zip(levels, curve.losses, strict=True)]
        css = "band-edge" if thin else "line"
        line = svg.polyline(points, css, width_px=1.2 if thin else 2.8)
        if thin:
            line = line.replace(' points="', ' stroke-dasharray="5 4" points="')
        tick = svg.line(x(mark.loss), bottom - 12, x(mark.loss), bottom, css, dashed=thin)
        parts.append(svg.group([line, tick], f"{curve.label} · {mark.label}"))
    parts += _legend((before, after), marks, right)
    return svg.figure(
        parts, width=width, height=int(bottom + _BELOW), name=name, title=title, desc=desc
    )


def _legend(
    curves: tuple[LossCurve, LossCurve], marks: tuple[Mark, Mark], right: float
) -> list[str]:
    """Above the falling curves, where nothing is: which line is which, and its tick."""
    parts: list[str] = []
    for row, (curve, mark) in enumerate(zip(curves, marks, strict=True)):
        y = _TOP + 16 + row * 38
        room = right - _LEFT - 60
        name = svg.fitted(curve.label, TEXT_PX, room)
        left = right - max(svg.text_width(name, TEXT_PX), svg.text_width(mark.label, SMALL_PX)) - 34
        css = "line" if row else "band-edge"
        points = [(left, y - 4.0), (left + 26, y - 4.0)]
        line = svg.polyline(points, css, width_px=2.8 if row else 1.2)
        parts.append(line if row else line.replace(' points="', ' stroke-dasharray="5 4" points="'))
        parts.append(svg.label(left + 34, y, name, "ink", size_px=TEXT_PX, strong=bool(row)))
        parts.append(svg.label(left + 34, y + 16, mark.label, "muted", size_px=SMALL_PX))
    return parts
