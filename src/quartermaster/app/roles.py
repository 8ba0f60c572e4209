"""Run one role in this process. Each branch imports only what its role needs."""

from importlib.util import find_spec
from typing import Literal, get_args

from msgspec import structs

from quartermaster.app.rooms import Rooms
from quartermaster.app.supervisor import die_with
from quartermaster.kernel.errors import UnavailableError

Role = Literal["gateway", "clerk", "watch", "console", "model"]
ROLES: tuple[Role, ...] = get_args(Role)


def can_watch() -> bool:
    """Whether what reads traffic is installed."""
    return find_spec("numpy") is not None


def run_role(
    role: Role,
    rooms: Rooms,
    *,
    worker: int,
    sample: bool,
    lifeline: int | None,
    successor: int = 0,
) -> int:
    """Run until SIGTERM and return the exit code.

    Args:
        role: which process this is.
        rooms: settings and, on demand, stores.
        worker: number of the gateway worker; each has its own write-ahead log.
        sample: whether the console shows the sample book.
        lifeline: read end of the supervisor's pipe, or None when started by hand.
        successor: how many gateway workers of this number have handed over to the next.

    Raises:
        UnavailableError: the role needs what is not installed.
    """
    if lifeline is not None:
        die_with(lifeline)
    settings = rooms.settings
    if role == "gateway":
        from quartermaster.gateway.worker import run as run_gateway

        gateway = settings.gateway
        if not gateway.control_url and settings.api.enabled:
            gateway = structs.replace(gateway, control_url=settings.console.url)
        return run_gateway(
            gateway, var=rooms.var, worker=worker, usage=settings.usage, successor=successor
        )
    if role == "model":
        from quartermaster.model.server import run as run_model

        return run_model(settings.model, var=rooms.var)
    if role == "clerk":
        from quartermaster.app.clerk import run as run_clerk

        return run_clerk(rooms)
    if role == "watch":
        if not can_watch():
            raise UnavailableError(
                "watching needs numpy, which is not installed",
                hint="pip install 'quartermaster-ai[risk]'",
            )
        from quartermaster.app.watch import run as run_watch

        return run_watch(rooms)
    from quartermaster.app.console import run as run_console

    return run_console(rooms, sample=sample)
