"""What the daily analysis could not see of an account, as codes for facts and words for people."""

from collections.abc import Mapping
from typing import Final

from quartermaster.conduct.facts import Facts

NO_CONSENT: Final = "no_consent"
NO_TEXT: Final = "no_text"
PAST_SHORT: Final = "past_short"
FEW_ORDINARY: Final = "few_ordinary"
OUTPUT_RATIO: Final = "output_ratio"
CAPPED: Final = "capped"
OVERWRITTEN: Final = "overwritten"
UNREADABLE: Final = "unreadable"
DAMAGED: Final = "damaged"
PAST_DAMAGED: Final = "past_damaged"

WORDS: Final[Mapping[str, str]] = {
    NO_CONSENT: "no contract permits reading; the meter alone was seen",
    NO_TEXT: "reading is permitted, but no text came: no watcher ran, or no ring",
    PAST_SHORT: "days of text before this one, too few to judge by",
    FEW_ORDINARY: "other tenants have a score; ranks among them need 19",
    OUTPUT_RATIO: "output tokens for each input token, of an account that was not read",
    CAPPED: "requests were drawn and not read, for want of processor time",
    OVERWRITTEN: "requests were lost before they could be read",
    UNREADABLE: "requests held no text that can be read",
    DAMAGED: "files of this day were damaged and laid aside; what they held is not judged",
    PAST_DAMAGED: "files of the four weeks before were damaged and laid aside",
}


def said(code: str) -> str:
    """A code in words, with its figure in front where it has one."""
    name, _, figure = code.partition(":")
    words = WORDS[name]
    return f"{figure} {words}" if figure else words


def of_sample(facts: Facts) -> list[str]:
    """What is missing in the sample of an account that was read."""
    counts = (
        (CAPPED, facts.tally.capped),
        (OVERWRITTEN, facts.tally.overwritten),
        (UNREADABLE, facts.unreadable),
    )
    return [f"{code}:{count}" for code, count in counts if count]
