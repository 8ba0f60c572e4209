"""Who of the gateways obeys a change that was made before this page."""

from functools import partial

from starlette.concurrency import run_in_threadpool

from quartermaster.console.control_view import Acknowledged, acknowledged
from quartermaster.console.language import Words
from quartermaster.console.visit import Visit

SNAPSHOT_DIGITS_MAX = 15
"""A version more a second for thirty million years."""


async def handed_over(visit: Visit, words: Words) -> Acknowledged | None:
    """What became of the snapshot that the address names; None where it names none."""
    asked = visit.request.query_params.get("published", "")
    if not (asked.isdecimal() and asked.isascii() and len(asked) <= SNAPSHOT_DIGITS_MAX):
        return None
    version = int(asked)
    seen = await run_in_threadpool(partial(visit.control.gateways.serving, version))
    return acknowledged(version, seen, words)
