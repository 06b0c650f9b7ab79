"""The board: a slice of the pipeline as columns by status, each headed by the sums of the whole slice."""

import streamlit as st

from crm_core import access, frames, lifecycle, opportunities, periods, pipeline, walks
from crm_core.slices import Slice
from pages._filters import SORT_LABELS, filter_bar, notices, order
from pages._forms import close, forget_seen, opener
from pages._move_form import move_form
from pages._tables import tile
from pages._ui import counted, enter, head, link, linked, live, param, params, plain, status
from pages._views import view_bar

CARDS = 12

visitor = enter("board")
slice_ = Slice.from_params(params())
sort = param("sort") if param("sort") in SORT_LABELS else walks.DEFAULT_SORT
keep = {"sort": param("sort")}
today = slice_.day() or periods.today()


def order_of(code: str) -> str:
    """This function will name the order of a column: what is closed, last closed first."""
    return "-stage_since" if lifecycle.STAGE[code].closed else sort


def lane(code: str, listing: pipeline.Listing) -> None:
    """This function will show one column: its figures, a link to its list, and its first cards."""
    won = "won_value" in lifecycle.STAGE[code].holds
    query = slice_.narrowed(status=code).to_params() | {"sort": order_of(code), "sum": "won" if won else ""}
    amount = plain(visitor.compact(listing.won_value if won else listing.value))
    with st.container(key=f"lane-{code}"):
        tile(f"## {status(code)}", f"**{amount}**", linked(counted(listing.count), "opportunities", query))
    for item in frames.rows(listing.rows):
        with st.container(border=True, key=f"card-{item.id}", gap="xxsmall"):
            card(item)
    if listing.count > CARDS:
        link(f"and {listing.count - CARDS:,} more", "opportunities", query)


def card(item) -> None:
    """This function will show one opportunity: what it is of, since when it stands here, what is next, its moves."""
    way = {**params(), "id": str(item.id), "back": "board"}
    amount = item.value if item.won_value is None else item.won_value
    since = periods.in_india(item.status_at).date()
    closed = lifecycle.STAGE[item.status].closed
    stood = f"closed {periods.day(since)}" if closed else counted((today - since).days, "days")
    lines = [linked(f"{item.number} · {item.customer}", "opportunity", way)]
    lines += [f"**{plain(visitor.exact(amount))}**", plain(f"{item.owner} · {stood}")]
    if not closed and (item.next_step or item.next_step_on):
        late = item.next_step_on is not None and item.next_step_on < today
        said = ", ".join(filter(None, (item.next_step, periods.day(item.next_step_on))))
        lines.append(plain(f"{'⚠ Overdue' if late else 'Next'}: {said}"))
    st.markdown("  \n".join(lines))
    if not slice_.asof and access.may_change(visitor.person, item.owner_id):
        moves(item)


def moves(item) -> None:
    """This function will offer the card's moves, each with what it asks; built when it is opened."""
    if not lifecycle.offered(item.status, visitor.person.permissions):
        return
    name = f"moves-{item.id}"
    box = st.popover("Move", key=opener(name), on_change=forget_seen, help=f"Move {item.number}")
    if not box.open:
        return
    with box:
        record = visitor.ask(opportunities.get, item.id)
        possible = {move.name: move for move in visitor.ask(opportunities.moves, record)}
        chosen = st.radio(
            f"Move {item.number}",
            list(possible),
            index=0 if len(possible) == 1 else None,
            format_func=lambda name: possible[name].label,
            key=f"moving-{item.id}-{item.status}",
        )
        if chosen:
            move_form(visitor, record, possible[chosen], lambda: moved(name))


def moved(name: str) -> None:
    """This function will show the board as it is after a move."""
    close(name)
    st.rerun()


with head("Board"):
    view_bar(visitor, "board")
filter_bar(visitor, slice_, pipeline, ("q", "status", "region", "business_unit", "owner"), keep)
known = notices(visitor, slice_, pipeline, ("sort",))
st.markdown(f":gray[{plain(slice_.sentence(known))}]")
if slice_.moved or slice_.during:
    st.info("The board shows what stands, not what moved; the list shows that.")
    link("Open the list", "opportunities", slice_.to_params())
    st.stop()
parts = {code: (part, order_of(code)) for code in lifecycle.STAGE if (part := slice_.narrowed(status=code))}
lanes = dict(zip(parts, visitor.ask(pipeline.listings, list(parts.values()), CARDS), strict=True))
count, value, won_value = (sum(getattr(lane_, name) for lane_ in lanes.values()) for name in pipeline.MEASURES)
said = f"{counted(count)} · potential value **{plain(visitor.exact(value))}** · won value {plain(visitor.exact(won_value))}"
order(said, SORT_LABELS, sort, slice_.to_params())
if not count:
    st.info("No opportunities for this selection.")
    st.stop()
cells = st.container(key="board").columns(max(3, len(lanes)), gap="small")
for cell, (code, listing) in zip(cells, lanes.items(), strict=False):
    with cell:
        lane(code, listing)
live(visitor)
