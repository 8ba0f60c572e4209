"""A capacity statement for a terminal, and its figure: German and English."""

from collections.abc import Sequence
from decimal import Decimal

from quartermaster.capacity.document import gpu_hours
from quartermaster.capacity.series import stack
from quartermaster.capacity.statement import PoolLine, Statement
from quartermaster.console.capacity_words import (
    cold_start,
    figure_words,
    layered,
    name_of,
    part_of,
    span_places,
)
from quartermaster.console.figures_capacity import capacity_stack
from quartermaster.console.format import Lang, number
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns
from quartermaster.kernel.money import Money

CUSTOMERS_SHOWN = 20
"""One screen; the JSON has all of them."""


def text(
    before: Statement,
    after: Statement | None,
    leavers: Sequence[str],
    backfill: int,
    lang: Lang,
) -> str:
    """The finding first, then hours, pools and customers; and again without who leaves."""
    words = catalogue("capacity", lang)
    blocks = [finding(before, words), "", *_lines(before, words, pools=True)]
    if after is not None:
        key = "cli.backfilled" if backfill else "cli.without"
        who = ", ".join(leavers)
        blocks += ["", words(key, who=who, percent=number(backfill, lang)), ""]
        blocks += [finding(after, words), "", *_lines(after, words, pools=False)]
    return "\n".join(blocks)


def finding(statement: Statement, words: Words) -> str:
    """The statement in one sentence: how much of the capacity nobody needed."""
    whole, lang = statement.gpu_us, words.lang
    return words(
        "cli.finding",
        busy=part_of(sum(statement.time.busy.values()), whole, lang),
        stranded=part_of(statement.time.stranded, whole, lang),
        amount=_money(statement.money.stranded, statement, lang),
        cost=_money(statement.cost_minor, statement, lang),
        currency=statement.fleet.currency,
    )


def figure(statement: Statement, leavers: Sequence[str], lang: Lang) -> str:
    """The stack of a statement; with leavers, what they freed is hatched in the colour of risk."""
    words = catalogue("capacity", lang)
    places = {"fleet": statement.fleet.name, "who": ", ".join(leavers)}
    title = words("cli.svg_without" if leavers else "cli.svg_title", **places)
    said = finding(statement, words)
    return capacity_stack(
        layered(stack(statement), {}, words, after_departure=bool(leavers)),
        figure_words(words),
        title=title,
        desc=f"{said}.",
        lang=lang,
        note=f"{title}: {said}",
    )


def _lines(statement: Statement, words: Words, *, pools: bool) -> list[str]:
    places = span_places(statement, words.lang)
    key = "cli.span_one" if statement.hours == 1 else "cli.span"
    lines = [words(key, fleet=statement.fleet.name, **places), "", *_uses(statement, words)]
    for line in statement.pools if pools else ():
        lines += ["", *_pool(line, statement.fleet.currency, words)]
    return [*lines, "", *_customers(statement, words)]


def _uses(statement: Statement, words: Words) -> list[str]:
    time, money, lang = statement.time, statement.money, words.lang
    rows = [
        ("busy", sum(time.busy.values()), statement.customer_minor),
        ("reserved_idle", sum(time.reserved_idle.values()), statement.reserved_idle_minor),
        ("idle", time.idle, money.idle),
        ("stranded", time.stranded, money.stranded),
        ("capacity", statement.gpu_us, statement.cost_minor),
    ]
    head = ("", words("hours.gpu_hours"), "", statement.fleet.currency)
    cells = [
        (
            words(f"cli.{use}"),
            number(gpu_hours(us), lang),
            part_of(us, statement.gpu_us, lang),
            _money(minor, statement, lang),
        )
        for use, us, minor in rows
    ]
    return columns([head, *cells], right=[False, True, True, True])


def _pool(line: PoolLine, currency: str, words: Words) -> list[str]:
    pool, lang = line.account.pool, words.lang
    head = ("batch", "prefill", "decode")
    rows = [(*(words(f"cli.{name}") for name in head), words("cli.blended", currency=currency))]
    for cell in line.batches:
        batch = number(cell.batch, lang)
        blended = number(Decimal(cell.blended_per_million), lang)
        rows.append(
            (
                words("cli.own", batch=batch) if cell.batch == pool.batch else batch,
                number(Decimal(cell.prefill_per_million), lang),
                number(Decimal(cell.decode_per_million), lang),
                words("cli.guessed", amount=blended) if cell.extrapolated else blended,
            )
        )
    said = words(
        "cli.pool",
        pool=pool.id,
        gpus=number(pool.gpus, lang),
        gpu=pool.gpu,
        model=pool.model,
        needed=number(line.account.needed_gpus, lang),
        error=words(f"cli.basis_{line.basis}", **cold_start(lang)),
    )
    return [said, *columns(rows, right=[False, True, True, True])]


def _customers(statement: Statement, words: Words) -> list[str]:
    lang = words.lang
    head = ("customer", "busy_hours", "cost", "reserved", "revenue", "margin")
    rows = [tuple(words(f"cli.{name}") for name in head)]
    for line in statement.customers[:CUSTOMERS_SHOWN]:
        amounts = (line.cost_minor, line.reserved_idle_minor, line.revenue_minor, line.margin_minor)
        rows.append(
            (
                name_of(line.customer, {}, words),
                number(gpu_hours(line.busy_us), lang),
                *(_money(minor, statement, lang) for minor in amounts),
            )
        )
    more = len(statement.customers) - CUSTOMERS_SHOWN
    lines = columns(rows, right=[False, *[True] * (len(head) - 1)])
    return [*lines, words("cli.more", count=number(more, lang))] if more > 0 else lines


def _money(minor: int | None, statement: Statement, lang: Lang) -> str:
    return "-" if minor is None else number(Money(minor, statement.fleet.currency).decimal, lang)
