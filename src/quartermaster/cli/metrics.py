"""`quartermaster metrics`: what this machine's gateways counted, as Prometheus reads it."""

import click

Options = dict[str, str | None]


@click.command("metrics")
@click.option("--by-worker", is_flag=True, help="Every counter by worker, not one sum.")
@click.option("--json", "as_json", is_flag=True, help="As the workers keep it.")
@click.pass_obj
def command(options: Options, by_worker: bool, as_json: bool) -> None:
    """Counters of the gateways on this machine, in Prometheus' text format.

    The same as `/metrics` on `gateway.metrics_port`, without a port: for a look, or for the node
    exporter's textfile collector.
    """
    from quartermaster.app import open_rooms
    from quartermaster.gateway.metrics_file import all_metrics
    from quartermaster.gateway.metrics_port import machine_text
    from quartermaster.gateway.metrics_text import as_json as counters_as_json

    rooms = open_rooms(options)
    if as_json:
        click.echo(counters_as_json(all_metrics(rooms.var)))
    else:
        text = machine_text(rooms.var, rooms.now(), by_worker=by_worker)
        click.echo(text, nl=False)
