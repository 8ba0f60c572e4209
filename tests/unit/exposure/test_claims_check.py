"""The claims check: on the reference scenario, and on an article that has nothing to do with it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from quartermaster.console.claim_words import sentence
from quartermaster.console.format import LANGS
from quartermaster.exposure.check import as_json, check, contradictions
from quartermaster.exposure.findings import Finding
from quartermaster.exposure.scenario import Scenario, parse_scenario, read_scenario

HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "examples/azure-openai-2024.toml"
MADE_UP = HERE / "made_up_article.toml"


@pytest.fixture(scope="module")
def reference() -> Scenario:
    return read_scenario(REFERENCE)[0]


@pytest.fixture(scope="module")
def article() -> Scenario:
    return read_scenario(MADE_UP)[0]


def found(scenario: Scenario, kind: str, *claims: str) -> list[Finding]:
    return [
        finding
        for finding in check(scenario)
        if finding.kind == kind and set(claims) <= set(finding.claims)
    ]


def only(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


# --- the reference scenario ------------------------------------------------------------------


def test_payment_share_and_run_rate_agree(reference: Scenario) -> None:
    finding = only(found(reference, "share_recomputed", "payment", "share", "run_rate"))
    assert finding.verdict == "agrees"
    computed, said = finding.quantity("computed"), finding.quantity("stated")
    assert computed.point == pytest.approx(0.24)
    assert (float(said.low), float(said.high)) == (0.225, 0.25)
    assert said.low <= computed.point <= said.high
    assert float(finding.quantity("implied_payment").point) == pytest.approx(20.8e6, rel=2e-3)


def test_the_two_denominators_cannot_both_hold(reference: Scenario) -> None:
    finding = only(found(reference, "same_money_two_denominators", "share", "share_whole_division"))
    assert finding.verdict == "contradicts"
    recomputed = found(reference, "share_recomputed", "share_whole_division")
    assert {finding.verdict for finding in recomputed} == {"contradicts"}
    assert all(finding.quantity("computed").high < 0.01 for finding in recomputed)


def test_the_same_money_over_every_denominator(reference: Scenario) -> None:
    finding = only(found(reference, "share_by_denominator"))
    shares = {quantity.of: round(float(quantity.point) * 100, 2) for quantity in finding.quantities}
    assert shares == {
        "azure-openai": 24.0,
        "azure": 0.43,
        "microsoft-cloud": 0.18,
        "microsoft-all": 0.10,
    }


def test_growth_on_two_bases_is_not_compared(reference: Scenario) -> None:
    refused = only(found(reference, "comparison_refused", "growth", "growth_forecast"))
    assert (refused.verdict, refused.reasons) == ("refused", ("basis",))
    scored = only(found(reference, "guidance_scored"))
    assert scored.claims == ("growth_constant_currency", "growth_forecast")
    assert scored.detail == "low_end"
    asserted = only(found(reference, "asserted_comparison"))
    assert asserted.verdict == "contradicts"


def test_guidance_across_a_redefinition_is_not_scored(reference: Scenario) -> None:
    finding = only(found(reference, "guidance_not_scorable"))
    assert finding.claims[0] == "guidance"
    assert (finding.reasons, finding.detail) == (("metric_version",), "2024-08-21")


def test_until_march_against_as_of_march(reference: Scenario) -> None:
    finding = only(found(reference, "time_disagrees"))
    assert set(finding.claims) == {"payment", "payment_original"}
    assert finding.detail == "payment_original"


def test_every_claim_of_the_story_is_there_with_its_source(reference: Scenario) -> None:
    story = {"payment", "share", "run_rate", "need", "breach", "suspension", "extent"}
    story |= {"investment", "supercomputer", "growth", "guidance"}
    assert story <= set(reference.claim_by_id)
    for claim in reference.claims:
        source = reference.source_by_id[claim.source]
        assert source.publisher
        assert source.date
        assert claim.said_by
    unchecked = only(found(reference, "not_checked")).claims
    assert set(unchecked) >= {"need", "breach", "suspension", "extent"}


# --- variations ------------------------------------------------------------------------------


def vary(text: str) -> Scenario:
    """The made-up article without its claims, and these instead."""
    head = MADE_UP.read_text("utf-8").partition("# A quarter's fees")[0]
    extra = """
[[party]]
id = "nordline-ferries"
kind = "entity"
name = "Nordline Ferries"
group = "nordline"
"""
    return parse_scenario((head + extra + text).encode(), "v.toml")


def claim(identity: str, **fields: str) -> str:
    whole = {
        "id": identity,
        "statement": "said",
        "said_by": "somebody",
        "source": "gazette",
        "as_of": "2030-12",
        "confidence": "low",
        "period": "2030-12",
        **fields,
    }
    return "[[claim]]\n" + "".join(f'{name} = "{value}"\n' for name, value in whole.items())


def money(identity: str, million: int, scope: str = "terminal", subject: str = "") -> str:
    fields = {"measure": "revenue", "value": f"{million}000000", "unit": "EUR/year", "scope": scope}
    return claim(identity, **fields, **({"subject": subject} if subject else {}))


def share(percent: int, denominator: str = "terminal", subject: str = "nordline") -> str:
    return claim(
        f"share_of_{denominator}",
        measure="share",
        value=str(percent),
        unit="%",
        subject=subject,
        denominator=denominator,
    )


def recomputed(*parts: str) -> list[tuple[tuple[str, ...], str]]:
    scenario = vary("\n".join(parts))
    return [
        (finding.claims[:-2], finding.verdict)
        for finding in check(scenario)
        if finding.kind == "share_recomputed"
    ]


TOTAL = money("total", 100)
CARGO = money("cargo", 10, subject="nordline-cargo")
FERRIES = money("ferries", 15, subject="nordline-ferries")


def test_payments_of_entities_add_up_to_their_group() -> None:
    assert recomputed(TOTAL, CARGO, FERRIES, share(25)) == [(("cargo", "ferries"), "agrees")]
    assert recomputed(TOTAL, CARGO, FERRIES, share(20)) == [(("cargo", "ferries"), "contradicts")]


def test_the_payment_of_one_entity_is_a_lower_bound_of_its_group() -> None:
    assert recomputed(TOTAL, CARGO, share(25)) == [(("cargo",), "note")]
    assert recomputed(TOTAL, CARGO, share(5)) == [(("cargo",), "contradicts")]


def test_an_entity_is_measured_by_its_own_payment() -> None:
    own = share(10, subject="nordline-cargo")
    assert recomputed(TOTAL, CARGO, FERRIES, own) == [(("cargo",), "agrees")]
    assert recomputed(TOTAL, FERRIES, own) == []


def test_the_payment_of_the_group_contains_its_entities() -> None:
    group = money("group", 25, subject="nordline")
    assert recomputed(TOTAL, CARGO, group, share(25)) == [(("group",), "agrees")]


def test_a_payment_for_a_part_is_inside_the_payment_for_the_whole() -> None:
    parts = (
        money("harbour_total", 100, scope="harbour"),
        money("group", 25, scope="harbour", subject="nordline"),
        money("part", 5, scope="terminal", subject="nordline"),
    )
    assert recomputed(*parts, share(25, "harbour")) == [(("group",), "agrees")]


def test_a_disputed_payment_is_shown_both_ways() -> None:
    other = money("cargo_again", 40, subject="nordline-cargo")
    assert recomputed(TOTAL, CARGO, other, share(40, subject="nordline-cargo")) == [
        (("cargo",), "contradicts"),
        (("cargo_again",), "agrees"),
    ]


def test_a_comparison_of_different_things_is_refused() -> None:
    boast = claim("boast") + 'compares = { left = "cargo", relation = "above", right = "total" }\n'
    finding = only(found(vary(TOTAL + CARGO + boast), "asserted_comparison"))
    assert (finding.verdict, finding.reasons) == ("refused", ("subject",))


# --- another article -------------------------------------------------------------------------


def test_a_wrong_share_is_reported(article: Scenario) -> None:
    finding = only(found(article, "share_recomputed", "wrong_share", "terminal_revenue"))
    assert finding.verdict == "contradicts"
    assert finding.quantity("computed").point == pytest.approx(0.6)
    assert finding.claims[0] == "fees"


def test_an_ambiguous_wording_that_one_reading_saves(article: Scenario) -> None:
    readings = {
        finding.quantity("computed").of: finding.verdict
        for finding in found(article, "share_recomputed", "vague_share")
    }
    assert readings == {"harbour": "agrees", "terminal": "note"}
    assert not found(article, "same_money_two_denominators", "vague_share")


def test_two_figures_for_the_same_thing(article: Scenario) -> None:
    finding = only(found(article, "same_figure_disagrees"))
    assert set(finding.claims) == {"terminal_revenue", "terminal_revenue_blog"}


def test_a_beat_is_scored_and_the_boast_holds(article: Scenario) -> None:
    assert only(found(article, "guidance_scored")).detail == "above"
    assert only(found(article, "asserted_comparison")).verdict == "agrees"


def test_guidance_without_an_actual(article: Scenario) -> None:
    finding = only(found(article, "guidance_not_scorable"))
    assert (finding.claims, finding.detail) == (("tonnage_next",), "")


def test_old_figures_are_not_set_against_new_totals(article: Scenario) -> None:
    assert not found(article, "share_recomputed", "old_fees")
    assert "old_fees" in only(found(article, "not_checked")).claims


def test_currencies_are_not_converted(article: Scenario) -> None:
    refused = found(article, "comparison_refused", "fees_abroad")
    assert refused
    assert {finding.reasons for finding in refused} == {("currency",)}


def test_nothing_in_the_check_knows_an_id(reference: Scenario) -> None:
    """Rename every claim: the same findings, under the new names."""
    text = REFERENCE.read_text("utf-8")
    for name in reference.claim_by_id:
        for field in ("id", "left", "right", "total"):
            text = text.replace(f'{field} = "{name}"', f'{field} = "x-{name}"')
        text = text.replace(f'payments = ["{name}"]', f'payments = ["x-{name}"]')
    renamed = parse_scenario(text.encode(), "renamed.toml")
    old = [(finding.kind, finding.verdict, finding.claims) for finding in check(reference)]
    new = [(finding.kind, finding.verdict, finding.claims) for finding in check(renamed)]
    assert new == [
        (kind, verdict, tuple(f"x-{c}" for c in claims)) for kind, verdict, claims in old
    ]


@pytest.mark.parametrize("lang", LANGS)
def test_every_finding_has_a_sentence(reference: Scenario, article: Scenario, lang: str) -> None:
    for scenario in (reference, article):
        for finding in check(scenario):
            words = sentence(finding, scenario, "de" if lang == "de" else "en")
            assert "{" not in words
            assert words.endswith(".")


def test_json_names_sources_of_every_finding(reference: Scenario) -> None:
    findings = check(reference)
    sentences = tuple(sentence(finding, reference, "en") for finding in findings)
    document = as_json(reference, findings, sentences, b"x")
    assert document["contradictions"] == len(contradictions(findings)) > 0
    assert all(entry["sources"] for entry in document["findings"])
    assert {claim["id"] for claim in document["claims"]} == set(reference.claim_by_id)
