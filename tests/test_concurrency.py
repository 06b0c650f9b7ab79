"""Many at once: one wins, the others hear why, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_core import opportunities, users
from crm_core.errors import Conflict, Invalid, NotAllowed, Refusal
from tests.conftest import Office


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    def tried(number: int) -> object:
        try:
            return act(number)
        except Refusal as why:
            return why

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(tried, range(count)))


def test_twenty_people_making_one_move_make_it_once(office: Office) -> None:
    """F1."""
    made = office.opportunity()
    done = at_once(20, lambda _: office.do(opportunities.move, office.asha, made, "make_offer"))
    assert 1 == sum(isinstance(d, int) for d in done)
    assert {Conflict, Invalid} >= {type(d) for d in done if not isinstance(d, int)}
    assert 2 == office.count("transition")


def test_a_change_past_the_program_needs_the_next_version(office: Office) -> None:
    """F3."""
    made = office.opportunity()
    with pytest.raises(Conflict):
        office.sql(f"UPDATE opportunity SET title = 'x' WHERE id = {made}")


def test_a_deactivation_counts_from_the_next_action(office: Office) -> None:
    """F7."""
    made = office.opportunity()
    office.do(users.deactivate, office.meena, office.asha.user_id)
    with pytest.raises(NotAllowed):
        office.do(opportunities.edit, office.asha, made, {"title": "x"})


def test_the_same_submit_twice_makes_one_record(office: Office) -> None:
    """G5: the token finds its first result."""
    made = office.opportunity()
    first, again = (office.do(opportunities.move, office.asha, made, "make_offer", token="t") for _ in range(2))
    assert first == again
    assert 2 == office.count("transition")
