"""A disclosure test in words: finding, draft with numbered figures, and where each comes from.

Drafts for US rules are always in English, because they stand in an English filing.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from string import ascii_uppercase

import msgspec

from quartermaster.console.format import Lang, money, month_long, number
from quartermaster.console.language import Words
from quartermaster.console.report_view import denominator_words
from quartermaster.console.report_words import catalogue, percent_words
from quartermaster.exposure.concentration import is_reportable
from quartermaster.exposure.disclosure import DisclosureTest, RowLink, TestedCustomer
from quartermaster.exposure.report import InputFile
from quartermaster.kernel.money import EXACT, Money

RANGES_MAX = 12
"""Ranges of lines in a sentence; every row is in the JSON."""
_ENTITY_FIGURE = 1
_FIGURES_EACH = 2
"""A customer brings two figures: its amount and its share."""


class DisclosureView(msgspec.Struct, frozen=True, kw_only=True):
    """The test as strings of one language."""

    title: str
    findings: tuple[str, ...]
    draft: tuple[str, ...]
    figures: tuple[str, ...]
    notes: tuple[str, ...]
    """In the order of the test's notes."""


def view_of(test: DisclosureTest, inputs: Sequence[InputFile], lang: Lang) -> DisclosureView:
    """Put the test into words.

    Args:
        test: what was found.
        inputs: files that were read, the revenue first.
        lang: of the words; the draft's is the filing's.
    """
    words = catalogue("disclosure", lang)
    in_english = test.rule.id != "ifrs8"
    return DisclosureView(
        title=words("title", citation=test.rule.citation),
        findings=tuple(_findings(test, words)),
        draft=tuple(_draft(test, catalogue("disclosure", "en" if in_english else lang))),
        figures=tuple(_figures(test, inputs, words)),
        notes=tuple(words(f"note.{note}") for note in test.notes),
    )


def disclosure_text(view: DisclosureView, lang: Lang) -> str:
    """The view for a terminal or a mail."""
    words = catalogue("disclosure", lang)
    blocks = [
        [view.title],
        list(view.findings),
        [words("draft_title"), *(f"  {line}" for line in view.draft)] if view.draft else [],
        [words("figures_title"), *(f"  {line}" for line in view.figures)],
        [words("notes_title"), *(f"  - {line}" for line in view.notes)],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _findings(test: DisclosureTest, words: Words) -> Iterator[str]:
    count = number(len(test.disclosed), words.lang)
    if test.must_disclose is None:
        yield words("judgement" if test.disclosed else "judgement_none", count=count)
    else:
        yield words("must" if test.must_disclose else "must_not", count=count)
    denominator = denominator_words(test.denominator, catalogue("report", words.lang))
    for customer in test.customers:
        of_file = _share(customer.minor, test.denominator.minor, words)
        line = words(
            "customer",
            group=customer.group,
            share=_share(customer.minor, test.entity.minor, words),
            share_of_file=of_file,
            denominator=denominator,
        )
        yield line if customer.reaches_line else words("nearest", line=line)
        if not customer.reaches_line and is_reportable(customer.minor, test.denominator.minor):
            yield words("trap", share_of_file=of_file)
        if customer.government:
            yield words("note.government", group=customer.group)


def _draft(test: DisclosureTest, words: Words) -> Iterator[str]:
    customers, period = test.disclosed, _period(test, words)
    if not test.rule.bright_line:
        if not customers:
            return
        shares = [_share(customer.minor, test.entity.minor, words) for customer in customers]
        key = "risk_caption_one" if len(customers) == 1 else "risk_caption_many"
        count = number(len(customers), words.lang)
        yield words(f"draft.{key}", share=shares[0], s=_share_figure(0), count=count)
        for at, customer in enumerate(customers):
            yield words("draft.risk_customer", **_places(test, customer, at, words), **period)
        yield words("draft.risk_terms")
        return
    key = {0: "none", 1: "one"}.get(len(customers), "many")
    yield words(f"draft.{key}", **period, count=number(len(customers), words.lang))
    for at, customer in enumerate(customers):
        kind = "customer_group" if len(customer.members) > 1 else "customer"
        if customer.government:
            kind = "customer_government"
        yield words(f"draft.{kind}", **_places(test, customer, at, words))


def _places(
    test: DisclosureTest, customer: TestedCustomer, at: int, words: Words
) -> dict[str, object]:
    """What a sentence about one customer names, and the numbers of its figures."""
    currency = test.denominator.currency
    return {
        "letter": ascii_uppercase[at],
        "amount": money(Money(customer.minor, currency), words.lang),
        "share": _share(customer.minor, test.entity.minor, words),
        "total": money(Money(test.entity.minor, currency), words.lang),
        "segment": test.segment or words("placeholder_segment"),
        "t": _ENTITY_FIGURE,
        "a": _amount_figure(at),
        "s": _share_figure(at),
    }


def _amount_figure(at: int) -> int:
    return _ENTITY_FIGURE + 1 + _FIGURES_EACH * at


def _share_figure(at: int) -> int:
    return _amount_figure(at) + 1


def _figures(test: DisclosureTest, inputs: Sequence[InputFile], words: Words) -> Iterator[str]:
    lang, currency, file = words.lang, test.denominator.currency, inputs[0].name
    yield words(
        "figure.entity_file" if test.entity.whole_file else "figure.entity_given",
        number=_ENTITY_FIGURE,
        amount=money(Money(test.entity.minor, currency), lang),
        file=file,
        first=test.denominator.first,
        last=test.denominator.last,
    )
    for at, customer in enumerate(test.customers):
        lines = line_ranges(customer.rows)
        yield words(
            "figure.customer" if lines else "figure.customer_no_lines",
            number=_amount_figure(at),
            amount=money(Money(customer.minor, currency), lang),
            group=customer.group,
            count=number(len(customer.rows), lang),
            file=file,
            lines=lines,
        )
        yield words(
            "figure.share",
            number=_share_figure(at),
            share=_share(customer.minor, test.entity.minor, words),
            of=_amount_figure(at),
            over=_ENTITY_FIGURE,
        )
    for each in inputs:
        yield words("figure.input", name=each.name, sha256=each.sha256)
    yield words("figure.data", sha256=test.data_sha256)


def line_ranges(rows: Sequence[RowLink]) -> str:
    """Lines of a file as `2-25, 30`; empty where the rows came from none."""
    lines = sorted({row.line for row in rows if row.line})
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], line]
        else:
            ranges.append([line])
    shown = ["-".join(str(end) for end in ends) for ends in ranges[:RANGES_MAX]]
    return ", ".join([*shown, "…"] if len(ranges) > RANGES_MAX else shown)


def _period(test: DisclosureTest, words: Words) -> dict[str, object]:
    denominator = test.denominator
    return {
        "first": month_long(denominator.first, words.lang),
        "last": month_long(denominator.last, words.lang),
    }


def _share(minor: int, total: int, words: Words) -> str:
    return percent_words(EXACT.divide(Decimal(minor), Decimal(total)), words.lang)
