"""Both catalogues say the same, every page takes its words from them, nothing is left over."""

import re
import string
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quartermaster.console
from quartermaster.console import language
from quartermaster.console.format import LANGS
from quartermaster.console.pages.definitions import DEFINITIONS
from quartermaster.kernel.events import UsageStatus
from quartermaster.kernel.units import CountSource

CONSOLE = Path(quartermaster.console.__file__).parent
TEMPLATES = sorted(
    path for path in (CONSOLE / "templates").glob("*.html") if not path.name.startswith("report")
)
CATALOGUES = {
    lang: language.flattened(tomllib.loads((CONSOLE / f"locale/{lang}.toml").read_text("utf-8")))
    for lang in LANGS
}
WORDS_OF_NO_LANGUAGE = {"Quartermaster", "DE", "EN", "CSV", "JSON", *"bgoehicklpswr", "Esc"}
NOT_SHOWN = r"\{% block main_class %\}.*?\{% endblock %\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}"


def places(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name}


def test_both_catalogues_have_the_same_keys() -> None:
    assert CATALOGUES["de"].keys() == CATALOGUES["en"].keys()


@pytest.mark.parametrize("key", sorted(CATALOGUES["en"]))
def test_both_sides_fill_the_same_places(key: str) -> None:
    assert places(CATALOGUES["de"][key]) == places(CATALOGUES["en"][key])
    assert CATALOGUES["de"][key].strip()
    assert CATALOGUES["en"][key].strip()


def used_keys() -> tuple[set[str], set[str]]:
    """Keys that are written out, and the fixed beginnings of those that are put together."""
    sources = [path.read_text("utf-8") for path in [*CONSOLE.rglob("*.py"), *TEMPLATES]]
    text = "\n".join(sources)
    whole = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)+)["']""", text))
    joined = set(re.findall(r"""t\(["']([a-z_.]+\.)["'] ~""", text))
    joined |= set(re.findall(r"""words\(\s*f["']([a-z_.]+?)\{""", text))
    return whole, joined


def test_every_key_is_used_and_every_used_key_exists() -> None:
    whole, joined = used_keys()
    keys = set(CATALOGUES["en"])
    unused = {key for key in keys - whole if not key.startswith(tuple(joined))}
    assert unused == set()
    roots = {key.split(".")[0] for key in keys}
    named = re.compile(r"^(" + "|".join(roots) + r")\.")
    files = (".html", ".toml")
    missing = {key for key in whole - keys if named.match(key) and not key.endswith(files)}
    assert missing == set()


def test_every_value_that_is_shown_by_key_has_its_words() -> None:
    for messages in CATALOGUES.values():
        for status in get_args(UsageStatus):
            assert f"status.{status}" in messages
            assert f"help.status.{status}" in messages
        for source in get_args(CountSource):
            assert f"count_source.{source}" in messages
        for name in DEFINITIONS:
            for part in ("title", "body", "kind", "from"):
                assert f"help.{name}.{part}" in messages


class Visible(HTMLParser):
    """Collects words that a reader would see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_code = tag == "code"
        for name, value in attrs:
            if name in {"title", "alt", "aria-label", "placeholder"} and value:
                self.words += re.findall(r"[^\W\d_]+", value)

    def handle_endtag(self, tag: str) -> None:
        self.in_code = False

    def handle_data(self, data: str) -> None:
        if not self.in_code:
            self.words += re.findall(r"[^\W\d_]+", data)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_words_of_their_own(path: Path) -> None:
    bare = re.sub(NOT_SHOWN, "", path.read_text("utf-8"), flags=re.DOTALL)
    reader = Visible()
    reader.feed(bare)
    named = {"Deutsch", "English"}  # languages are named in themselves
    assert set(reader.words) - WORDS_OF_NO_LANGUAGE - named == set()


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("de", "de"),
        ("de-CH", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("de;q=0.3, en;q=0.7", "en"),
        ("fr, de;q=0.1", "de"),
        ("fr", "en"),
        ("", "en"),
        ("de;q=0", "en"),
        ("de;q=x", "en"),
        ("*", "en"),
    ],
)
def test_the_browsers_wish_is_followed(header: str, lang: str) -> None:
    assert language.negotiated(header) == lang


@given(st.text(max_size=600))
def test_no_header_breaks_the_choice(header: str) -> None:
    assert language.negotiated(header) in LANGS
