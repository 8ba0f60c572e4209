"""Definitions of every number the console shows, and the keyboard."""

from starlette.responses import Response

from quartermaster.console.visit import Visit

DEFINITIONS = (
    "run_rate",
    "guidance",
    "share",
    "effective_number",
    "live",
    "traffic",
    "first_token",
    "sample",
)
"""In the order of the overview; each has a title and a body in the catalogues."""


async def help_page(visit: Visit) -> Response:
    """All definitions on one page."""
    return visit.render("help.html", definitions=DEFINITIONS)
