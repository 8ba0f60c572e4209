"""What every client script shares: named checks, run one by one, each told as a line of JSON.

Runs inside a client's own environment, so it imports nothing but the standard library.
"""

import json
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar, get_args

from tests.compat.features import Feature

SENTENCE = "The quick fox"
QUESTION: list[Any] = [{"role": "user", "content": "Say a sentence."}]
PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"animal": {"type": "string"}, "legs": {"type": "integer"}},
    "required": ["animal", "legs"],
    "additionalProperties": False,
}
ARGUMENTS = {"at": "sky"}
FILLED = {"animal": "fox", "legs": 4}
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"at": {"type": "string"}},
    "required": ["at"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": PARAMETERS},
}


class Gate(NamedTuple):
    """The gateway under test."""

    root: str
    """Without `/v1`."""
    key: str

    @property
    def url(self) -> str:
        """The base URL of OpenAI's clients."""
        return f"{self.root}/v1"


Check = Callable[[Gate], None]
E = TypeVar("E", bound=Exception)
CHECKS: dict[str, Check] = {}


def check(feature: Feature) -> Callable[[Check], Check]:
    """Name a check by the feature that it tries."""
    assert feature in get_args(Feature)
    assert feature not in CHECKS

    def named(function: Check) -> Check:
        CHECKS[feature] = function
        return function

    return named


class NotRaisedError(Exception):
    """A call that had to be refused was answered."""


def raised(kind: type[E], call: Callable[[], object]) -> E:
    """The error that a call raises, of exactly this class or one below it."""
    try:
        answer = call()
    except kind as error:
        return error
    raise NotRaisedError(f"expected {kind.__name__}, got {answer!r}")


def same(found: object, wanted: object) -> None:
    """Both are equal, told with both values."""
    assert found == wanted, f"{found!r} is not {wanted!r}"


def main(*packages: str) -> None:
    """Run every check of the script against the gateway that the arguments name."""
    gate = Gate(*sys.argv[1:3])
    tell({"versions": {name: version(name) for name in packages}})
    for feature, function in CHECKS.items():
        trouble = ""
        try:
            function(gate)
        except Exception:
            trouble = traceback.format_exc()
        tell({"feature": feature, "trouble": trouble})


def tell(line: dict[str, Any]) -> None:
    """One line of the report; a client's own prints cannot be mistaken for it."""
    with suppress(BrokenPipeError):
        print(f"report: {json.dumps(line)}", flush=True)
