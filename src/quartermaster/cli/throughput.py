"""`quartermaster throughput SCRAPE SCRAPE…`: measured points from an engine's own metrics."""

import csv
import io
import json
from pathlib import Path

import click

from quartermaster.kernel.errors import DataError

SCHEMA = "quartermaster.throughput/1"
"""Changes with the meaning of any field."""


@click.command("throughput")
@click.argument("scrapes", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--model", required=True, help="Name of the model, as in the fleet.")
@click.option("--gpu", required=True, help="Name of the GPU type, as in the fleet.")
@click.option(
    "--tensor-parallel", type=click.IntRange(1, 1024), default=1, help="GPUs of the replica."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    scrapes: tuple[Path, ...], *, model: str, gpu: str, tensor_parallel: int, as_json: bool
) -> None:
    """Points for `capacity --points`, from what vLLM answers at /metrics.

    Give two or more scrapes of one replica, oldest first: every stretch between two of them that
    served requests becomes a point.
    """
    from quartermaster.capacity.scrapes import Replica, calibrate, read_scrape

    read = [(path.name, read_scrape(_text(path), path.name)) for path in scrapes]
    found = calibrate(read, Replica(model, gpu, tensor_parallel))
    points = [
        {name: getattr(point, name) for name in point.__struct_fields__} for point in found.points
    ]
    for reason in found.skipped:
        click.echo(f"left out: {reason}", err=True)
    if as_json:
        document = {
            "schema": SCHEMA,
            "points": points,
            "left_out": list(found.skipped),
        }
        click.echo(json.dumps(document, indent=2))
        return
    out = io.StringIO()
    writer = csv.DictWriter(out, list(points[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    click.echo(out.getvalue(), nl=False)


def _text(path: Path) -> str:
    from quartermaster.capacity.scrapes import SCRAPE_BYTES_MAX

    try:
        with path.open("rb") as file:
            data = file.read(SCRAPE_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text") from error
    if len(data) > SCRAPE_BYTES_MAX:
        raise DataError(f"{path.name} is larger than {SCRAPE_BYTES_MAX // 1024 // 1024} MiB")
    return text
