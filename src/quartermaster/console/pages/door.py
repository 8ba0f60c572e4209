"""Joining by a one-time link, signing in, signing out."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quartermaster.commands.identity import NAME_CHARS_MAX
from quartermaster.commands.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from quartermaster.console.gate import FORBIDDEN, SEE_OTHER
from quartermaster.console.visit import Visit, local_path
from quartermaster.kernel.errors import CallerError, ConflictError, NotFoundError

UNPROCESSABLE = 422


async def sign_in_form(visit: Visit) -> Response:
    """Show the sign-in form, or go on when the reader is signed in already."""
    target = local_path(visit.request.query_params.get("next", "/"))
    if visit.signed_in is not None:
        return RedirectResponse(target, SEE_OTHER)
    return await _sign_in_page(visit, target)


async def sign_in(visit: Visit) -> Response:
    """Check name and password and open a session."""
    target = local_path(visit.form.get("next", "/"))
    name, password = visit.form.get("name", "").strip(), visit.form.get("password", "")
    desk = visit.desk
    token = None
    if name and 0 < len(password) <= PASSWORD_CHARS_MAX and len(name) <= NAME_CHARS_MAX:
        try:
            async with desk.sign_ins:
                sign_in_now = desk.identity.sign_in
                token = await run_in_threadpool(sign_in_now, name, password, desk.clock())
        except CallerError as error:
            return await _sign_in_page(visit, target, "door.throttled", error.http_status, name)
    if token is None:
        return await _sign_in_page(visit, target, "door.wrong", FORBIDDEN, name)
    visit.open_session(token)
    return RedirectResponse(target, SEE_OTHER)


async def join_form(visit: Visit) -> Response:
    """Show the form behind a one-time link. The link is used up by sending the form only."""
    return _join_page(visit)


async def join(visit: Visit) -> Response:
    """Use the link: make the user and open their first session."""
    name, password = visit.form.get("name", "").strip(), visit.form.get("password", "")
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        return _join_page(visit, visit.words("door.bad_name", most=NAME_CHARS_MAX), name)
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        message = visit.words("door.bad_password", least=PASSWORD_CHARS_MIN)
        return _join_page(visit, message, name)
    if password != visit.form.get("again", ""):
        return _join_page(visit, visit.words("door.not_again"), name)
    desk, link = visit.desk, str(visit.request.path_params["token"])
    try:
        token = await run_in_threadpool(
            desk.identity.redeem_link, link, name, password, desk.clock()
        )
    except NotFoundError:
        return _join_page(visit, visit.words("door.link_gone"), name)
    except ConflictError:
        return _join_page(visit, visit.words("door.name_taken"), name)
    except CallerError as error:
        return _join_page(visit, f"{error.message}. {error.hint}", name)
    visit.open_session(token)
    return RedirectResponse("/", SEE_OTHER)


async def sign_out(visit: Visit) -> Response:
    """End the session here and in the book."""
    token = visit.request.cookies.get(visit.desk.settings.session_cookie, "")
    await run_in_threadpool(visit.desk.identity.sign_out, token)
    visit.close_session()
    return RedirectResponse("/sign-in", SEE_OTHER)


async def _sign_in_page(
    visit: Visit, target: str, message: str = "", status: int = 200, name: str = ""
) -> Response:
    somebody = await run_in_threadpool(visit.desk.identity.has_users)
    return visit.render(
        "sign_in.html",
        status=status,
        target=target,
        message=visit.words(message) if message else "",
        name=name,
        somebody=somebody,
        name_chars_max=NAME_CHARS_MAX,
        password_chars_max=PASSWORD_CHARS_MAX,
    )


def _join_page(visit: Visit, message: str = "", name: str = "") -> Response:
    return visit.render(
        "join.html",
        status=UNPROCESSABLE if message else 200,
        message=message,
        name=name,
        name_chars_max=NAME_CHARS_MAX,
        password_chars_min=PASSWORD_CHARS_MIN,
        password_chars_max=PASSWORD_CHARS_MAX,
    )
