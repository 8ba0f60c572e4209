"""Language, theme and width: the forms a page is looked at in."""

from itertools import product

import pytest
from _pytest.mark.structures import ParameterSet

Size = tuple[int, int]

USUAL = {("en", "light", "desk"), ("de", "dark", "phone")}
"""Each value once: a defect of one value shows here, one of a combination in the long run."""


def every_form(desk: Size, phone: Size) -> list[ParameterSet]:
    """All eight combinations; those beyond the usual two are long."""
    sizes = {"desk": desk, "phone": phone}
    return [
        pytest.param(
            lang,
            theme,
            sizes[width],
            id=f"{lang}-{theme}-{width}",
            marks=() if (lang, theme, width) in USUAL else pytest.mark.long,
        )
        for lang, theme, width in product(("de", "en"), ("light", "dark"), sizes)
    ]
