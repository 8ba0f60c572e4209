"""From a prior through likelihood ratios to a probability: every step a line.

The rule for dependence. Pieces of one block may see the same thing twice. For each direction (for
leaving, against it) the strongest piece of a block counts in full; of each other, only the power
1 - `overlap` counts: with the default overlap of 1, nothing. Where a smaller overlap was measured,
the joint ratio of the block still stays at or below `joint_ratio_max`, or at the strongest piece
where that one alone is stronger. Blocks are taken as independent given the outcome.
"""

import math
from collections.abc import Sequence

import msgspec

from quartermaster.exposure.evidence import Evidence, Weighed, weigh
from quartermaster.exposure.evidence_kinds import BLOCKS
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.beta_prior import Nodes
from quartermaster.stats.likelihood import NEUTRAL, Posterior, Ratio, shift, update

JOINT_RATIO_MAX = 30.0
"""Rule of three: 90 quiet windows show at 95 % only that fewer than 1 in 30 raise a false alarm;
few sellers have more of them."""
# Log ratios that differ by less are the same.
_SAME = 1e-9


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How dependent pieces are joined."""

    overlap: float = 1.0
    joint_ratio_max: float = JOINT_RATIO_MAX
    why: str = ""
    """Where a smaller overlap was measured."""

    def check(self) -> None:
        """Refuse a rule that could not be kept.

        Raises:
            UsageError: an overlap outside 0 to 1, or below 1 without a reason; a cap below 1.
        """
        if not 0 <= self.overlap <= 1:
            raise UsageError("overlap lies between 0 (independent) and 1 (the same thing)")
        if self.overlap < 1 and not self.why:
            raise UsageError("an overlap below 1 needs a why", hint="say where it was measured")
        if not 1 <= self.joint_ratio_max < math.inf:
            raise UsageError("joint_ratio_max is at least 1")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what a piece is worth alone, what of it counts, and the probability after it."""

    evidence: Evidence
    block: str
    ratio: Ratio
    counted: float
    """The factor on the odds after the rule for dependence."""
    origin: str
    why: str
    after: float


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Prior, lines, posterior; the factors of the lines multiply to the joint ratio."""

    prior: Posterior
    lines: tuple[Line, ...]
    stale: tuple[Evidence, ...]
    joint: Ratio
    posterior: Posterior
    if_independent: float
    """What the probability would be had every piece counted in full."""

    @property
    def moved(self) -> bool:
        """Whether the joint ratio's interval leaves 1 out: evidence that discriminates."""
        return bool(self.lines) and not self.joint.low <= 1 <= self.joint.high


def ledger(
    prior: Nodes, pieces: Sequence[Evidence], rule: Rule, stale: Sequence[Evidence] = ()
) -> Ledger:
    """Every step from the prior to the posterior, in the order of the pieces.

    Raises:
        UsageError: see `weigh` and `Rule.check`.
    """
    rule.check()
    weighed = [weigh(piece) for piece in pieces]
    blocks = [piece.known_kind.block for piece in pieces]
    counted = [NEUTRAL] * len(pieces)
    for block in BLOCKS:
        members = [at for at, name in enumerate(blocks) if name == block]
        joined = join([weighed[at].ratio for at in members], rule)
        for at, ratio in zip(members, joined, strict=True):
            counted[at] = ratio
    joint = _product(counted)
    return Ledger(
        prior=update(prior, NEUTRAL),
        lines=_lines(prior.mean, pieces, weighed, counted),
        stale=tuple(stale),
        joint=joint,
        posterior=update(prior, joint),
        if_independent=shift(prior.mean, _product([one.ratio for one in weighed]).central),
    )


def join(ratios: Sequence[Ratio], rule: Rule) -> list[Ratio]:
    """What of each ratio counts inside one block, in the same order."""
    counted = [NEUTRAL] * len(ratios)
    for sign in (1, -1):
        members = [at for at, ratio in enumerate(ratios) if sign * ratio.log_mean > 0]
        members.sort(key=lambda at: -abs(ratios[at].log_mean))
        if not members:
            continue
        strongest, others = members[0], members[1:]
        top = abs(ratios[strongest].log_mean)
        rest = (1 - rule.overlap) * sum(abs(ratios[at].log_mean) for at in others)
        room = max(math.log(rule.joint_ratio_max) - top, 0.0)
        part = (1 - rule.overlap) * (min(room / rest, 1.0) if rest > _SAME else 1.0)
        counted[strongest] = ratios[strongest]
        for at in others:
            counted[at] = Ratio(part * ratios[at].log_mean, part * ratios[at].log_sd)
    # A piece that is neutral but uncertain still makes the answer less certain.
    for at, ratio in enumerate(ratios):
        if ratio.log_mean == 0:
            counted[at] = ratio
    return counted


def _product(ratios: Sequence[Ratio]) -> Ratio:
    return Ratio(
        sum(ratio.log_mean for ratio in ratios),
        math.sqrt(sum(ratio.log_sd**2 for ratio in ratios)),
    )


def _lines(
    prior: float,
    pieces: Sequence[Evidence],
    weighed: Sequence[Weighed],
    counted: Sequence[Ratio],
) -> tuple[Line, ...]:
    lines: list[Line] = []
    probability = prior
    for piece, one, ratio in zip(pieces, weighed, counted, strict=True):
        probability = shift(probability, ratio.central)
        lines.append(
            Line(
                evidence=piece,
                block=piece.known_kind.block,
                ratio=one.ratio,
                counted=ratio.central,
                origin=one.origin,
                why=one.why,
                after=probability,
            )
        )
    return tuple(lines)
