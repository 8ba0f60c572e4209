"""The case file: everything that an investigator or a lawyer needs, held to the journal by hashes.

It names the journal's entries of the case with their hashes and the head of the whole chain, so
that whoever has the journal can check that nothing was left out or changed. Making one is a step of
the case and records the file's own hash.
"""

import hashlib
import re
from datetime import datetime

import msgspec

from quartermaster.conduct.cases_shown import CaseShown

SCHEMA = "quartermaster.case_file/1"
"""Changes with the meaning of any field."""
EXEMPLARS_MAX = 5
"""Enough to see what a cluster is; a file that is passed on holds no more of what was asked."""
EXEMPLAR_CHARS_MAX = 160
"""An instruction without its material."""

_ADDRESS = re.compile(r"\S+@\S+|https?://\S+|www\.\S+")
_QUOTED = re.compile(r"\"[^\"]{1,400}\"|“[^”]{1,400}”|„[^“]{1,400}“|«[^»]{1,400}»")
_NUMBER = re.compile(r"\d+")
_INNER_NAME = re.compile(r"(?<![.!?\n] )(?<!^)\b[A-ZÀ-ÖØ-Þ][\w'-]+", re.MULTILINE)


class ChainEntry(msgspec.Struct, frozen=True):
    """A journal entry of the case; its fact is in the case's steps."""

    seq: int
    at: datetime
    actor: str
    prev: str
    sha256: str


class ModelSeen(msgspec.Struct, frozen=True):
    """A model, and the day on which it was first served, or first used by the account."""

    on: str
    model: str
    what: str
    """`served` or `used`."""


class CaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """The case with its surroundings, as of one moment."""

    case: CaseShown
    made_at: datetime
    group_name: str
    addressee: str = ""
    """The name of the customer that notices go to; empty where nobody is named."""
    persons: dict[str, str]
    """Names of users by id."""
    models: tuple[ModelSeen, ...] = ()
    explained_by: dict[str, tuple[str, ...]] = {}
    """Uses that would explain a kind of finding, if a contract permitted them."""
    exemplars: tuple[str, ...] = ()
    """Redacted requests of the cluster, where a contract lets content be kept."""
    content: str = "not_kept"
    """Why there are no exemplars: `not_kept`, `not_permitted`, `too_old`, or empty where there are
    some."""
    entries: tuple[ChainEntry, ...] = ()
    head_seq: int = 0
    head_sha256: str = ""
    """Of the whole journal when the file was made."""


def encoded(file: CaseFile) -> bytes:
    """Canonical JSON: equal files encode to equal bytes."""
    document = {"schema": SCHEMA, **msgspec.to_builtins(file)}
    return msgspec.json.encode(document, order="sorted")


def sha256(file: CaseFile) -> str:
    """What the journal remembers of the file."""
    return hashlib.sha256(encoded(file)).hexdigest()


def redacted(text: str) -> str:
    """A request as it may stand in a case file: its instruction, not what it is about.

    Addresses, quotations, numbers and words with a capital inside a sentence are masked. That is
    cautious, not perfect: who shows an exemplar reads it first.
    """
    masked = _ADDRESS.sub("[address]", text.strip())
    masked = _QUOTED.sub("[quotation]", masked)
    masked = _NUMBER.sub("#", masked)
    masked = _INNER_NAME.sub("[name]", masked)
    short = masked[:EXEMPLAR_CHARS_MAX].rstrip()
    return short + ("…" if len(masked) > EXEMPLAR_CHARS_MAX else "")
