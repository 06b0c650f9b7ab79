"""The lifecycle of leads and opportunities, as tables of rows.

Buttons, forms, checks, the database's own triggers, the diagram and the README's table are all
made from these rows; no status is named anywhere else. Source: seed, “The opportunity
lifecycle”; decisions, Leads and Opportunities.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Stage:
    """A status a record can have.

    `holds` are the fields a record carries in this status and in no other; `mark` and `tone`
    make it recognisable with and without colour; `links_offer` says an offer may be linked in it.
    """

    code: str
    label: str
    mark: str
    tone: str
    closed: bool = False
    holds: tuple[str, ...] = ()
    links_offer: bool = False


@dataclass(frozen=True)
class Ask:
    """What a transition asks for: a field, required or not, from a configured list or free."""

    field: str
    label: str
    required: bool = True
    list: str | None = None


@dataclass(frozen=True)
class Transition:
    """A legal move: from any of `sources` to `target`, with what it `asks`, by whom it may be made.

    `label` is on its button, `said` in the timeline.
    """

    name: str
    label: str
    said: str
    sources: tuple[str, ...]
    target: str
    asks: tuple[Ask, ...] = ()
    permission: str = "opportunity.move"
    clears: tuple[str, ...] = ()

    def asked(self, field: str) -> Ask | None:
        """This function will give the ask for a field, or None where the move does not ask for it."""
        return next((ask for ask in self.asks if ask.field == field), None)


OPEN: Final = "open"
OFFER_MADE: Final = "offer_made"
WON: Final = "won"
LOST: Final = "lost"
REJECTED: Final = "rejected"

STAGES = (
    Stage(OPEN, "Open", "○", "blue"),
    Stage(OFFER_MADE, "Offer Made", "◐", "violet", links_offer=True),
    Stage(WON, "Won", "●", "green", closed=True, holds=("won_value",), links_offer=True),
    Stage(LOST, "Lost", "✕", "red", closed=True, holds=("reason",)),
    Stage(REJECTED, "Rejected", "⊘", "gray", closed=True, holds=("reason",)),
)
STAGE = {stage.code: stage for stage in STAGES}
PIPELINE = tuple(stage.code for stage in STAGES if not stage.closed)
CLOSED = tuple(stage.code for stage in STAGES if stage.closed)

#: The bands of the days in a stage, as a URL names them.
AGES = ("0-30", "31-60", "61-90", "91-180", "181-")

_OFFER = Ask("offer_id", "Linked offer", required=False)
_NOTE = Ask("note", "In your own words", required=False)

TRANSITIONS = (
    Transition("make_offer", "Make offer", "made the offer", (OPEN,), OFFER_MADE, (_OFFER,)),
    Transition("win", "Mark won", "marked it won", (OFFER_MADE,), WON, (Ask("won_value", "Won value (₹)"), _OFFER)),
    Transition(
        "lose", "Mark lost", "marked it lost", PIPELINE, LOST, (Ask("reason", "Loss reason", list="lost_reason"), _NOTE)
    ),
    Transition(
        "reject",
        "Mark rejected",
        "marked it rejected",
        PIPELINE,
        REJECTED,
        (Ask("reason", "Rejection reason", list="rejected_reason"), _NOTE),
    ),
    Transition(
        "reopen",
        "Reopen",
        "reopened it",
        CLOSED,
        OPEN,
        (Ask("note", "Why it is reopened"),),
        permission="opportunity.reopen",
        clears=("won_value", "reason"),
    ),
)

NEW: Final = "new"
CONTACTED: Final = "contacted"
QUALIFIED: Final = "qualified"
CONVERTED: Final = "converted"
DISQUALIFIED: Final = "disqualified"

LEAD_STAGES = (
    Stage(NEW, "New", "○", "blue"),
    Stage(CONTACTED, "Contacted", "◔", "blue"),
    Stage(QUALIFIED, "Qualified", "◑", "violet"),
    Stage(CONVERTED, "Converted", "●", "green", closed=True, holds=("converted_customer_id",)),
    Stage(DISQUALIFIED, "Disqualified", "✕", "gray", closed=True, holds=("reason",)),
)
LEAD_STAGE = {stage.code: stage for stage in LEAD_STAGES}
_LEAD_OPEN = tuple(stage.code for stage in LEAD_STAGES if not stage.closed)

LEAD_TRANSITIONS = (
    Transition("contact", "Mark contacted", "marked it contacted", (NEW,), CONTACTED, permission="lead.change"),
    Transition("qualify", "Qualify", "qualified it", (NEW, CONTACTED), QUALIFIED, permission="lead.change"),
    Transition("convert", "Convert", "converted it", (QUALIFIED,), CONVERTED, permission="customer.create"),
    Transition(
        "disqualify",
        "Disqualify",
        "disqualified it",
        _LEAD_OPEN,
        DISQUALIFIED,
        (Ask("reason", "Reason", list="disqualify_reason"), _NOTE),
        permission="lead.change",
    ),
)


def named(name: str, transitions: tuple[Transition, ...] = TRANSITIONS) -> Transition | None:
    """This function will find a transition by its name, or None."""
    return next((t for t in transitions if t.name == name), None)


def offered(
    status: str, permissions: Container[str], transitions: tuple[Transition, ...] = TRANSITIONS
) -> list[Transition]:
    """This function will list the transitions that a status and a person's permissions allow."""
    return [t for t in transitions if status in t.sources and t.permission in permissions]
