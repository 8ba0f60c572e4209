"""`quartermaster up`: everything under one supervisor, or one role of it."""

import click

from quartermaster.app.roles import ROLES


@click.command("up")
@click.option("--once", is_flag=True, help="Start, send one real request, show it, stop.")
@click.option("--empty", is_flag=True, help="Start without the sample book.")
@click.option("--role", type=click.Choice(ROLES), help="Run this one role in the foreground.")
@click.option("--worker", type=click.IntRange(0, 63), default=0, help="Number of a gateway worker.")
@click.option(
    "--successor",
    type=click.IntRange(0),
    default=0,
    help="Of a gateway worker: how many of its number have handed over before it.",
)
@click.option("--lifeline", type=int, hidden=True, help="Read end of the supervisor's pipe.")
@click.pass_obj
def command(
    options: dict[str, str | None],
    once: bool,
    empty: bool,
    role: str | None,
    worker: int,
    successor: int,
    lifeline: int | None,
) -> int:
    """Start everything, send one real request, and show what became of it."""
    from quartermaster.app import open_rooms

    rooms = open_rooms(options)
    if role is not None:
        from quartermaster.app.roles import run_role

        chosen = ROLES[[str(known) for known in ROLES].index(role)]
        return run_role(
            chosen,
            rooms,
            worker=worker,
            sample=not empty,
            lifeline=lifeline,
            successor=successor,
        )
    from quartermaster.app.up import up

    return up(
        rooms,
        once=once,
        sample=not empty,
        options=options,
        say=lambda line: click.echo(line, err=True),
        show=click.echo,
    )
