"""The API's documents, made by the same functions that the command line asks."""

from typing import Any

import msgspec

from quartermaster.api import asked as questions
from quartermaster.api.operation import TOML
from quartermaster.api.ports import OwnRecord, Source
from quartermaster.app import api_capacity, api_simulated, api_watched, live
from quartermaster.app.api_sources import months_of, owed_of, revenue_of
from quartermaster.app.forecast_book import book_of, committed, group_of
from quartermaster.app.revenue_months import revenue_months
from quartermaster.app.revenue_report import revenue_report
from quartermaster.app.rooms import Rooms
from quartermaster.console.claim_words import sentence
from quartermaster.console.report_disclosure import view_of
from quartermaster.exposure import check, disclosure_json, report_json
from quartermaster.exposure.bands import BandRules
from quartermaster.exposure.bands_asked import BandsAsked, banded
from quartermaster.exposure.csv_rows import minor_units
from quartermaster.exposure.disclosure import EntityRevenue, disclosure_test
from quartermaster.exposure.report import scenario_report
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.scenario import Scenario, parse_scenario
from quartermaster.kernel.errors import UsageError
from quartermaster.revenue.book import forecast_document, suggestion_document
from quartermaster.revenue.by_month import RevenueMonths
from quartermaster.revenue.forecast import TOP, forecast
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import document, scorecard
from quartermaster.revenue.suggest import suggest
from quartermaster.sim.book import reference_scenario, scenario_bytes

Json = dict[str, Any]


class RoomAnswers:
    """The port over a data folder; what other rooms answer is in modules of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms, self._var = rooms, rooms.var

    def exposure(self, source: Source, asked: questions.ExposureAsked) -> Json:
        """How much hangs on whom."""
        found = revenue_of(source, asked, self._var, by=asked.by)
        if found.scenario is not None:
            report = scenario_report(found.scenario, found.exposure, found.source)
        else:
            report = revenue_report(
                found.rows, found.exposure, title=found.title, source=found.source
            )
        bands = BandsAsked(
            report_at=asked.report_at,
            breach_at=asked.breach_at,
            absorbing=asked.absorbing,
            absorbing_name=asked.absorbing_name,
        )
        if asked.by == "group":
            report = msgspec.structs.replace(
                report, bands=banded(found.exposure, bands, BandRules())
            )
        elif bands != BandsAsked():
            raise UsageError("bands are about customers", hint="leave by out", field="by")
        return report_json.as_json(report)

    def forecast(self, source: Source, asked: questions.ForecastAsked) -> Json:
        """Revenue ahead, with and without one customer."""
        rows = months_of(
            source,
            self._var,
            decimal_comma=asked.decimal_comma,
            ignore_column=asked.ignore_column,
        )
        book = book_of(
            rows,
            name=_name(source),
            steps=asked.months,
            as_of=asked.as_of,
            owed=owed_of(source, self._var),
        )
        book = committed(book, asked.commitment)
        without = group_of(rows, asked.customer_without)
        found = forecast(
            book.series,
            steps=asked.months,
            without=without,
            top=asked.top,
            level=asked.level,
            floors=book.floors,
        )
        return forecast_document(book, found)

    def suggestion(self, source: Source, asked: questions.SuggestionAsked) -> Json:
        """A range to promise."""
        rows = months_of(
            source,
            self._var,
            decimal_comma=asked.decimal_comma,
            ignore_column=asked.ignore_column,
        )
        book = book_of(
            rows,
            name=_name(source),
            steps=asked.months,
            as_of=asked.as_of,
            owed=owed_of(source, self._var),
        )
        beat = asked.miss if asked.beat is None else asked.beat
        found = suggest(
            book.series,
            steps=asked.months,
            miss=asked.miss,
            beat=beat,
            top=TOP,
            floors=book.floors,
        )
        return suggestion_document(book, found)

    def score(self, source: Source) -> Json:
        """Verdicts on what was promised."""
        return document(scorecard(read_guidance(source.data, source.name)), source.name)

    def disclosure(self, source: Source, asked: questions.DisclosureAsked) -> Json:
        """What a disclosure rule asks, and a draft for counsel."""
        if (asked.entity_revenue is not None) == asked.whole_entity:
            raise UsageError(
                "a share of what? The rule asks for the revenue of the whole reporting entity",
                hint="give entity_revenue, or whole_entity where this revenue is all of it",
                field="entity_revenue",
            )
        found = revenue_of(source, asked, self._var)
        test = disclosure_test(
            found.rows,
            found.exposure,
            asked.rule,
            _entity(asked, found.exposure),
            governments=asked.government,
            segment=asked.segment,
        )
        inputs = (found.source,)
        view = view_of(test, inputs, asked.lang)
        return disclosure_json.as_json(test, inputs, draft=view.draft, notes=view.notes)

    def claims(self, source: Source, asked: questions.ClaimsAsked) -> Json:
        """Which claims agree, contradict, or cannot be compared."""
        scenario, data = _scenario(source)
        findings = check.check(scenario)
        sentences = tuple(sentence(finding, scenario, asked.lang) for finding in findings)
        return check.as_json(scenario, findings, sentences, data)

    def risk(self, source: Source, asked: questions.RiskAsked) -> Json:
        """What revenue is at risk."""
        return api_simulated.risk(source, asked, self._var)

    def what_if(self, source: Source, lever: questions.Lever, asked: questions.WhatIfAsked) -> Json:
        """What one change would do to it."""
        return api_simulated.what_if(source, lever, asked, self._var)

    def warnings(self, source: Source) -> Json:
        """Who is leaving, by what usage says."""
        return api_watched.warnings(source, self._rooms)

    def backtest(self, source: Source) -> Json:
        """How good those probabilities would have been."""
        return api_watched.backtest(source, self._rooms)

    def departure(self, source: Source, asked: questions.CaseAsked) -> Json:
        """How likely a customer leaves."""
        return api_watched.departure(source, asked)

    def statements(self, source: Source) -> Json:
        """How good past statements were."""
        return api_watched.statements(source)

    def own_record(self, book: str) -> OwnRecord:
        """How good our own daily statements were."""
        return api_watched.own_record(book, self._rooms)

    def revenue_months(self, currency: str) -> RevenueMonths:
        """What months came to, as last rated."""
        return revenue_months(live.read(self._var), currency=currency)

    def capacity(self, files: questions.CapacityFiles, asked: questions.CapacityAsked) -> Json:
        """What was built, who keeps it busy, what is stranded."""
        return api_capacity.capacity(files, asked, self._rooms)

    def payback(self, fleet: Source | None, asked: questions.PaybackAsked) -> Json:
        """When the money is back."""
        return api_capacity.payback(fleet, asked)


def _name(source: Source) -> str:
    return f"{source.book} book" if source.book else source.name


def _scenario(source: Source) -> tuple[Scenario, bytes]:
    if source.media_type == TOML:
        return parse_scenario(source.data, source.name), source.data
    return reference_scenario(), scenario_bytes()


def _entity(asked: questions.DisclosureAsked, exposure: Exposure) -> EntityRevenue:
    """The entity's revenue as it is stated; of a whole book, net of what has no share."""
    denominator = exposure.denominator
    if asked.entity_revenue is None:
        net = denominator.minor + sum(member.minor for member in exposure.excluded)
        return EntityRevenue(net, denominator.currency, whole_file=True)
    minor = minor_units(
        asked.entity_revenue, denominator.currency, decimal_comma=False, what="entity_revenue"
    )
    return EntityRevenue(minor, denominator.currency, whole_file=False)
