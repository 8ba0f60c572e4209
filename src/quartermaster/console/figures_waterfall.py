"""A waterfall: from one amount to another, each step on its own line, signed and labelled.

Steps lie below each other, because their names are sentences and a phone is narrow.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from quartermaster.console import svg
from quartermaster.console.svg import NARROW_PX, SMALL_PX, TEXT_PX
from quartermaster.kernel.errors import UsageError

STEPS_MAX = 12
"""More steps than a screen are a table."""
_BAR_PX, _ROW_PX, _NARROW_ROW_PX = 22.0, 34.0, 50.0
_TOP_PX = 6.0

StepKind = Literal["whole", "down", "up", "cost"]
_TONES: dict[StepKind, str] = {"whole": "area", "down": "risk", "up": "s1", "cost": "s4"}


class Step(msgspec.Struct, frozen=True):
    """One line: a whole from zero, or a signed step from where the last line ended."""

    label: str
    value: float
    """Signed; of a whole the level itself."""
    text: str
    kind: StepKind


def waterfall(
    steps: Sequence[Step], *, title: str, desc: str, width: int, name: str = "waterfall"
) -> str:
    """The steps from the first whole to the last, joined by hairlines.

    Args:
        steps: in order; a `whole` is drawn from zero, and must be where the steps have led.
        title: what it shows, for assistive technology.
        desc: the finding in a sentence, for assistive technology.
        width: px the figure is drawn for; a narrow one writes names above their bars.
        name: prefix of element ids; unique on a page.

    Raises:
        UsageError: no steps, too many, no whole at the start, or a whole that is not the sum.
    """
    if not 1 < len(steps) <= STEPS_MAX or steps[0].kind != "whole":
        raise UsageError(f"a waterfall has 2 to {STEPS_MAX} steps and begins with a whole")
    spans = _spans(steps)
    low = min(0.0, *(min(span) for span in spans))
    high = max(max(span) for span in spans)
    narrow = width < NARROW_PX
    gutter = 0.0 if narrow else width * 0.34
    words = max(svg.text_width(step.text, SMALL_PX) for step in steps) + 14
    scale = (width - gutter - words) / ((high - low) or 1.0)
    row = _NARROW_ROW_PX if narrow else _ROW_PX
    parts: list[str] = []
    for at, (step, (start, end)) in enumerate(zip(steps, spans, strict=True)):
        y = _TOP_PX + at * row + (20.0 if narrow else 0.0)
        left, right = (gutter + (edge - low) * scale for edge in sorted((start, end)))
        strong = step.kind == "whole"
        pieces = [
            svg.label(
                0,
                y - 6 if narrow else y + 15,
                svg.fitted(step.label, TEXT_PX, (width if narrow else gutter) - 14),
                "risk-text" if step.kind == "down" else "ink",
                size_px=TEXT_PX,
                strong=strong,
            ),
            svg.rect(left, y, max(right - left, 1.0), _BAR_PX, _TONES[step.kind], rx=2),
            svg.label(right + 8, y + 15, step.text, "ink", size_px=SMALL_PX, strong=strong),
        ]
        if at + 1 < len(steps):
            x = gutter + (end - low) * scale
            pieces.append(svg.line(x, y + _BAR_PX, x, y + row, "tick"))
        parts.append(svg.group(pieces, f"{step.label}: {step.text}"))
    height = int(_TOP_PX + len(steps) * row)
    return svg.figure(parts, width=width, height=height, name=name, title=title, desc=desc)


def _spans(steps: Sequence[Step]) -> list[tuple[float, float]]:
    """Where each bar begins and ends."""
    found: list[tuple[float, float]] = []
    at = 0.0
    for step in steps:
        if step.kind == "whole":
            if found and abs(step.value - at) > 1e-6 * max(abs(step.value), abs(at), 1.0):
                raise UsageError(f"{step.label}: the steps do not lead to it")
            found.append((0.0, step.value))
            at = step.value
        else:
            found.append((at, at + step.value))
            at += step.value
    return found
