"""Every address of the console and who may use it. What is not here does not exist."""

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from quartermaster.console.gate import CUSTOMER, PUBLIC, SEE_OTHER, SIGNED_IN, STAFF, Page
from quartermaster.console.pages import (
    account,
    board,
    capacity,
    cases,
    definitions,
    door,
    exposure,
    overview,
    preferences,
    reliability,
    revenue,
    spending,
    standing,
    tour,
    traffic,
    warning,
    webhooks,
    what_if,
)
from quartermaster.console.ports import Role
from quartermaster.console.visit import Visit

STATIC_CACHE = "public, max-age=31536000, immutable"
"""A static path carries the hash of its content, so it never changes."""


async def static_file(visit: Visit) -> Response:
    """A file of the package under its hashed name."""
    asset = visit.desk.assets.at(str(visit.request.path_params["path"]))
    if asset is None:
        return PlainTextResponse("not found", 404)
    headers = {"cache-control": STATIC_CACHE}
    return Response(asset.body, media_type=asset.media_type, headers=headers)


async def home(visit: Visit) -> Response:
    """The overview; a customer's own account."""
    signed_in = visit.signed_in
    if signed_in is not None and STAFF.isdisjoint(signed_in.roles):
        return RedirectResponse(account.HERE, SEE_OTHER)
    return await overview.overview(visit)


async def healthz(visit: Visit) -> Response:
    """Answers while the process serves; says nothing about anything else."""
    del visit
    return PlainTextResponse("ok\n")


STEPS: frozenset[Role] = frozenset({"trust", "admin"})
"""Who steps conduct cases; the commands check it again."""
SETS: frozenset[Role] = frozenset({"finance", "trust", "admin"})
"""Who sets something of budgets, limits or standing; the commands say who sets which."""
ADMIN: frozenset[Role] = frozenset({"admin"})
"""Who says where alerts go."""

PAGES: tuple[Page, ...] = (
    Page("/", home, SIGNED_IN),
    Page("/account", account.account, CUSTOMER),
    Page("/account/keys", account.make_key, CUSTOMER, ("POST",)),
    Page("/account/keys/{key}/rotation", account.rotate_key, CUSTOMER, ("POST",)),
    Page("/account/keys/{key}/revocation", account.revoke_key, CUSTOMER, ("POST",)),
    Page("/account/projects", account.add_project, CUSTOMER, ("POST",)),
    Page("/account/budgets/{scope}/{name:path}", account.budget, CUSTOMER),
    Page("/account/cases", cases.own_cases, CUSTOMER),
    Page("/account/cases/{case}/answers", cases.answer, CUSTOMER, ("POST",)),
    Page("/account/cases/{case}/appeals", cases.appeal, CUSTOMER, ("POST",)),
    Page("/cases", cases.queue, STAFF),
    Page("/cases/{case}", cases.case, STAFF),
    Page("/cases/{case}/steps", cases.step, STEPS, ("POST",)),
    Page("/cases/{case}/signature", cases.sign, STEPS, ("POST",)),
    Page("/cases/{case}/withdrawal", cases.withdraw, STEPS, ("POST",)),
    Page("/cases/{case}/appeal-decision", cases.decide, STEPS, ("POST",)),
    Page("/cases/{case}/notes", cases.note, STEPS, ("POST",)),
    Page("/cases/{case}/file", cases.case_file, STAFF, ("POST",)),
    Page("/budgets", spending.spending, STAFF),
    Page("/budgets/{scope}/{name:path}", spending.owner, STAFF),
    Page("/budgets/{scope}/{name:path}", spending.change, SETS, ("POST",)),
    Page("/webhooks", webhooks.hooks, STAFF),
    Page("/webhooks", webhooks.add, ADMIN, ("POST",)),
    Page("/webhooks/{webhook}", webhooks.hook, STAFF),
    Page("/webhooks/{webhook}", webhooks.change, ADMIN, ("POST",)),
    Page("/webhooks/{webhook}/deliveries/{message}", webhooks.redeliver, ADMIN, ("POST",)),
    Page("/standing", standing.standing, STAFF),
    Page("/standing/{group}", standing.group, STAFF),
    Page("/standing/{group}", standing.change, SETS, ("POST",)),
    Page("/tour", tour.tour, STAFF),
    Page("/live", overview.live_panel, STAFF, by_itself=True),
    Page("/revenue", revenue.revenue, STAFF),
    Page("/traffic", traffic.traffic, STAFF),
    Page("/traffic/panel", traffic.panel, STAFF, by_itself=True),
    Page("/exposure", exposure.exposure, STAFF),
    Page("/what-if", what_if.what_if, STAFF),
    Page("/capacity", capacity.capacity, STAFF),
    Page("/warning", warning.warning, STAFF),
    Page("/warning.json", warning.warning, STAFF),
    Page("/warning.csv", warning.warning, STAFF),
    Page("/warning/{customer}", warning.customer, STAFF),
    Page("/reliability", reliability.reliability, STAFF),
    Page("/reliability.json", reliability.reliability, STAFF),
    Page("/reliability.csv", reliability.reliability, STAFF),
    Page("/report", board.board, STAFF),
    Page("/help", definitions.help_page, SIGNED_IN),
    Page("/preferences", preferences.set_preferences, PUBLIC, ("POST",)),
    Page("/sign-in", door.sign_in_form, PUBLIC),
    Page("/sign-in", door.sign_in, PUBLIC, ("POST",)),
    Page("/join/{token}", door.join_form, PUBLIC),
    Page("/join/{token}", door.join, PUBLIC, ("POST",)),
    Page("/sign-out", door.sign_out, SIGNED_IN, ("POST",)),
    Page("/static/{path:path}", static_file, PUBLIC),
    Page("/healthz", healthz, PUBLIC),
)
