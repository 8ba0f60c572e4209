"""Write the diagram of case states into its page, from the table that the commands follow.

python -m tools.case_states            write the page
python -m tools.case_states --check    exit 1 when the page is stale
"""

import sys
from pathlib import Path

from quartermaster.conduct.cases_table import diagram

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/concepts/cases.md"
BEGIN, END = "<!-- case states -->\n", "<!-- end of case states -->"


def page(text: str) -> str:
    """The page with the diagram of today's table."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}```mermaid\n{diagram()}```\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Write or check the page; returns the exit code."""
    old = PAGE.read_text("utf-8")
    new = page(old)
    if "--check" in arguments:
        return int(old != new)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
