"""What acting costs and what waiting costs, with where each of the figures is from."""

from collections.abc import Iterator
from datetime import date

from quartermaster.conduct.expected_cost import CurrencyCost, ExpectedCost, MoveCost
from quartermaster.console.board_parts import Line, Section, Table
from quartermaster.console.case_words import CaseDesk
from quartermaster.console.format import money_short, month, number
from quartermaster.kernel.case import CaseStake
from quartermaster.kernel.money import Money

HEAD = ("move", "wrong", "averted", "threshold", "expected", "verdict")


def sections(on: CaseDesk) -> list[Section]:
    """The section; none where nothing of the group is rated."""
    cost, words = on.file.case.cost, on.words
    if cost is None:
        return []
    return [
        Section(
            id="cost",
            title=words("cost.title"),
            lead=tuple(_lead(cost, on)),
            table=Table(
                head=tuple(words(f"cost.{key}") for key in HEAD),
                lines=tuple(_lines(cost, on)),
                words_from=5,
            ),
            items=tuple(_sources(cost.stake, on)),
            notes=(words("cost.note"),),
        )
    ]


def _lead(cost: ExpectedCost, on: CaseDesk) -> Iterator[str]:
    words, stake = on.words, cost.stake
    if stake.probability is None:
        yield words("cost.no_probability")
        return
    even = on.file.case.evidence.even_chance
    waiting = [(cost.waiting_minor, stake.currency)]
    waiting += [(one.waiting_minor, one.currency) for one in cost.elsewhere]
    yield words(
        "cost.stated" if even is None else "cost.probability",
        probability=on.percent(stake.probability),
        even="" if even is None else on.percent(even),
        waiting=words.join([_money(minor or 0, currency, on) for minor, currency in waiting]),
    )
    if cost.elsewhere:
        pays = [words(f"move.{one.move}") for one in cost.moves if one.acts]
        key = "cost.currencies_pay" if pays else "cost.currencies_pay_not"
        yield words(key, moves=words.join(pays))
    else:
        best = cost.best
        yield words("cost.wait") if best is None else words("cost.best", move=words(f"move.{best}"))


def _lines(cost: ExpectedCost, on: CaseDesk) -> Iterator[Line]:
    """A line a move; where there are several currencies, one for each, and a verdict for all."""
    first = CurrencyCost(
        currency=cost.stake.currency,
        damage_minor=cost.damage_minor,
        waiting_minor=cost.waiting_minor,
        moves=cost.moves,
    )
    for place, move in enumerate(cost.moves):
        for part in (first, *cost.elsewhere):
            one, name = part.moves[place], on.words(f"move.{move.move}")
            if cost.elsewhere:
                name = on.words("cost.move_in", move=name, currency=part.currency)
            expected = one.expected_minor
            yield Line(
                (
                    name,
                    _money(one.wrong_minor, part.currency, on),
                    _money(one.averted_minor, part.currency, on),
                    on.percent(one.threshold),
                    "–" if expected is None else _money(expected, part.currency, on),
                    _verdict(cost, move, on) if part is first else "",
                )
            )


def _verdict(cost: ExpectedCost, move: MoveCost, on: CaseDesk) -> str:
    if cost.elsewhere and cost.stake.probability is not None:
        keys = {True: "cost.all_pay", False: "cost.none_pays", None: "cost.rates_decide"}
    else:
        keys = {True: "cost.pays", False: "cost.pays_not", None: "cost.unknown"}
    return on.words(keys[move.acts])


def _sources(stake: CaseStake, on: CaseDesk) -> Iterator[str]:
    """Each figure that the costs are made of, and where it is from."""
    words = on.words
    amounts = [(stake.currency, stake.revenue_a_year_minor, stake.harvested_minor)]
    amounts += [
        (one.currency, one.revenue_a_year_minor, one.harvested_minor) for one in stake.others
    ]
    revenue = words.join([_money(minor, currency, on) for currency, minor, _ in amounts])
    harvested = words.join([_money(minor, currency, on) for currency, _, minor in amounts])
    key = "cost.of_revenue" if stake.months else "cost.of_revenue_stated"
    yield words(key, revenue=revenue, share=_share(stake, on), months=_months(stake, on))
    if stake.unpriced:
        yield words("cost.of_unpriced", count=number(stake.unpriced, on.lang))
    if stake.leaves_stated_on:
        said = on.day(date.fromisoformat(stake.leaves_stated_on))
        yield words("cost.of_leaving", chance=on.percent(stake.leaves_anyway), day=said)
    else:
        yield words("cost.of_leaving_unknown")
    setting = stake.churn_wrongful if stake.churn_setting is None else stake.churn_setting
    yield words(
        "cost.of_churn" if stake.churn_of else "cost.of_churn_setting",
        churn=on.percent(stake.churn_wrongful),
        left=stake.churn_left,
        of=stake.churn_of,
        setting=on.percent(setting),
    )
    yield words(
        "cost.of_harvest" if stake.harvest_measured else "cost.of_harvest_estimated",
        harvested=harvested,
    )
    multiple = f"{stake.damage_multiple:g}"
    yield words(
        "cost.of_settings",
        days=stake.suspended_days,
        multiple=multiple.replace(".", ",") if on.lang == "de" else multiple,
    )


def _share(stake: CaseStake, on: CaseDesk) -> str:
    if stake.share is None:
        return on.words("cost.no_share")
    # The share is of one currency, that in which it is largest.
    key = "cost.share_in_one" if stake.others else "cost.share"
    return on.words(key, share=on.percent(stake.share))


def _months(stake: CaseStake, on: CaseDesk) -> str:
    written = [month(one, on.lang) for one in stake.months]
    if not written:
        return ""
    key = "cost.one_month" if written[0] == written[-1] else "cost.several_months"
    return on.words(key, first=written[0], last=written[-1])


def _money(minor: int, currency: str, on: CaseDesk) -> str:
    return money_short(Money(minor, currency), on.lang)
