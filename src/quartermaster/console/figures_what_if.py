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
_NARROW_HEIGHT, _LEGEND_PX, _LEGEND_ROW_PX = 210.0, 82.0, 38.0
_TICK_PX = 80.0
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
    narrow = width < NARROW_PX
    # On a phone the curves leave no room for a legend beside them.
    top = _TOP + (_LEGEND_PX if narrow else 0.0)
    bottom = top + (_NARROW_HEIGHT if narrow else _HEIGHT)
    frame = _Frame(low, high, width - 14.0, top, bottom, lang, currency)
    parts = [*frame.chances(y_label), *frame.losses(x_label), *frame.tail(*tail)]
    parts.append(frame.curve(levels, before, marks[0], thin=True))
    parts.append(frame.curve(levels, after, marks[1], thin=False))
    parts += _legend((before, after), marks, frame.right, left=0.0 if narrow else None)
    height = frame.bottom + _BELOW
    return svg.figure(parts, width=width, height=int(height), name=name, title=title, desc=desc)


class _Frame(msgspec.Struct, frozen=True):
    """Where losses and chances lie, in px."""

    low: int
    high: int
    right: float
    top: float
    bottom: float
    lang: Lang
    currency: str

    def x(self, loss: float) -> float:
        """Px of a loss."""
        return _LEFT + (loss - self.low) / (self.high - self.low) * (self.right - _LEFT)

    def y(self, chance: float) -> float:
        """Px of a chance."""
        return self.bottom - chance * (self.bottom - self.top)

    def chances(self, words: str) -> list[str]:
        """Lines at quarters, and what they count."""
        parts = [svg.label(0, self.top - 14, words, "muted", size_px=SMALL_PX)]
        for quarter in range(5):
            y = self.y(quarter / 4)
            text = percent(Decimal(quarter) / 4, self.lang, decimals=0)
            parts.append(svg.line(_LEFT, y, self.right, y, "grid"))
            parts.append(svg.label(_LEFT - 6, y + 4, text, "muted", size_px=SMALL_PX, anchor="end"))
        return parts

    def losses(self, words: str) -> list[str]:
        """Amounts under the axis, as many as fit."""
        parts: list[str] = []
        step = self._step()
        for at in range(-(-self.low // step), self.high // step + 1):
            text = money_short(Money(at * step, self.currency), self.lang)
            x = self.x(at * step)
            half = svg.text_width(text, SMALL_PX) / 2
            middle = min(max(x, half), self.right + 14 - half)
            parts.append(svg.line(x, self.bottom, x, self.bottom + 5, "tick"))
            parts.append(
                svg.label(
                    middle, self.bottom + 20, text, "muted", size_px=SMALL_PX, anchor="middle"
                )
            )
        middle, below = (_LEFT + self.right) / 2, self.bottom + 40
        parts.append(svg.label(middle, below, words, "muted", size_px=SMALL_PX, anchor="middle"))
        return parts

    def _step(self) -> int:
        """The smallest of 1, 2, 5 times a power of ten whose amounts fit beside each other."""
        most = max(1, int((self.right - _LEFT) // _TICK_PX))
        power = 1
        while True:
            for factor in (1, 2, 5):
                if factor * power * most >= self.high - self.low:
                    return factor * power
            power *= 10

    def tail(self, chance: float, words: str) -> list[str]:
        """The chance at which the tail begins."""
        y = self.y(chance)
        return [
            svg.line(_LEFT, y, self.right, y, "risk-tick", dashed=True),
            svg.label(self.right, y - 5, words, "risk-text", size_px=SMALL_PX, anchor="end"),
        ]

    def curve(self, levels: Sequence[float], curve: LossCurve, mark: Mark, *, thin: bool) -> str:
        """One falling line with its tick at the foot."""
        points = [
            (self.x(loss), self.y(1 - level))
            for level, loss in zip(levels, curve.losses, strict=True)
        ]
        css, x = "band-edge" if thin else "line", self.x(mark.loss)
        tick = svg.line(x, self.bottom - 12, x, self.bottom, css, dashed=thin)
        return svg.group([_stroke(points, thin=thin), tick], f"{curve.label} · {mark.label}")


def _stroke(points: list[tuple[float, float]], *, thin: bool) -> str:
    if not thin:
        return svg.polyline(points, "line", width_px=2.8)
    line = svg.polyline(points, "band-edge", width_px=1.2)
    return line.replace(' points="', ' stroke-dasharray="5 4" points="')


def _legend(
    curves: tuple[LossCurve, LossCurve],
    marks: tuple[Mark, Mark],
    right: float,
    *,
    left: float | None,
) -> list[str]:
    """Which line is which, and its tick: from `left`, or at the right above the falling curves."""
    parts: list[str] = []
    names = [svg.fitted(curve.label, TEXT_PX, right - _LEFT - 60) for curve in curves]
    widest = max(
        *(svg.text_width(name, TEXT_PX) for name in names),
        *(svg.text_width(mark.label, SMALL_PX) for mark in marks),
    )
    x = right - widest - 34 if left is None else left
    for row, (name, mark) in enumerate(zip(names, marks, strict=True)):
        y = (14.0 if left is not None else _TOP + 16) + row * _LEGEND_ROW_PX
        parts.append(_stroke([(x, y - 4.0), (x + 26, y - 4.0)], thin=not row))
        parts.append(svg.label(x + 34, y, name, "ink", size_px=TEXT_PX, strong=bool(row)))
        parts.append(svg.label(x + 34, y + 16, mark.label, "muted", size_px=SMALL_PX))
    return parts
