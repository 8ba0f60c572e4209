"""The command line: parse, call, show. Commands load lazily, so `--help` imports no numpy."""

import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from quartermaster import __version__
from quartermaster.kernel.errors import QuartermasterError

# noun: (module, one-line help shown without importing it)
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("up", "Start gateway, clerk, console and model under one supervisor."),
    "customer": ("customer", "Groups, customers and their contracts."),
    "user": ("user", "Who may sign in to the console."),
    "key": ("key", "Issue, rotate and revoke customer keys."),
    "project": ("project", "How a customer tells its own uses apart."),
    "limit": ("limit", "Requests and tokens a minute, and requests at once."),
    "budget": ("budget", "Money that keys and customer groups may spend."),
    "webhook": ("webhook", "Where alerts are sent, and signed."),
    "shared": ("shared", "Machines that share limits and budgets."),
    "deployment": ("deployment", "Where models are served."),
    "upstream": ("upstream", "The model servers, and whether they answer and count."),
    "usage": ("usage", "Metered usage: facts, cuts and the hourly rollup."),
    "batch": ("batch", "How far customers' batches are."),
    "metrics": ("metrics", "Counters of the gateways, as Prometheus reads them."),
    "bill": ("bill", "Rate a cut and draft an invoice."),
    "revenue": ("revenue", "What months came to: billed, accrued, and in one currency."),
    "rate": ("rate", "Exchange rates, with their day and source."),
    "exposure": ("exposure", "How much hangs on one customer."),
    "request": ("request", "One request: where it went, and why there."),
    "report": ("report", "The board report: HTML and PDF, German and English."),
    "warn": ("warn", "Who is leaving, by what usage says."),
    "backtest": ("backtest", "How good those probabilities would have been."),
    "forecast": ("forecast", "Revenue ahead, with and without one customer."),
    "guidance": ("guidance", "Score what was promised, suggest what to promise."),
    "risk": ("risk", "What revenue is at risk when customers leave, and on whom it hangs."),
    "what-if": ("what_if", "What a departure, a cut, a price or a commitment would change."),
    "disclose": ("disclose", "Test a disclosure rule on single customers and draft its words."),
    "claims": ("claims", "Check the claims of a scenario against each other."),
    "capacity": ("capacity", "What was built, who keeps it busy, what is stranded."),
    "throughput": ("throughput", "Measured points from an engine's own metrics."),
    "payback": ("payback", "When the money is back, with a customer and without it."),
    "departure": ("departure", "How likely a customer leaves, and every step to that figure."),
    "statements": ("statements", "How good our own past probabilities were."),
    "sec-losses": ("sec_losses", "How often filers lose a large customer, in the SEC's files."),
    "conduct": ("conduct", "Who may be training a rival on the outputs, with reasons."),
    "case": ("case", "Cases of that: steps, signatures, answers, appeals, the case file."),
    "model": ("model", "Fetch and check the embedded model."),
    "journal": ("journal", "Verify and export the hash-chained journal."),
    "config": ("config", "Show the settings and where each came from."),
}

EXIT_CODES = """\b
Exit codes: 0 ok, 1 failed, 2 usage, 3 finding, 4 config invalid, 5 books do not
add up, 6 upstream unreachable, 130 interrupted."""

EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the story."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the noun's module and return its `command`."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"quartermaster.cli.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command), f"{cmd_name} has no command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="quartermaster")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False),
    help="Settings file; default ./quartermaster.toml where it exists.",
)
@click.option("--var", "var", type=click.Path(file_okay=False), help="Data folder; default ./var.")
@click.pass_context
def cli(ctx: click.Context, config_file: str | None, var: str | None) -> None:
    """Serve models to paying customers, and know how much hangs on one of them."""
    ctx.obj = {"config_file": config_file, "var": var}


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one line and a hint."""
    try:
        result = cli.main(args=list(arguments), prog_name="quartermaster", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except QuartermasterError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        click.echo("hint: is the path right, and may you read and write there?", err=True)
        return 1
    except Exception as error:  # noqa: BLE001 - the last resort: words here, details in a file
        click.echo(f"error: unexpected {type(error).__name__}: {_first_line(error)}", err=True)
        click.echo(f"hint: this is a defect; report it with {_details_of(error)}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["without a message"])[0]


def _details_of(error: Exception) -> str:
    """Write the traceback to a private file and return its path."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="quartermaster-defect-", suffix=".txt", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return file.name
