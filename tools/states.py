"""Draw the state tables of the code into the pages that explain them.

    python -m tools.states            write the diagrams
    python -m tools.states --check    exit 1 when a page is stale

A diagram stands between `<!-- states: NAME -->` and `<!-- end -->`; the table is the code's own, so
the page cannot say what the code does not do.
"""

import re
import sys
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from quartermaster.gateway.breaker import CIRCUITS
from quartermaster.gateway.meter import LIFE_CYCLE

ROOT: Final = Path(__file__).resolve().parent.parent

_Table = Mapping[Any, IntEnum]
"""By state and signal; keys of a mapping are invariant, so they are not named here."""

TABLES: Final[dict[str, _Table]] = {
    "circuit": CIRCUITS,
    "life": LIFE_CYCLE,
}
PAGE: Final = ROOT / "docs" / "concepts" / "routing.md"
_BLOCK = re.compile(r"(<!-- states: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def diagram(table: _Table) -> str:
    """The table as a Mermaid diagram; a signal that changes nothing is no arrow."""
    first = next(iter(table))[0]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_word(first)}"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, signal), after in table.items():
        if after is not state:
            arrows.setdefault((_word(state), _word(after)), []).append(_label(signal))
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
    return "\n".join([*lines, "```", ""])


def _word(state: IntEnum) -> str:
    return state.name.lower()


def _label(signal: IntEnum) -> str:
    return signal.name.lower().replace("_", " ")


def drawn(text: str) -> str:
    """The page with every diagram as the tables have it."""
    return _BLOCK.sub(lambda found: f"{found[1]}{diagram(TABLES[found[2]])}{found[3]}", text)


def main(arguments: list[str]) -> int:
    """Write or check; the exit code."""
    before = PAGE.read_text()
    after = drawn(before)
    if "--check" in arguments:
        if after != before:
            sys.stderr.write(f"{PAGE} is stale: run python -m tools.states\n")
        return int(after != before)
    PAGE.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
