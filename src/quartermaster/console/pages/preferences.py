"""Theme, language and keyboard: kept in cookies, so that the server renders them."""

from starlette.responses import RedirectResponse, Response

from quartermaster.console.gate import SEE_OTHER
from quartermaster.console.language import chosen
from quartermaster.console.visit import THEMES, Visit, local_path


async def set_preferences(visit: Visit) -> Response:
    """Keep the preferences that the form names and go back to its page."""
    theme = visit.form.get("theme", "")
    if theme in THEMES:
        visit.remember("theme", theme)
    lang = chosen(visit.form.get("lang"))
    if lang is not None:
        visit.remember("lang", lang)
    keys = visit.form.get("keys", "")
    if keys in {"on", "off"}:
        visit.remember("keys", keys)
    return RedirectResponse(local_path(visit.form.get("next", "/")), SEE_OTHER)
