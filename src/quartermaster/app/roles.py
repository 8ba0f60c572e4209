"""Run one role in this process. Each branch imports only what its role needs."""

from typing import Literal, get_args

from quartermaster.app.rooms import Rooms
from quartermaster.app.supervisor import die_with

Role = Literal["gateway", "clerk", "console", "model"]
ROLES: tuple[Role, ...] = get_args(Role)


def run_role(role: Role, rooms: Rooms, *, worker: int, sample: bool, lifeline: int | None) -> int:
    """Run until SIGTERM and return the exit code.

    Args:
        role: which process this is.
        rooms: settings and, on demand, stores.
        worker: number of the gateway worker; each has its own write-ahead log.
        sample: whether the console shows the sample book.
        lifeline: read end of the supervisor's pipe, or None when started by hand.
    """
    if lifeline is not None:
        die_with(lifeline)
    settings = rooms.settings
    if role == "gateway":
        from quartermaster.gateway.worker import run as run_gateway

        return run_gateway(settings.gateway, var=rooms.var, worker=worker, usage=settings.usage)
    if role == "model":
        from quartermaster.model.server import run as run_model

        return run_model(settings.model, var=rooms.var)
    if role == "clerk":
        from quartermaster.app.clerk import run as run_clerk

        return run_clerk(rooms)
    from quartermaster.app.console import run as run_console

    return run_console(rooms, sample=sample)
