"""A case file with the words of one reader at hand."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from quartermaster.commands.actor import AT_THE_MACHINE
from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.extent import Measure, Range
from quartermaster.conduct.notice import in_language, kind_words
from quartermaster.console.format import Lang, day, money, month_long, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue, statistic
from quartermaster.kernel.case import Credit, CreditRedeemed
from quartermaster.kernel.money import Money


class CaseWords:
    """The catalogue of cases, which also says lists."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def __call__(self, key: str, **places: object) -> str:
        """The message with its places filled in."""
        return self._words(key, **places)

    def has(self, key: str) -> bool:
        """Whether the catalogue holds the key."""
        return self._words.has(key)

    def join(self, parts: Sequence[str], by: Literal["and", "or"] = "and") -> str:
        """One and another, or one or another, in words."""
        if len(parts) < 2:
            return "".join(parts)
        return self._words(by, first=", ".join(parts[:-1]), last=parts[-1])


class CaseDesk:
    """The file and its reader."""

    def __init__(self, file: CaseFile, lang: Lang) -> None:
        self.file, self.lang = file, lang
        self.words = CaseWords(catalogue("case", lang))

    @property
    def state(self) -> str:
        """The state in words."""
        return self.words(f"state.{self.file.case.summary.state}")

    def kind(self, kind: str) -> str:
        """A kind of finding in words."""
        return kind_words(kind, self.lang)

    def reason(self, reason: str) -> str:
        """Why something was done: as its author wrote it, or in the reader's language if we did."""
        return in_language(reason, self.lang)

    def cluster(self, cluster: str) -> str:
        """A cluster in words; the daily analysis names some by how they were cut out."""
        key = f"cluster.{cluster.replace(' ', '_')}"
        return self.words(key) if self.words.has(key) else cluster

    def day(self, value: date) -> str:
        """A day as it is written."""
        return day(value, self.lang)

    def moment(self, at: datetime) -> str:
        """A day and a time in UTC."""
        return f"{day(at.date(), self.lang)}, {at:%H:%M} UTC"

    def percent(self, share: float) -> str:
        """A share of one as a percentage, with two digits where it is small."""
        small = 0 < abs(share) < 0.01
        return percent(statistic(share), self.lang, decimals=2 if small else 1)

    def share(self, measure: Measure) -> str:
        """The share of a measure."""
        return self.percent(measure.share.point)

    def share_range(self, share: Range) -> str:
        """A share with its interval."""
        if share.low == share.high:
            return self.percent(share.point)
        return f"{self.percent(share.low)} – {self.percent(share.high)}"

    def person(self, actor: str) -> str:
        """Who did it: a user by name, a process or the operator by what it is."""
        known = self.file.persons.get(actor)
        if known is not None:
            return known
        if actor == "clerk":
            return self.words("actor.clerk")
        if actor.startswith(AT_THE_MACHINE):
            return self.words("actor.os", name=actor.removeprefix(AT_THE_MACHINE))
        return self.words("actor.customer") if actor.startswith("customer:") else actor

    def figures(self, value: float) -> str:
        """A statistic to three digits."""
        return number(Decimal(f"{value:.3g}"), self.lang)

    def reached(self) -> date | None:
        """The day on which the evidence first reached its line."""
        evidence = self.file.case.evidence
        if not evidence.alpha:
            return None
        for one in evidence.days:
            if one.evidence is not None and one.evidence >= 1 / evidence.alpha:
                return date.fromisoformat(one.day)
        return None


def case_desk(file: CaseFile, lang: Lang) -> CaseDesk:
    """The file for a reader of this language."""
    return CaseDesk(file, lang)


def credit_lines(
    granted: Iterable[Credit],
    redeemed: Iterable[CreditRedeemed],
    words: Callable[..., str],
    lang: Lang,
) -> Iterator[str]:
    """What was granted, what drafts of invoices took off for it, and what is left, by contract."""
    left: dict[tuple[str, str], int] = defaultdict(int)
    for one in granted:
        left[one.contract, one.currency] += one.minor
        yield words("own.credit", amount=money(Money(one.minor, one.currency), lang))
    for used in redeemed:
        left[used.contract, used.currency] -= used.minor
        yield words(
            "own.credit_redeemed",
            amount=money(Money(used.minor, used.currency), lang),
            contract=used.contract,
            month=month_long(used.period, lang),
        )
    for (contract, currency), minor in left.items():
        if minor > 0:
            amount = money(Money(minor, currency), lang)
            yield words("own.credit_left", amount=amount, contract=contract)


def notice_parts(text: str) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """A notice as its title, what it says, what it rests on, and what the customer can do."""
    title, *lines = (line for line in text.splitlines() if line)
    listed = [at for at, line in enumerate(lines) if line.startswith("- ")]
    first, last = (listed[0], listed[-1] + 1) if listed else (len(lines), len(lines))
    findings = tuple(line.removeprefix("- ") for line in lines[first:last])
    return title, tuple(lines[:first]), findings, tuple(lines[last:])
