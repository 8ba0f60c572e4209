"""Language, theme and width: the forms a page is looked at in."""

from itertools import product
from typing import Literal, NamedTuple

import pytest
from _pytest.mark.structures import ParameterSet

DESK, PHONE = (1280, 900), (390, 844)

Lang = Literal["de", "en"]
Theme = Literal["light", "dark"]


class Form(NamedTuple):
    """How a reader looks at a page."""

    lang: Lang
    theme: Theme
    size: tuple[int, int]

    @property
    def shown(self) -> str:
        """The class of what is meant for this width."""
        return "for-desk" if self.size == DESK else "for-phone"

    @property
    def hidden(self) -> str:
        """The class of what is meant for the other width."""
        return "for-phone" if self.size == DESK else "for-desk"


PLAIN = Form("en", "light", DESK)
USUAL = {PLAIN, Form("de", "dark", PHONE)}
"""Each value once: a defect of one value shows here, one of a combination in the long run."""


def every_form() -> list[ParameterSet]:
    """All eight combinations; those beyond the usual two are long."""
    langs: tuple[Lang, ...] = ("de", "en")
    themes: tuple[Theme, ...] = ("light", "dark")
    forms = [Form(*one) for one in product(langs, themes, (DESK, PHONE))]
    return [
        pytest.param(
            form,
            id=f"{form.lang}-{form.theme}-{'desk' if form.size == DESK else 'phone'}",
            marks=() if form in USUAL else pytest.mark.long,
        )
        for form in forms
    ]


in_every_form = pytest.mark.parametrize("reader", every_form(), indirect=True)
"""The fixture `reader`, once in each form."""
