"""Why a step of a case was not done, in the reader's words."""

import re
from typing import Final

from quartermaster.commands.case import TEXT_CHARS_MAX
from quartermaster.conduct.cases_step import refused
from quartermaster.console.format import Lang
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.errors import CallerError

_ELSEWHERE: Final = (
    ("move", re.compile(r"(?P<move>\w+) does not follow \w+")),
    ("words", re.compile(r"this \w+ cannot be used")),
    ("key", re.compile(r"group \S+ has no key '(?P<name>.*)'")),
    ("limit", re.compile(r"\w+ = (?P<value>\S+) is no limit")),
    ("many_names", re.compile(r"a slice names at most (?P<most>\d+) \w+")),
)
"""What the commands say besides the case's own refusals, with the places of our words."""


def why(error: CallerError, lang: Lang) -> str:
    """Why something was not done; what nobody has words for is quoted as it was said."""
    words, code = catalogue("case", lang), refused(error)
    if code:
        return sentence(words(f"refused.{code}"))
    for code, pattern in _ELSEWHERE:
        found = pattern.fullmatch(error.message)
        if found is not None:
            places = found.groupdict()
            if "move" in places:
                places["move"] = words(f"move.{places['move']}")
            limits = {"chars": TEXT_CHARS_MAX, "field": words("act.rpm")}
            return sentence(words(f"refused.{code}", **{**limits, **places}))
    return f"{error.message}. {error.hint}".strip()


def sentence(words: str) -> str:
    """A clause as a sentence."""
    return f"{words[:1].upper()}{words[1:]}."
