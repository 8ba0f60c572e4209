"""The board report as strings of one language: what `board_page` sets and a terminal prints.

Finding first, then picture, table and definitions on the first page; then whatever was given.
"""

import msgspec

from quartermaster.console import (
    board_ahead,
    board_capacity,
    board_change,
    board_close,
    board_concentration,
    board_finding,
    board_record,
)
from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.board_parts import Desk, Missing, Section, desk
from quartermaster.console.format import Lang, day
from quartermaster.console.report_words import catalogue


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report for one reader."""

    lang: Lang
    title: str
    subtitle: str
    sample: bool
    banners: tuple[str, ...]
    findings: tuple[str, ...]
    sections: tuple[Section, ...]
    missing: tuple[Missing, ...]
    closing: tuple[Section, ...]
    """Sources and hashes: after everything else."""
    of: str
    """What the command is told for the same book: of a file, it is named by the reader."""
    running: str
    """The line at the foot of every printed page."""


def view_of(facts: BoardFacts, lang: Lang) -> BoardView:
    """Put the report into words of one language."""
    words = catalogue("board", lang)
    on = desk(facts, words)
    given = facts.given
    sections = [board_finding.first_section(on), board_close.definitions(on)]
    sections += board_concentration.sections(on)
    if facts.fan is not None:
        sections.append(board_ahead.fan_section(on, facts.fan))
    elif facts.origin == "scenario":
        sections.append(board_ahead.no_fan_section(on))
    if facts.bridge is not None:
        sections.append(board_change.bridge_section(on, facts.bridge))
    if facts.levers is not None:
        sections.append(board_change.levers_section(on, facts.levers))
    if given.guidance is not None:
        sections.append(board_record.guidance_section(on, given.guidance))
    if given.warnings is not None:
        sections.append(board_record.warning_section(on, given.warnings))
    elif given.look is not None:
        sections.append(board_record.look_section(on, given.look))
    if given.statements is not None:
        sections.append(board_record.statements_section(on, given.statements))
    if given.capacity is not None:
        sections.append(board_capacity.capacity_section(on, given.capacity))
    sections += board_close.claims(on)
    sources = board_close.sources(on)
    closing = [board_close.provenance(on)]
    return BoardView(
        lang=lang,
        title=words("title"),
        subtitle=_subtitle(on),
        sample=facts.sample,
        banners=board_close.banners(on),
        findings=board_finding.findings(on),
        sections=tuple(sections),
        missing=board_close.missing(on),
        closing=tuple(closing if sources is None else [sources, *closing]),
        of={"live": " --live", "sample": " --sample"}.get(facts.origin, " FILE"),
        running=_running(on),
    )


def _subtitle(on: Desk) -> str:
    facts, words = on.facts, on.words
    made = day(facts.made_on, words.lang)
    if not facts.report.title:
        return words("made", day=made)
    return words("made_of", title=facts.report.title, day=made)


def _running(on: Desk) -> str:
    """Title, data hash and, where it is one, that it is a sample: pages are passed on alone."""
    facts, words = on.facts, on.words
    places = {"sha256": facts.report.exposure.data_sha256[:12], "title": words("title")}
    return words("running_sample" if facts.sample else "running", **places)
