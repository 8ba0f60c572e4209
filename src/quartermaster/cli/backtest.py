"""`quartermaster backtest FILE`: how good the departure probabilities would have been."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quartermaster.cli.warn import open_panel

if TYPE_CHECKING:
    from quartermaster.exposure.backtest import Backtest


@click.command("backtest")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(file: Path, *, as_json: bool) -> None:
    """How good the probabilities of `warn` would have been on FILE, beside simple baselines.

    FILE is a usage panel as for `warn`. Every four weeks the model learns from what was over by
    then and states the probability that the next 13 weeks hold less than half of the last 13.
    """
    panel = open_panel(file)

    import msgspec

    from quartermaster.exposure.backtest import backtest

    result = backtest(panel)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
        return
    for line in table(result):
        click.echo(line)


def table(result: "Backtest") -> list[str]:
    """The result as lines of a terminal."""
    lines = [
        f"{result.tenants} tenants, {result.weeks} weeks, {result.origins} origins",
        f"{result.rows} statements, of which {result.event_share:.1%} came true",
        f"ECE of a perfect forecaster in 95 of 100 cases: {result.ece_calibrated_p95:.4f}",
        f"cap10 by size {result.captured_by_size:.3f}, oracle {result.captured_by_oracle:.3f}",
        "",
        "method           Brier  logloss     ECE    AUC  rwAUC  cap10    gap",
    ]
    for score in result.scores:
        auc, revenue_auc, gap = (
            "-" if value is None else format(value, ".3f")
            for value in (score.auc, score.revenue_auc, score.gap_closed)
        )
        lines.append(
            f"{score.method:<14} {score.brier:>7.4f} {score.log_loss:>8.4f} {score.ece:>7.4f}"
            f" {auc:>6} {revenue_auc:>6} {score.captured:>6.3f} {gap:>6}"
        )
    return lines
