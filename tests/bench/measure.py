"""Times, taken in turns: one call of the core, then one of each floor, round after round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: The first rounds warm caches, and count for nothing.
WARMING, LEAST, MOST = 2, 5, 300
#: As many rounds more prepare statements, which psycopg and PostgreSQL do after some uses; at most for a second.
PREPARING = 8
#: After so many seconds even less than LEAST rounds are enough.
PATIENCE = 20.0


@dataclass(frozen=True)
class Operation:
    """What the core does, and the floors beside it, by name. With `figures` their answers must agree.

    `figures` makes a comparable value of an answer; each callable takes the number of the round.
    """

    name: str
    core: Callable[[int], Any]
    floors: dict[str, Callable[[int], Any]] = field(default_factory=dict)
    figures: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Taken:
    """What one thing took: median and 95th percentile, in milliseconds, of so many rounds."""

    median: float
    p95: float
    rounds: int


def measure(operation: Operation, seconds: float) -> dict[str, Taken]:
    """This function will time an operation ("core") and its floors for about so many seconds."""
    sides = {"core": operation.core, **operation.floors}
    for run in sides.values():
        begun = time.perf_counter()
        for number in range(WARMING + PREPARING):
            if number < WARMING or time.perf_counter() - begun < 1:
                run(number)
    times: dict[str, list[float]] = {name: [] for name in sides}
    begun, number = time.perf_counter(), 0
    while _more(number, time.perf_counter() - begun, seconds):
        answers = {}
        for name, run in sides.items():
            started = time.perf_counter()
            answers[name] = run(WARMING + PREPARING + number)
            times[name].append((time.perf_counter() - started) * 1000)
        if not number:
            _agree(operation, answers)
        number += 1
    return {name: taken(many) for name, many in times.items()}


def _more(counted: int, spent: float, seconds: float) -> bool:
    if counted < 1 or counted >= MOST:
        return counted < 1
    return spent < (PATIENCE if counted < LEAST else seconds)


def taken(times: list[float]) -> Taken:
    """This function will sum up times in milliseconds."""
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return Taken(statistics.median(times), p95, len(times))


def _agree(operation: Operation, answers: dict[str, Any]) -> None:
    if operation.figures is None:
        return
    said = {name: operation.figures(answer) for name, answer in answers.items()}
    for name, figures in said.items():
        if figures != said["core"]:
            raise AssertionError(f"{operation.name}: {name} answers {figures}, the core {said['core']}")
