"""What a link may name, and that it never shows more than it names or its reader may see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import opportunities, pipeline, slices
from crm_core.errors import NotFound
from crm_core.slices import DIMENSIONS, Slice, unknown_keys
from tests.conftest import Office

VALUES = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["open", "3", "2026-q1", "fy2026-27"])), max_size=4)


@given(st.dictionaries(st.sampled_from(sorted(DIMENSIONS)), VALUES))
def test_a_slice_survives_its_link(params: dict) -> None:
    """Any text at all."""
    chosen = Slice.from_params(params)
    assert chosen == Slice.from_params(chosen.to_params())


def test_a_month_inside_a_quarter_stays_inside_it() -> None:
    """Narrowed, or nothing."""
    chosen = Slice(created="2026-q3", status=("open", "won"))
    assert Slice(created="2026-07", status="won") == chosen.narrowed(created="2026-07", status="won")
    assert chosen.narrowed(created="2026-10") is None
    assert chosen.narrowed(status="lost") is None


def test_keys_that_filter_nothing_are_named() -> None:
    """E-4."""
    assert ["action", "x"] == unknown_keys(["status", "x", "action"], Slice())


def test_two_values_of_a_key_are_alternatives(office: Office) -> None:
    """E-2."""
    for status in ("open", "lost", "won"):
        office.at(status)
    chosen = Slice.from_params({"status": ["open", "lost"]})
    assert 2 == office.ask(pipeline.listing, office.kavya, chosen).count


@pytest.mark.parametrize("owner", ["all", "*", "%", "1 OR 1=1", "", "-1", "99999999999999999999", "1.0", " 1"])
def test_an_owner_nobody_knows_matches_nothing(office: Office, owner: str) -> None:
    """A3, E-3: and is named."""
    office.opportunity()
    chosen = Slice.from_params({"owner": owner})
    assert 0 == office.ask(pipeline.listing, office.kavya, chosen).count
    assert 1 == len(slices.unknown_values(chosen, office.ask(pipeline.names, office.kavya, chosen)))


@pytest.mark.parametrize("wanted", ["99999999999999999999", "-1", "1.0", " 1", "0", None, True, 1.0])
def test_an_id_that_is_none_is_missing(office: Office, wanted: object) -> None:
    """E-3."""
    office.opportunity()
    with pytest.raises(NotFound):
        office.ask(opportunities.get, office.kavya, wanted)


def test_another_engineers_opportunity_does_not_exist(office: Office) -> None:
    """A2, A13, A14, A15: by id, owner, customer, text, page or tile."""
    made = office.opportunity("ravi", title="Secret pump")
    office.opportunity("asha")
    row = office.ask(opportunities.get, office.ravi, made)
    with pytest.raises(NotFound):
        office.ask(opportunities.get, office.asha, made)
    for chosen in (
        Slice(owner=office.ravi.user_id),
        Slice(customer=row.customer_id),
        Slice(q="secret"),
        Slice(q=row.number),
    ):
        assert 1 == office.ask(pipeline.listing, office.ravi, chosen).count
        assert 0 == office.ask(pipeline.listing, office.asha, chosen).count
        assert 0 == office.ask(pipeline.totals, office.asha, chosen)["count"][0]
    page = office.ask(pipeline.listing, office.asha, Slice(), sort="-value", page=999)
    assert (1, 1, 1) == (page.count, page.page, page.pages)
    assert ["Asha"] == list(office.ask(pipeline.choices, office.asha, "owner").values())


def test_a_filter_offers_what_its_reader_may_pick(office: Office) -> None:
    """A6: every dimension; an engineer is offered no colleague, ranges and texts offer nothing."""
    home = office.customer(city="Erode")
    office.opportunity("asha", customer_id=home)
    office.opportunity("ravi", customer_id=home)
    offered = {name: office.ask(pipeline.choices, office.asha, name) for name in DIMENSIONS}
    assert {"asha": "Asha"} == {"asha": offered["owner"].pop(str(office.asha.user_id))} | offered["owner"]
    assert {str(home): "Amman Mills, Erode"} == offered["customer"]
    assert ["Open", "Offer Made", "Won", "Lost", "Rejected"] == list(offered["status"].values())
    assert {"pump": "Pump", "valve": "Valve"} == offered["product"]
    assert "Retired" in offered["region"].values()
    assert [{}, {}, {}] == [offered[name] for name in ("created", "closed", "q")]


def test_all_of_a_slice_is_what_its_reader_may_see_of_it(office: Office) -> None:
    """A2: for what is done to many at once."""
    mine, theirs, _won = office.opportunity("asha"), office.opportunity("ravi"), office.at("won")
    assert [mine] == office.ask(pipeline.ids, office.asha, Slice(status="open"))
    assert [mine, theirs] == office.ask(pipeline.ids, office.kavya, Slice(status="open"))
