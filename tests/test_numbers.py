"""The numbers agree: a bar, the list it opens and the file it exports are the same rows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_core import clock, exports, opportunities, pipeline
from crm_core.errors import NotAllowed
from crm_core.slices import Slice
from tests.conftest import ASKED, WAY, Office

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

INSTANTS = (
    datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC),
    datetime(2026, 3, 31, 18, 30, tzinfo=UTC),
    datetime(2026, 1, 15, tzinfo=UTC),
)
DEALS = st.lists(
    st.tuples(
        st.sampled_from(sorted(WAY)),
        st.sampled_from(["asha", "ravi"]),
        st.sampled_from(["coimbatore", "outer_chennai"]),
        st.sampled_from(["water", "process"]),
        st.sampled_from(["pump", "valve"]),
        st.integers(0, 9_999 * 10**9),
        st.sampled_from(INSTANTS),
        st.booleans(),
    ),
    max_size=8,
)
SLICES = st.builds(
    Slice,
    status=st.sampled_from([None, None, ("open", "won"), "lost"]),
    owner=st.sampled_from([None, None, "3", ("3", "4"), "99"]),
    region=st.sampled_from([None, None, "coimbatore", ("outer_chennai", "mars")]),
    business_unit=st.sampled_from([None, None, "water"]),
    product=st.sampled_from([None, None, "valve"]),
    customer=st.sampled_from([None, None, None, "1", "x"]),
    created=st.sampled_from([None, None, "fy2025-26", "fy2026-27", "2026-q1", "..2026-03-31"]),
    closed=st.sampled_from([None, None, None, "fy2025-26", "2026-04"]),
    q=st.sampled_from([None, None, None, "amman", "OPP-2026-00001"]),
)
GROUPS = ("status", "business_unit", "region", "owner", "customer", "product", "created", "closed")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(deals=DEALS, chosen=SLICES)
def test_a_bar_its_list_and_its_export_are_the_same_rows(office: Office, deals: list, chosen: Slice) -> None:
    """A5, J9: for every person and dimension, to the paisa."""
    home = office.customer()
    for status, owner, region, unit, product, paise, at, named in deals:
        values = {"customer_id": home, "region": region, "business_unit": unit, "product": product}
        values |= {"value": Decimal(paise) / 100, "owner_id": office.people[owner].user_id}
        values |= {"application_engineer_id": office.arun.user_id} if named else {}
        with office.database.write() as conn:
            made = opportunities.create(conn, office.meena, values, at=at)
            for name in WAY[status]:
                opportunities.move(conn, office.meena, made, name, dict(ASKED[name]), at=at)
    for actor in office.people.values():
        with office.database.write() as conn:
            clock.start(conn)
            whole = pipeline.listing(conn, actor, chosen, per_page=1000)
            alone = pipeline.totals(conn, actor, chosen).iloc[0]
            assert (alone["count"], alone.value, alone.won_value) == (whole.count, whole.value, whole.won_value)
            assert whole.count == len(whole.rows)
            assert whole.value == sum(whole.rows["value"], Decimal(0))
            for by in GROUPS:
                for row in pipeline.totals(conn, actor, chosen, by).itertuples():
                    part = chosen.narrowed(**{by: row[1]})
                    listed = pipeline.listing(conn, actor, part, per_page=1000) if part else None
                    found = (listed.count, listed.value, listed.won_value) if listed else (0, 0, 0)
                    assert (row.count if not callable(row.count) else row[2], row[3], row[4]) == found
            try:
                written = exports.as_csv(conn, actor, chosen).decode("utf-8-sig")
            except NotAllowed:
                continue
            rows = list(csv.DictReader(io.StringIO(written)))
            assert list(whole.rows["number"]) == [r["Number"] for r in rows]
            assert whole.value == sum((Decimal(r["Potential value"]) for r in rows), Decimal(0))


def test_a_deal_at_midnight_in_india_falls_into_april(office: Office) -> None:
    """The financial year turns at 18:30 UTC."""
    for at in INSTANTS[:2]:
        with office.database.write() as conn:
            values = {"customer_id": office_customer(conn, office), "region": "coimbatore", "business_unit": "water"}
            values |= {"product": "pump", "value": 1, "owner_id": office.asha.user_id}
            opportunities.create(conn, office.meena, values, at=at)
    assert [1, 1] == [
        office.ask(pipeline.listing, office.kavya, Slice(created=fy)).count for fy in ("fy2025-26", "fy2026-27")
    ]
    months = office.ask(pipeline.totals, office.kavya, Slice(), "created")
    assert ["2026-03", "2026-04"] == list(months["created"])


def office_customer(conn: object, office: Office) -> int:
    from crm_core import customers

    return customers.create(conn, office.kavya, {"company": "Amman Mills"})
