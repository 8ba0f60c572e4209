"""Cases: the state table, who signs, what is never possible, and what each step brings about."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conduct.case_made_up import (
    AROUND,
    DAY,
    HARVEST,
    LARGE,
    NOW,
    ONLY_REASONING,
    SMALL,
    by,
    case_of,
)

from quartermaster.conduct.cases import Case, deadlines, fold
from quartermaster.conduct.cases_settings import CaseSettings
from quartermaster.conduct.cases_shown import shown
from quartermaster.conduct.cases_step import (
    ANSWERS_MAX,
    By,
    Investigate,
    Post,
    Stand,
    answer,
    appeal,
    decide,
    move,
    refusal,
    sign,
    signers,
    tend,
    told,
    withdraw,
)
from quartermaster.conduct.cases_table import ENDED, ROWS, STATES, diagram
from quartermaster.kernel import case as facts
from quartermaster.kernel.case import CaseFinding, CasePart, CaseStake, CaseStratum, MoveAsked
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import (
    ConflictError,
    IntegrityError,
    NotAllowedError,
    UsageError,
)
from quartermaster.kernel.limit import Limits, Throttle
from tools import case_states

SLICE = Throttle(limits=Limits(requests_per_minute=6), keys=("key_1",))


def asked(name: facts.Move, *, urgent: bool = False) -> MoveAsked:
    throttle = SLICE if name == "throttle" else None
    return MoveAsked(move=name, reason="because", throttle=throttle, urgent=urgent)


def moved(case: Case, name: facts.Move, days: float, *, urgent: bool = False) -> Case:
    """Made by one person, or by two where two are needed."""
    after, _ = move(case, asked(name, urgent=urgent), by("usr_ada", days), AROUND)
    if after.pending is not None:
        after, _ = sign(after, len(after.history), by("usr_bob", days), AROUND)
    return after


def suspended() -> Case:
    case = moved(case_of(HARVEST), "inform", 1)
    return moved(case, "suspend", 2, urgent=True)


def test_the_whole_way_from_observation_to_the_end_and_back() -> None:
    case = case_of(HARVEST)
    states: list[str] = [case.state]
    for day, name in enumerate(
        ("inform", "warn", "throttle", "suspend", "investigate", "terminate", "reinstate")
    ):
        case = moved(case, name, 20 * (day + 1))  # type: ignore[arg-type]
        states.append(case.state)
    assert states == [
        "observing", "informed", "warned", "throttled", "suspended", "investigating",
        "terminated", "reinstated",
    ]  # fmt: skip
    assert case.standing == "active"
    assert fold(case.id, case.history) == case


def test_every_state_is_reached_and_only_the_ended_ones_lead_nowhere() -> None:
    assert {row.target for row in ROWS} | {"observing"} == set(STATES)
    assert set(STATES) - {row.source for row in ROWS} == ENDED
    assert len({(row.source, row.move) for row in ROWS}) == len(ROWS)


def test_what_takes_everything_away_always_needs_two() -> None:
    for row in ROWS:
        if row.move in ("suspend", "terminate") or row.urgent:
            assert row.signers == 2, row


def test_reasoning_alone_never_leaves_observation() -> None:
    case = case_of(ONLY_REASONING)
    for name in ("inform", "throttle", "suspend"):
        with pytest.raises(ConflictError, match="never leads beyond observation"):
            move(case, asked(name, urgent=True), by(), AROUND)
    assert refusal(case, asked("dismiss"), NOW) == ""


def test_what_the_contract_explains_is_no_reason_to_act() -> None:
    explained = msgspec.structs.replace(HARVEST, status="explained")
    with pytest.raises(ConflictError, match="never leads beyond observation"):
        move(case_of(explained), asked("inform"), by(), AROUND)
    # Until something comes that it does not explain.
    more = facts.CaseEvidence(findings=(explained, CaseFinding("public_corpus", 0.9, 0.3)))
    case, _ = told(case_of(explained), facts.EvidenceAdded(evidence=more), by())
    assert moved(case, "inform", 1).state == "informed"


def test_a_second_signature_comes_from_another_signed_in_person() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    waits, effects = move(case, asked("suspend", urgent=True), by("usr_ada", 2), AROUND)
    assert waits.state == "informed"
    assert not any(isinstance(one, Stand) for one in effects)
    with pytest.raises(NotAllowedError, match="different person"):
        sign(waits, len(waits.history), by("usr_ada", 2), AROUND)
    with pytest.raises(NotAllowedError, match="two signed-in users"):
        sign(waits, len(waits.history), by("os:root", 2, signed_in=False), AROUND)
    with pytest.raises(ConflictError, match="void"):
        sign(waits, len(waits.history), by("usr_bob", 10), AROUND)
    with pytest.raises(ConflictError, match="another step"):
        sign(waits, 1, by("usr_bob", 3), AROUND)
    done, effects = sign(waits, len(waits.history), by("usr_bob", 3), AROUND)
    assert done.state == "suspended"
    assert Stand("suspended", None, "because", "usr_ada") in effects
    assert done.movers == ("usr_ada", "usr_bob")


def test_who_is_not_signed_in_cannot_propose_what_two_must_sign() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    with pytest.raises(NotAllowedError, match="two signed-in users"):
        move(case, asked("suspend", urgent=True), by("os:root", 2, signed_in=False), AROUND)


def test_a_proposal_may_be_withdrawn() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    waits, _ = move(case, asked("suspend", urgent=True), by("usr_ada", 2), AROUND)
    gone, _ = withdraw(waits, "too early", by("usr_bob", 2))
    with pytest.raises(ConflictError, match="nothing"):
        sign(gone, 3, by("usr_bob", 2), AROUND)


@pytest.mark.parametrize(
    ("stake", "needed"),
    [(SMALL, 1), (LARGE, 2), (None, 2), (msgspec.structs.replace(SMALL, probability=0.01), 2)],
    ids=["small", "large", "unmeasured", "too costly"],
)
def test_size_and_expected_cost_decide_who_signs_a_throttle(
    stake: CaseStake | None, needed: int
) -> None:
    case = moved(moved(case_of(HARVEST, stake=stake), "inform", 1), "warn", 20)
    assert signers(case, asked("throttle"), 0.1) == needed


def test_nobody_closes_a_slice_alone_because_it_may_be_everything() -> None:
    case = moved(moved(case_of(HARVEST, stake=SMALL), "inform", 1), "warn", 20)
    closed = MoveAsked(move="throttle", reason="because", throttle=Throttle(keys=("key_1",)))
    proposed, _ = move(case, closed, by("usr_ada", 40), AROUND)
    assert (proposed.standing, proposed.pending is not None) == ("warned", True)
    signed, _ = sign(proposed, len(proposed.history), by("usr_bob", 41), AROUND)
    assert signed.standing == "throttled"


@pytest.mark.parametrize(("passes", "waits"), [(0.02, True), (0.5, False), (None, False)])
def test_a_throttle_that_lets_nearly_nothing_pass_is_signed_by_two(
    passes: float | None, waits: bool
) -> None:
    case = moved(moved(case_of(HARVEST, stake=SMALL), "inform", 1), "warn", 20)
    around = msgspec.structs.replace(AROUND, passes=passes)
    found, _ = move(case, asked("throttle"), by("usr_ada", 40), around)
    assert (found.pending is not None) is waits
    assert found.standing == ("warned" if waits else "throttled")


def test_steps_are_left_out_only_when_it_is_urgent() -> None:
    case = case_of(HARVEST)
    with pytest.raises(ConflictError, match="leaves out steps"):
        move(case, asked("suspend"), by(), AROUND)
    with pytest.raises(ConflictError, match="does not follow"):
        move(case, asked("terminate", urgent=True), by(), AROUND)


def test_the_customer_is_heard_first() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    with pytest.raises(ConflictError, match="time to answer"):
        move(case, asked("warn"), by("usr_ada", 3), AROUND)
    heard, _ = answer(case, facts.Answered(text="Our own tests."), by("usr_customer", 2))
    assert moved(heard, "warn", 3).state == "warned"
    assert moved(case, "warn", 16).state == "warned"  # or its time is over


def test_a_throttle_names_its_slice() -> None:
    case = moved(moved(case_of(HARVEST), "inform", 1), "warn", 20)
    for throttle in (None, Throttle(limits=Limits(concurrent=1))):
        wrong = MoveAsked(move="throttle", reason="because", throttle=throttle)
        with pytest.raises(UsageError, match="slice"):
            move(case, wrong, by("usr_ada", 40), AROUND)
    with pytest.raises(UsageError, match="with a throttle alone"):
        move(
            case,
            MoveAsked(move="reinstate", reason="x", throttle=SLICE),
            by("usr_ada", 40),
            AROUND,
        )


def test_an_appeal_is_decided_by_who_had_no_part_and_lifts_at_once() -> None:
    case, _ = appeal(suspended(), "You are mistaken.", by("usr_customer", 5), AROUND)
    with pytest.raises(ConflictError, match="waiting"):
        appeal(case, "Again.", by("usr_customer", 5), AROUND)
    for name in ("usr_ada", "usr_bob"):
        with pytest.raises(NotAllowedError, match="took part"):
            decide(case, facts.AppealDecided(granted=True, reason="x"), by(name, 6), AROUND)
    no, effects = decide(
        case, facts.AppealDecided(granted=False, reason="it stands"), by("usr_cy", 6), AROUND
    )
    assert no.state == "suspended"
    yes, effects = decide(
        case, facts.AppealDecided(granted=True, reason="they are right"), by("usr_cy", 6), AROUND
    )
    assert yes.state == "reinstated"
    assert Stand("active", None, "they are right", "") in effects
    assert yes.appeals[-1].decided_by == "usr_cy"


def test_a_number_of_the_customer_is_held_against_its_requests() -> None:
    # Forty of a hundred requests were long and took nearly all of the tokens.
    part = CasePart(10_000, 10_000, 2_350_150, 9_700, 2_352_250)
    stratum = CaseStratum(
        cluster="new", account="acme", day="2024-10-01", requests=100, read=100, hits=40,
        parts={"output_tokens": part},
    )  # fmt: skip
    evidence = facts.CaseEvidence(findings=(HARVEST,), strata=(stratum,))
    case, _ = told(case_of(HARVEST), facts.EvidenceAdded(evidence=evidence), by())
    case = moved(case, "inform", 1)
    for high, verdict in ((0.45, "agrees"), (0.05, "contradicted")):
        said = facts.CaseStatement(text="some", said_by="acme", high=high)
        answered = answer(case, facts.Answered(text="some", statement=said), by("usr_customer", 2))[
            0
        ]
        (checked,) = shown(answered, by().now, 0.1).statements
        assert (checked.measure, checked.verdict) == ("requests", verdict)
    words = facts.CaseStatement(text="a little", said_by="acme")
    answered = answer(
        case, facts.Answered(text="a little", statement=words), by("usr_customer", 2)
    )[0]
    assert shown(answered, by().now, 0.1).statements[0].measure == "output_tokens"


def test_answers_have_an_end_that_the_journal_can_hold() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    for _ in range(ANSWERS_MAX):
        case, _ = answer(case, facts.Answered(text="more"), by("usr_customer", 2))
    with pytest.raises(ConflictError, match="as many answers"):
        answer(case, facts.Answered(text="more"), by("usr_customer", 2))


def test_who_signed_what_is_appealed_decides_nothing_after_a_further_measure() -> None:
    """Ada warns, the customer appeals; Dan and Cy suspend before anybody has decided."""
    case = moved(case_of(HARVEST), "inform", 1)
    case = moved(case, "warn", 16)
    case, _ = appeal(case, "You are mistaken.", by("usr_customer", 17), AROUND)
    case, _ = move(case, asked("suspend", urgent=True), by("usr_dan", 18), AROUND)
    case, _ = sign(case, len(case.history), by("usr_cy", 18), AROUND)
    granted = facts.AppealDecided(granted=True, reason="they are right")
    for name in ("usr_ada", "usr_dan", "usr_cy"):
        with pytest.raises(NotAllowedError, match="took part"):
            decide(case, granted, by(name, 19), AROUND)
    lifted, _ = decide(case, granted, by("usr_eve", 19), AROUND)
    assert lifted.state == "reinstated"


def test_an_open_appeal_holds_up_the_end() -> None:
    case = moved(suspended(), "investigate", 3)
    case, _ = appeal(case, "You are mistaken.", by("usr_customer", 4), AROUND)
    case, _ = answer(case, facts.Answered(text="see the appeal"), by("usr_customer", 4))
    with pytest.raises(ConflictError, match="waits for a decision"):
        move(case, asked("terminate"), by("usr_ada", 5), AROUND)


def test_giving_everything_back_decides_the_appeal_that_waits() -> None:
    case, _ = appeal(suspended(), "You are mistaken.", by("usr_customer", 3), AROUND)
    lifted = moved(case, "reinstate", 4)
    assert lifted.open_appeal is None
    assert (lifted.appeals[-1].granted, lifted.appeals[-1].reason) == (True, "because")
    assert [one.what for one in deadlines(lifted)] == []


def test_an_investigation_leaves_a_throttle_as_it_is() -> None:
    case = moved(moved(case_of(HARVEST), "inform", 1), "throttle", 2, urgent=True)
    under, effects = move(case, asked("investigate"), by("usr_ada", 3), AROUND)
    assert (under.state, under.standing, under.throttle) == ("investigating", "throttled", SLICE)
    assert not any(isinstance(one, Stand) for one in effects)
    assert Investigate(True, "because") in effects


def test_nobody_is_terminated_who_was_not_suspended() -> None:
    case = moved(moved(case_of(HARVEST), "inform", 1), "warn", 20)
    case = moved(case, "investigate", 21)
    assert refusal(case, asked("terminate"), Instant(NOW + 60 * DAY)) == "suspended"


def test_appeals_have_an_end_and_a_subject() -> None:
    with pytest.raises(ConflictError, match="no notice of this case"):
        appeal(case_of(HARVEST), "No.", by("usr_customer", 1), AROUND)
    informed = moved(case_of(HARVEST), "inform", 1)
    with pytest.raises(ConflictError, match="nothing to appeal"):
        appeal(informed, "No.", by("usr_customer", 1), AROUND)
    with pytest.raises(ConflictError, match="over"):
        appeal(suspended(), "No.", by("usr_customer", 33), AROUND)


def test_reinstatement_credits_the_time_in_which_nothing_was_served() -> None:
    case = moved(suspended(), "investigate", 4)
    lifted, effects = move(case, asked("reinstate"), by("usr_ada", 12), AROUND)
    (credit,) = lifted.credits
    # Ten days of 1,000 a day, a quarter of it.
    assert (credit.minor, credit.held_back_us) == (250_000, 10 * DAY)
    assert Post(credit) in effects
    assert Investigate(False, "because") in effects
    assert "2500.00 USD" in (lifted.told()[-1][1].notice or facts.Notice("", "")).en


def test_no_credit_where_everything_was_served() -> None:
    case = moved(moved(case_of(HARVEST), "inform", 1), "warn", 20)
    lifted, effects = move(case, asked("reinstate"), by("usr_ada", 30), AROUND)
    assert lifted.credits == ()
    assert not any(isinstance(one, Post) for one in effects)


@given(
    revenue=st.integers(1, 10**13),
    limit=st.integers(0, 10**13),
    probability=st.floats(0, 1),
    share=st.floats(0, 1),
)
def test_no_suspension_is_automatic_above_the_operators_limit(
    revenue: int, limit: int, probability: float, share: float
) -> None:
    stake = msgspec.structs.replace(
        SMALL, revenue_a_year_minor=revenue, probability=probability, share=share
    )
    around = msgspec.structs.replace(
        AROUND, settings=CaseSettings(automatic_suspend_minor_max=limit)
    )
    process = By("clerk", NOW, automatic=True, signed_in=False)
    case = case_of(HARVEST, stake=stake)
    try:
        after, _ = move(case, asked("suspend", urgent=True), process, around)
    except NotAllowedError:
        return
    assert after.state == "suspended"
    assert revenue <= limit


def test_nothing_but_a_suspension_is_ever_automatic() -> None:
    around = msgspec.structs.replace(
        AROUND, settings=CaseSettings(automatic_suspend_minor_max=10**12)
    )
    process = By("clerk", NOW, automatic=True, signed_in=False)
    for name in ("inform", "throttle", "dismiss"):
        with pytest.raises(NotAllowedError, match="never automatic"):
            move(case_of(HARVEST), asked(name, urgent=True), process, around)


def test_an_automatic_suspension_ends_by_itself_unless_a_person_looks() -> None:
    around = msgspec.structs.replace(
        AROUND, settings=CaseSettings(automatic_suspend_minor_max=10**12)
    )
    process = By("clerk", NOW, automatic=True, signed_in=False)
    case, _ = move(case_of(HARVEST), asked("suspend", urgent=True), process, around)
    same, nothing = tend(case, process, around)
    assert (same, nothing) == (case, ())
    late = By("clerk", Instant(NOW + 2 * DAY), automatic=True, signed_in=False)
    lapsed, _ = tend(case, late, around)
    assert lapsed.state == "reinstated"
    assert lapsed.credits[0].held_back_us == 2 * DAY
    texts = [one.notice for _, one in lapsed.told() if one.notice is not None]
    assert "Ein Mensch sieht sie sich an" in texts[0].de
    assert "Ein Mensch sieht" not in texts[1].de
    assert "Kein Mensch hat die Sperre" in texts[1].de
    assert not any(" in time" in one.de for one in texts), "English in a German notice"
    kept = moved(case, "investigate", 0.5)
    assert tend(kept, late, around) == (kept, ())


def test_deadlines_say_whose_turn_it_is() -> None:
    case = suspended()
    assert [(one.what, one.whose) for one in deadlines(case)] == [
        ("answer", "customer"),
        ("appeal", "customer"),
    ]
    case, _ = appeal(case, "No.", by("usr_customer", 3), AROUND)
    due = {one.what: one for one in deadlines(case)}
    assert due["decision"].overdue(NOW + 14 * DAY)
    assert not due["decision"].overdue(NOW + 12 * DAY)


def test_notices_are_in_both_languages_and_quote_no_request() -> None:
    case = moved(case_of(HARVEST), "inform", 1)
    case = moved(moved(case, "warn", 20), "throttle", 40)
    (_, moved_fact) = case.told()[-1]
    notice = moved_fact.notice
    assert notice is not None
    assert "key_1" in notice.de
    assert "höchstens 6 Anfragen je Minute" in notice.de
    assert "at most 6 requests a minute" in notice.en
    assert "80%" in notice.en
    assert "ACME Incorporated" in notice.de
    assert {len(notice.de.splitlines())} == {len(notice.en.splitlines())}


def test_a_case_that_does_not_begin_is_refused() -> None:
    with pytest.raises(IntegrityError, match="begin"):
        fold(
            "case_1",
            case_of(HARVEST).history[1:] or moved(case_of(HARVEST), "inform", 1).history[1:],
        )


def test_the_diagram_is_drawn_from_the_table() -> None:
    drawn = diagram()
    for row in ROWS:
        assert f"  {row.source} --> {row.target}: {row.move}" in drawn
    assert drawn.count("-->") == len(ROWS) + 1 + len(ENDED)
    written = case_states.PAGE.read_text("utf-8")
    assert case_states.page(written) == written, "python -m tools.case_states"


@given(st.lists(st.tuples(st.sampled_from(list(facts.Move.__args__)), st.booleans()), max_size=12))  # type: ignore[attr-defined]
def test_whatever_is_asked_a_case_folds_back_and_two_have_signed_what_takes_away(
    moves: list[tuple[facts.Move, bool]],
) -> None:
    case, day = case_of(HARVEST, stake=LARGE), 0.0
    for name, urgent in moves:
        day += 16
        try:
            case = moved(case, name, day, urgent=urgent)
        except (ConflictError, UsageError):
            continue
    assert fold(case.id, case.history) == case
    for step in case.history:
        event = step.event
        if isinstance(event, facts.Moved) and event.asked.move in (
            "suspend",
            "terminate",
            "throttle",
        ):
            assert event.proposed_by
            assert event.proposed_by != step.actor
