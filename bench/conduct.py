"""Conduct against its bars: account-days of families that no training saw, on either side.

    python bench/conduct.py [--only PART ...] [--fit]

Tenants are composed by a committed seed from real prompts (`conduct_parts/compose.py`). Every
figure is of held-out families: a campaign's family and a quarter of the ordinary families are left
out of training together, and whatever is chosen is chosen inside training. Intervals are 90 % over
families and sources. `--fit` writes the weights that the package ships.

What the seed of this file cannot undo: the features were thought of by people who had read these
prompts. Families that nobody looked at are the better witness.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.conduct_parts import (
    cold,
    corpora,
    cost,
    known,
    linking,
    synthetic_meter,
    tenants,
    transfer,
)
from bench.conduct_parts.corpus import FILE, KEY, Source, sources
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import (
    auroc_of,
    by_family,
    calibration_error,
    estimate,
    line_at,
    tpr_at,
    tpr_of,
)
from quartermaster.conduct.observe import Observer

ORDINARY_DAYS, CAMPAIGN_DAYS = 10_080, 12
"""Ten thousand ordinary days allow a rate of 1 in 1,000; days a fold and fraction."""
RIVALS = ("mmd_pooled", "prada", "template_repetition", "cot_keywords")
SPLITS = 20
"""Each gives two directions."""
TENANTS = 1_272
"""Eight ordinary days each."""
ALL_PAIRS = "both, hard pairs as frequent as made"
WITH_ORDINARY = "those of them with an ordinary account"
PARAMETERS = Path(__file__).resolve().parent.parent / "src/quartermaster/conduct/parameters.json"


def cold_start(found: Sequence[Source]) -> float:
    """The cold-start table, worst families, calibration; returns the score at 1 %."""
    judged = cold.judge(found, ORDINARY_DAYS, CAMPAIGN_DAYS)
    ordinary = [one for one in judged if not one.day.harvest]
    print(f"== cold start: {len(ordinary)} ordinary account-days, families unseen on both sides")
    print(f"{'method':22}{'share':>6}  {'AUROC':24}{'TPR at 1 %':24}TPR at 0.1 %")
    for method in ("ours", "whole", *RIVALS):
        usable = [one for one in judged if method in ("ours", "whole") or one.baselines]
        against = cold.scored([one for one in usable if not one.day.harvest], method)
        for fraction in cold.FRACTIONS:
            mine = [one for one in usable if one.day.harvest and one.day.fraction == fraction]
            side = cold.scored(mine, method)
            figures = auroc_of(side, against), tpr_of(side, against, 0.01)
            print(
                f"{method:22}{fraction:6.0%}  {figures[0]!s:24}{figures[1]!s:24}"
                f"{tpr_of(side, against, 0.001)}"
            )
    pure = [one for one in judged if one.day.fraction == 1]
    line = line_at(cold.scored(ordinary).scores, 0.01)
    _families("ordinary families above the 1 % line", by_family(cold.scored(ordinary), line))
    _families("pure campaigns above it", by_family(cold.scored(pure), line))
    evaded = [one for one in pure if one.day.evasion]
    print(f"of those with evasion: {float((cold.scored(evaded).scores > line).mean()):.2f}")
    print(f"calibration error at even odds: {_calibration(judged):.3f}\n", flush=True)
    return line


def sizes(found: Sequence[Source]) -> None:
    """How many requests it takes."""
    print("== requests until detection: pure campaigns, cold start")
    for size, (harvest, ordinary) in cold.by_size(found, 160).items():
        print(f"{size:5} {auroc_of(harvest, ordinary)!s:24} {tpr_of(harvest, ordinary, 0.01)}")
    print(flush=True)


def lines(found: Sequence[Source]) -> None:
    """Threshold transfer."""
    seen, perfect = transfer.transfers(found, SPLITS)
    print(f"== a line drawn on half of the families, on the other half ({2 * SPLITS} times)")
    for rate in transfer.RATES:
        for way in transfer.WAYS:
            part = [one for one in seen if one.way == way and one.rate == rate]
            rates = np.array([one.false_alarms for one in part])
            _kept(f"{rate:.0%}, {way}", rate, rates)
            print(f"   campaigns found: {np.mean([one.found for one in part]):.2f}")
            if way == transfer.WAYS[0]:
                _perfect(rate, rates, perfect[rate])
    own = transfer.own_lines(found, SPLITS // 2)
    rate = transfer.OWN_RATE
    own_rates = np.array([one.false_alarms for one in own])
    _kept(f"known tenants, {rate:.0%}, the account's own days", rate, own_rates)
    launches, campaigns = (np.mean([o[at] for o in own]) for at in (1, 2))
    print(f"   covert fifths found: {campaigns:.2f}; launches of a fifth flagged: {launches:.2f}\n")
    sys.stdout.flush()


def _within(rates: npt.NDArray[np.float64], rate: float) -> npt.NDArray[np.bool_]:
    return np.asarray((rates >= rate / 2) & (rates <= 2 * rate))


def _perfect(
    rate: float, rates: npt.NDArray[np.float64], shuffled: npt.NDArray[np.float64]
) -> None:
    """How often chance alone passes, and whether families did worse than that."""
    print("   false alarms of each split, in %: ", end="")
    print(" ".join(f"{100 * one:.1f}" for one in np.sort(rates)))
    for name, passed, ours in (
        ("within twice", _within(shuffled, rate), _within(rates, rate)),
        ("at most twice", shuffled <= 2 * rate, rates <= 2 * rate),
    ):
        # One experiment is as many splits as ours; each shuffle is one.
        experiments = passed.mean(axis=1)
        low, high = np.quantile(experiments, [0.05, 0.95])
        p = (1 + int((experiments <= ours.mean()).sum())) / (1 + len(experiments))
        print(
            f"   {name}: a perfect score {experiments.mean():.0%} ({low:.0%} to {high:.0%}),"
            f" ours {ours.mean():.0%}: as few by chance with p = {p:.3f}"
        )


def _kept(title: str, rate: float, rates: npt.NDArray[np.float64]) -> None:
    """How far false alarms are from what the line was drawn for.

    The 90 % interval resamples splits. They are of the same families and overlap, so it says how
    sure the mean over splits is; over families that nobody has it would be wider.
    """
    draw = np.random.default_rng(cold.SEED)
    # A split gives two halves, which belong together.
    within = _within(rates, rate).reshape(-1, 2).mean(axis=1)
    drawn = [within[draw.integers(len(within), size=len(within))].mean() for _ in range(2_000)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    quarters = ", ".join(f"{q:.2%}" for q in np.quantile(rates, [0, 0.25, 0.5, 0.75, 1]))
    print(f"{title}: mean {rates.mean():.2%}; {quarters} (least, quartiles, most)")
    print(
        f"   within twice: {within.mean():.0%} ({low:.0%} to {high:.0%}) of the times;"
        f" at most twice: {float((rates <= 2 * rate).mean()):.0%}"
    )


def known_tenants(found: Sequence[Source]) -> float:
    """Known tenants: campaigns inside a day, and benign launches; returns the score at 0.1 %."""
    days = known.judge(found, TENANTS)
    ordinary = [day for day in days if day.kind == "ordinary"]
    count = len(ordinary) // tenants.ORDINARY_DAYS
    print(f"== known tenants: {len(ordinary)} ordinary days of {count} tenants")
    print(f"{'method':10}{'share':>6}  {'AUROC':24}{'TPR at 1 %':24}{'TPR at 0.1 %':24}launches")
    for method in ("ours", "chosen", "newness", "cold", "mmd_own"):
        usable = [day for day in days if method != "mmd_own" or day.mmd_own is not None]
        chosen = method == "chosen"
        scores = known.chosen_elsewhere(usable) if chosen else known.scored(usable, method)
        against = scores.take(_rows(usable, "ordinary", 0.0))
        for share in tenants.SHARES:
            side = scores.take(_rows(usable, "campaign", share))
            launched = scores.take(_rows(usable, "launch", share))
            figures = auroc_of(side, against), tpr_of(side, against, 0.01)
            flagged = estimate(side, launched, lambda c, o: float((o >= np.median(c)).mean()))
            print(
                f"{method:10}{share:6.0%}  {figures[0]!s:24}{figures[1]!s:24}"
                f"{tpr_of(side, against, 0.001)!s:24}{flagged}"
            )
    line = line_at(known.scored(ordinary, "ours").scores, 0.01)
    for kind, share in (("ordinary", 0.0), ("campaign", 0.2), ("launch", 0.2)):
        part = [day for day in days if day.kind == kind and day.share == share]
        title = f"{kind} days above the 1 % line" + (f", share {share:.0%}" if share else "")
        _families(title, by_family(known.scored(part, "ours"), line))
    shipped = line_at(known.scored(ordinary, "ours").scores, 0.001)
    print("above the 0.1 % line, which is shipped, by share:", end="")
    for share in tenants.SHARES:
        found_at, flagged_at = (
            float((known.scored(part, "ours").scores > shipped).mean())
            for kind in ("campaign", "launch")
            for part in [[day for day in days if day.kind == kind and day.share == share]]
        )
        print(f" {share:.0%}: campaigns {found_at:.3f}, launches {flagged_at:.3f};", end="")
    print("\n", flush=True)
    return shipped


def _rows(days: Sequence[known.KnownDay], kind: str, share: float) -> npt.NDArray[np.bool_]:
    return np.array([day.kind == kind and day.share == share for day in days])


def registry(found: Sequence[Source]) -> None:
    """The registry of public corpora."""
    del found
    seen = corpora.measure()
    print("== registry: recall as is; wrapped and lower-cased; of those with seven words or more")
    for family, shares in seen.recall.items():
        print(f"{family:10}" + "".join(f"{share:8.3f}" for share in shares))
    worst = sorted(seen.ordinary.items(), key=lambda item: -item[1])[:5]
    print(
        f"ordinary account-days over {corpora.LINE:.0%}: {seen.over_line}; largest hit rates: ",
        end="",
    )
    print(", ".join(f"{name} {rate:.3f}" for name, rate in worst))
    bare, known_test = seen.evaluation_as_training
    print(f"evaluations taken for training: {bare:.3f} by a contaminated index, ", end="")
    print(f"{known_test:.3f} with the benchmark indexed beside it\n", flush=True)


def links(found: Sequence[Source]) -> None:
    """Shards of one campaign against pairs that are not."""
    made = linking.accounts(found)
    seen, met = linking.pairs(made), linking.met(made)
    print(f"== linking, {linking.SIZE} requests an account: TPR at 1 in 1,000")
    print(f"of shard pairs {met[0]:.3f} meet in a bucket, of all pairs {met[1]:.3f}")
    print("-- REAL PROMPTS, text alone; nothing is made up here")
    text, total = seen.evidence.text, seen.totals
    _linked("likeness", seen, text)
    _linked("likeness and harvest score", seen, seen.evidence.alike())
    real = _linked("the same, and beyond what ordinary tenants explain", seen, total)
    chosen = linking.chosen_elsewhere(seen, 0.001)
    print(f"all others, the weight of the harvest score chosen on other campaigns: {chosen:.3f}")
    for each in linking.TRADE_SIZES:
        few = linking.pairs(made, linking.names(made, each))
        _linked(
            f"where {each} tenants of each trade are known, hard pairs of them", few, few.totals
        )
    wrong = linking.mistaken(made, 0.001)
    print(f"where a third of each campaign is held for ordinary tenants: {wrong:.3f}")
    middle = float(np.median(seen.side("shards", text).scores))
    twins = float((seen.side("same_trade", text).scores >= middle).mean())
    print(f"hard pairs that are more alike than half of the shards: {twins:.3f}")
    for title, others in (("others", seen.others), ("others with an ordinary", seen.with_ordinary)):
        line = line_at(others(total).scores, 0.001)
        shares = by_family(seen.side("shards", total), line)
        _families(f"shards above the line of all {title}", shares)
    print("-- SYNTHETIC METER from here on: payments, networks, settings and times are made up")
    made_up = {}
    for habit in synthetic_meter.HABITS:
        metered = linking.pairs(linking.accounts(found, habit=habit))
        scores = metered.totals
        made_up[habit.name] = _linked(f"synthetic: {habit.name}", metered, scores)
        line = line_at(metered.others(scores).scores, 0.001)
        shares_joined = []
        for kind in ("shards", "same_trade", "other_kinds"):
            rows = metered.kind == kind
            shares_joined.append(float((metered.confirmed & (scores > line))[rows].mean()))
        print(
            "   joined: {:.3f} of shards, {:.5f} of one trade, {:.5f} of others".format(
                *shares_joined
            )
        )
    print("-- side by side: hard pairs in, as frequent as made; the bar is 0.90")
    print(f"   REAL: {'text alone':59} {real}")
    for name, figure in made_up.items():
        print(f"   SYNTHETIC: {name:54} {figure}")
    print(flush=True)


def _linked(title: str, seen: linking.Pairs, scores: npt.NDArray[np.float64]) -> str:
    """Print a way to link against each kind of pair; returns what a summary says of it."""
    shards = seen.side("shards", scores)
    print(title)
    others = {
        "accounts of other kinds": seen.side("other_kinds", scores),
        "tenants of one trade (hard)": seen.side("same_trade", scores),
        ALL_PAIRS: seen.others(scores),
        WITH_ORDINARY: seen.with_ordinary(scores),
        "campaigns of one recipe": seen.side("same_recipe", scores),
    }
    figures = {}
    for name, side in others.items():
        figures[name] = estimate(shards, side, lambda s, o: tpr_at(s, o, 0.001))
        area = auroc_of(shards, side)
        print(f"   {name:38}{len(side.scores):7} pairs  AUROC {area!s:24} TPR {figures[name]}")
    sys.stdout.flush()
    return f"{figures[ALL_PAIRS]}; without pairs of two campaigns {figures[WITH_ORDINARY]}"


def costs(found: Sequence[Source]) -> None:
    """Inline cost."""
    del found
    median, high = cost.microseconds()
    print(f"== inline: {median:.0f} us p50, {high:.0f} us p95 on {cost.CHARS} characters;", end=" ")
    print(f"{cost.bytes_a_day()} bytes an account-day\n", flush=True)


def write_parameters(found: Sequence[Source], lines_found: dict[str, float]) -> None:
    """Fit on everything and write the weights, with the lines that were measured."""
    table = cold.training(found)
    model = nested(table.rows, table.harvest, table.family)
    model = msgspec.structs.replace(
        model,
        line=lines_found["cold"],
        day_line=lines_found["known"],
        made_by=f"python bench/conduct.py --fit, {model.made_by}",
    )
    PARAMETERS.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")
    print(f"wrote {PARAMETERS.name}: {model.made_by}")


def _families(title: str, shares: dict[str, float]) -> None:
    worst = sorted(shares.items(), key=lambda item: -item[1])
    print(f"{title}: " + ", ".join(f"{name.split(':')[1]} {share:.2f}" for name, share in worst))


def _calibration(judged: Sequence[cold.Judged]) -> float:
    usable = [one for one in judged if one.day.fraction in (0.0, 1.0)]
    sides = [
        cold.scored([o for o in usable if o.day.harvest == h], "chance") for h in (True, False)
    ]
    return calibration_error(sides[0], sides[1])


PARTS: dict[str, Callable[[Sequence[Source]], float | None]] = {
    "cold": cold_start,
    "sizes": sizes,
    "known": known_tenants,
    "registry": registry,
    "links": links,
    "transfer": lines,
    "cost": costs,
}


def main() -> int:
    """Print what is asked for, everything by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--fit", action="store_true", help="write the package's weights")
    given = parser.parse_args()
    if given.fit and not {"cold", "known"} <= set(given.only):
        parser.error("--fit needs the parts cold and known, which draw the lines")
    if not FILE.exists():
        print(f"{FILE.name} is not there: see docs/concepts/conduct.md", file=sys.stderr)
        return 2
    found = sources(Observer(KEY))
    lines_found: dict[str, float] = {}
    for part in given.only:
        value = PARTS[part](found)
        if value is not None:
            lines_found[part] = value
    if given.fit:
        write_parameters(found, lines_found)
    print(f"{time.process_time():.0f} s of CPU")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
