"""Catalogues of the report and of the claims check: `locale/<name>.<lang>.toml`.

Apart from the console's own catalogue, because the command line reads them without the console.
"""

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from quartermaster.console.format import Lang
from quartermaster.console.language import Words, flattened

Catalogue = Literal["claims", "forecast", "guidance", "report"]


@lru_cache
def catalogue(name: Catalogue, lang: Lang) -> Words:
    """The packaged catalogue of that name."""
    source = files("quartermaster.console") / f"locale/{name}.{lang}.toml"
    return Words(lang, flattened(tomllib.loads(source.read_text("utf-8"))))
