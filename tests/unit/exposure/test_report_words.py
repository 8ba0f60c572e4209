"""Both languages say the same things with the same places."""

import re

import pytest

from quartermaster.console.format import LANGS
from quartermaster.console.language import Words
from quartermaster.console.report_words import Catalogue, catalogue

PLACE = re.compile(r"\{(\w+)\}")


def places(words: Words, keys: list[str]) -> dict[str, set[str]]:
    return {key: set(PLACE.findall(words._messages[key])) for key in keys}


@pytest.mark.parametrize("name", ["claims", "disclosure", "report"])
def test_catalogues_have_the_same_keys_and_places(name: Catalogue) -> None:
    first, *others = [catalogue(name, lang) for lang in LANGS]
    for other in others:
        assert sorted(other._messages) == sorted(first._messages)
        keys = sorted(first._messages)
        assert places(other, keys) == places(first, keys)


def test_the_planted_slip_would_be_caught() -> None:
    one, other = Words("en", {"a": "{x}"}), Words("de", {"a": "{y}"})
    assert places(one, ["a"]) != places(other, ["a"])
