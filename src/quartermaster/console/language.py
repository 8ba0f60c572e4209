"""Which language a reader gets, and the words in it.

Catalogues are `locale/<lang>.toml`: tables of keys, each a whole sentence or label with named
places in braces. Sentences are never put together from pieces, because word order differs.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from quartermaster.console.format import LANGS, NBSP, Lang
from quartermaster.console.ports import Bilingual

ACCEPT_CHARS_MAX = 500
"""Real Accept-Language headers are under 200 characters; the rest of a longer one is not read."""


class Words:
    """The catalogue of one language: `words("overview.title")`."""

    def __init__(self, lang: Lang, messages: Mapping[str, str]) -> None:
        self.lang = lang
        self._messages = messages

    def __call__(self, key: str, **places: object) -> str:
        """The message with its places filled in.

        Raises:
            KeyError: the catalogue has no such key, or a place was not given.
        """
        said = self._messages[key].format(**places)
        # A German compound has hyphens throughout: "95-%-Quantil", not "95 %-Quantil".
        return said.replace(f"{NBSP}%-", "-%-") if self.lang == "de" else said

    def has(self, key: str) -> bool:
        """Whether the catalogue holds the key."""
        return key in self._messages

    def pick(self, words: Bilingual) -> str:
        """The reader's side of words that came with the data."""
        return words.de if self.lang == "de" else words.en


@lru_cache(maxsize=len(LANGS))
def words_of(lang: Lang) -> Words:
    """The packaged catalogue."""
    source = files("quartermaster.console") / f"locale/{lang}.toml"
    return Words(lang, flattened(tomllib.loads(source.read_text("utf-8"))))


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as dotted keys."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat


def chosen(value: str | None) -> Lang | None:
    """A language named by a query string or a cookie, or None when it is not one of ours."""
    return next((lang for lang in LANGS if lang == value), None)


def negotiated(accept_language: str) -> Lang:
    """The best of our languages for an Accept-Language header; English when none fits.

    Source: RFC 9110, section 12.5.4.
    """
    best: tuple[float, Lang] = (0.0, "en")
    for part in accept_language[:ACCEPT_CHARS_MAX].split(","):
        tag, _, parameter = part.partition(";")
        lang = chosen(tag.strip().lower().partition("-")[0])
        quality = _quality(parameter.strip())
        if lang is not None and quality > best[0]:
            best = (quality, lang)
    return best[1]


def _quality(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
