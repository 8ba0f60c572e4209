"""Kinds of evidence that a customer leaves or stays, each with what it is worth until measured.

Almost nobody has measured these ratios. Each interval is wide, says where it comes from, and a case
may override it with a reason. A kind belongs to a block: pieces of one block may be the same thing
seen twice, so they are not multiplied (see `evidence_ledger`). Usage and conduct share a block,
because somebody who copies a model does it by a pattern of usage.
"""

from typing import Literal

import msgspec

Block = Literal["usage_and_conduct", "contract", "words"]
BLOCKS: tuple[Block, ...] = ("usage_and_conduct", "contract", "words")
Origin = Literal["counted", "case_files", "judgement"]
"""`counted`: from rates in the case. `case_files`: from published cases, chosen on loss, so only
the direction is safe. `judgement`: a stated guess, to be replaced by the seller's own counts."""


class Kind(msgspec.Struct, frozen=True):
    """What a piece of evidence is, and the 90 % interval of its likelihood ratio."""

    id: str
    block: Block
    low: float
    high: float
    origin: Origin
    lasts_months: int
    """After this it says nothing any more."""
    words: str
    why: str
    words_de: str
    why_de: str

    def said(self, lang: str) -> tuple[str, str]:
        """What it is and why it is worth that, in that language."""
        return (self.words_de, self.why_de) if lang == "de" else (self.words, self.why)


_USAGE: Block = "usage_and_conduct"

KINDS: tuple[Kind, ...] = (
    Kind(
        "usage_alarm",
        _USAGE,
        10,
        40,
        "counted",
        3,
        "a detector raised an alarm on usage",
        "20 at 0.5 false alarms a year and a departure found within 35 days; give the counts",
        "ein Detektor hat bei der Nutzung Alarm gegeben",
        "20 bei 0,5 Fehlalarmen im Jahr und einem Abgang, der binnen 35 Tagen gefunden "
        "wird; Zählungen angeben",
    ),
    Kind(
        "usage_quiet",
        _USAGE,
        0.5,
        0.95,
        "counted",
        3,
        "the detectors are silent",
        "most departures within a year have not begun when one looks; give counts and under_way",
        "die Detektoren schweigen",
        "die meisten Abgänge binnen eines Jahres haben noch nicht begonnen, wenn man "
        "hinsieht; Zählungen und under_way angeben",
    ),
    Kind(
        "usage_steady",
        _USAGE,
        0.4,
        0.9,
        "judgement",
        6,
        "usage holds or grows",
        "who leaves gradually shrinks first; who leaves at once does not",
        "die Nutzung hält sich oder wächst",
        "wer allmählich geht, schrumpft zuerst; wer auf einmal geht, nicht",
    ),
    Kind(
        "cheapest_model",
        _USAGE,
        1.2,
        3,
        "judgement",
        6,
        "the mix of models moves to the cheapest",
        "price shopping comes before leaving, and also without it",
        "der Modellmix wandert zum billigsten",
        "Preisvergleiche gehen dem Abgang voraus, kommen aber auch ohne ihn vor",
    ),
    Kind(
        "workload_emptied",
        _USAGE,
        3,
        12,
        "case_files",
        6,
        "one workload after another is emptied",
        "how deliveries to TikTok, Netflix, Apple and Uber ended; a finished project looks alike",
        "eine Anwendung nach der anderen wird geleert",
        "so endeten die Lieferungen an TikTok, Netflix, Apple und Uber; ein beendetes "
        "Projekt sieht ebenso aus",
    ),
    Kind(
        "evaluation_then_decline",
        _USAGE,
        1.5,
        6,
        "judgement",
        6,
        "bursts that look like evaluation, then a decline",
        "a comparison with another model, after which traffic followed the winner",
        "Schübe, die nach Evaluation aussehen, dann Rückgang",
        "ein Vergleich mit einem anderen Modell, nach dem der Verkehr dem Sieger folgte",
    ),
    Kind(
        "conduct_suspicion",
        _USAGE,
        1.5,
        6,
        "counted",
        12,
        "conduct that suggests copying the model",
        "3 until measured; give the counts of the conduct test and how many leavers copied",
        "Verhalten, das auf Kopieren des Modells deutet",
        "3, solange nicht gemessen; Zählungen der Prüfung angeben und wie viele "
        "Abgewanderte kopierten",
    ),
    Kind(
        "commitment_nearly_drawn",
        "contract",
        1.1,
        2.5,
        "judgement",
        6,
        "the commitment is nearly drawn and not renewed",
        "what held the customer ends; most customers then renew",
        "die Abnahmeverpflichtung ist fast abgerufen und nicht erneuert",
        "was den Kunden hielt, endet; die meisten erneuern dann",
    ),
    Kind(
        "just_under_commitment",
        "contract",
        1.2,
        3,
        "judgement",
        6,
        "usage stays just under the commitment",
        "usage that is managed to the minimum is placed elsewhere above it",
        "die Nutzung bleibt knapp unter der Abnahmeverpflichtung",
        "Nutzung, die auf das Minimum gesteuert wird, liegt darüber bei anderen",
    ),
    Kind(
        "notice_window",
        "contract",
        1.1,
        2.5,
        "judgement",
        3,
        "a window for giving notice is open or near",
        "departures gather at renewal dates; most windows pass",
        "ein Kündigungsfenster ist offen oder nah",
        "Abgänge häufen sich an Verlängerungsterminen; die meisten Fenster verstreichen",
    ),
    Kind(
        "nothing_binds",
        "contract",
        1.2,
        2.5,
        "case_files",
        24,
        "no commitment, notice or penalty",
        "Fastly and Twilio lost such customers within a quarter; many sell like this and keep them",
        "keine Verpflichtung, Kündigungsfrist oder Strafe",
        "Fastly und Twilio verloren solche Kunden binnen eines Quartals; viele verkaufen "
        "so und behalten sie",
    ),
    Kind(
        "renewed",
        "contract",
        0.1,
        0.5,
        "judgement",
        12,
        "the contract was renewed or extended",
        "leaving within a year now costs the rest of the commitment",
        "der Vertrag wurde erneuert oder verlängert",
        "wer jetzt binnen eines Jahres geht, verliert den Rest der Verpflichtung",
    ),
    Kind(
        "builds_own",
        "words",
        4,
        15,
        "case_files",
        12,
        "customer or seller says that the customer does it itself or cuts what it buys",
        "Netflix, Apple, Dropbox and TikTok did as they said, in one quarter to three years",
        "Kunde oder Verkäufer sagt, dass der Kunde es selbst macht oder weniger kauft",
        "Netflix, Apple, Dropbox und TikTok taten, was sie sagten, in einem Quartal bis "
        "drei Jahren",
    ),
    Kind(
        "said_to_build_own",
        "words",
        1.2,
        4,
        "case_files",
        12,
        "others say that the customer may do it itself",
        "also said of ByteDance at Azure and of Cursor at Anthropic, which stayed",
        "andere sagen, dass der Kunde es selbst machen könnte",
        "auch von ByteDance bei Azure und Cursor bei Anthropic gesagt, die blieben",
    ),
    Kind(
        "second_source",
        "words",
        1.5,
        5,
        "case_files",
        12,
        "the customer takes a second supplier",
        "Uber and Apple; many split their purchases for years and stay",
        "der Kunde nimmt einen zweiten Lieferanten",
        "Uber und Apple; viele teilen ihre Einkäufe jahrelang und bleiben",
    ),
    Kind(
        "competitor_conflict",
        "words",
        2,
        8,
        "case_files",
        12,
        "the seller, or its owner, now competes with the customer",
        "Scale AI and Google, within days",
        "der Verkäufer oder sein Eigentümer ist nun Konkurrent des Kunden",
        "Scale AI und Google, binnen Tagen",
    ),
    Kind(
        "barred_by_law",
        "words",
        1.5,
        8,
        "judgement",
        6,
        "an order or a law would end the relation",
        "such orders are often delayed or dropped; customers move before they know",
        "eine Anordnung oder ein Gesetz würde die Beziehung beenden",
        "solche Anordnungen werden oft verschoben oder fallen gelassen; Kunden ziehen "
        "um, bevor sie es wissen",
    ),
)

KIND_BY_ID = {kind.id: kind for kind in KINDS}
