"""Lines over the number of opportunities, both axes logarithmic, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

#: Of a line: its points (opportunities, milliseconds).
Points = list[tuple[int, float]]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM, LINE = 920, 460, 70, 56, 310, 60, 15
COLOURS = ("#5b8fd6", "#c9655f", "#3f9d6d", "#8f7ad1", "#e0a23b", "#4aa3a2", "#98a2ad", "#b0679b", "#7a8a3c", "#444c56")


@dataclass(frozen=True)
class Scale:
    """Decades of both axes, and where a point lies."""

    left: float
    right: float
    low: int
    high: int

    def x(self, count: float) -> float:
        """This function will place a number of opportunities."""
        return LEFT + (log10(count) - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, took: float) -> float:
        """This function will place milliseconds."""
        return HEIGHT - BOTTOM - (log10(took) - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def lines(title: str, series: Mapping[str, Points], ours: frozenset[str] = frozenset()) -> str:
    """This function will draw lines with their names at their ends; `ours` are thicker, the others dashed where any is."""
    drawn = {name: sorted(points) for name, points in series.items() if points}
    counts = sorted({count for points in drawn.values() for count, _ in points})
    times = [took for points in drawn.values() for _, took in points]
    edge = 0.0 if len(counts) > 1 else 0.5
    scale = Scale(
        log10(counts[0]) - edge,
        log10(counts[-1]) + edge,
        floor(log10(min(times))),
        max(ceil(log10(max(times))), floor(log10(min(times))) + 1),
    )
    parts = [_text(LEFT, 28, title, size=16), *_grid(scale, counts)]
    ends = {name: scale.y(points[-1][1]) for name, points in drawn.items()}
    places = _apart(ends)
    for number, (name, points) in enumerate(drawn.items()):
        colour, thick = COLOURS[number % len(COLOURS)], not ours or name in ours
        at = " ".join(f"{scale.x(count):.1f},{scale.y(took):.1f}" for count, took in points)
        look = f'stroke="{colour}" stroke-width="{2.4 if thick else 1.4}"' + (
            "" if thick else ' stroke-dasharray="5 3"'
        )
        parts.append(f'<polyline points="{at}" fill="none" {look}/>')
        parts += [
            f'<circle cx="{scale.x(count):.1f}" cy="{scale.y(took):.1f}" r="3" fill="{colour}"/>'
            for count, took in points
        ]
        end = scale.x(points[-1][0])
        label = WIDTH - RIGHT + 14
        parts.append(
            f'<line x1="{end + 4:.1f}" y1="{ends[name]:.1f}" x2="{label - 3}" y2="{places[name] - 4:.1f}" '
            f'stroke="{colour}" stroke-width="0.7"/>'
        )
        parts.append(_text(label, places[name], f"{name}  {_ms(points[-1][1])}", colour=colour))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif"><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _grid(scale: Scale, counts: list[int]) -> list[str]:
    made = []
    for power in range(scale.low, scale.high + 1):
        y = scale.y(10.0**power)
        made.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dde2e7"/>')
        made.append(_text(LEFT - 8, y + 4, _ms(10.0**power), anchor="end"))
    for count in counts:
        made.append(_text(scale.x(count), HEIGHT - BOTTOM + 20, f"{count:,}", anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*made, _text(middle, HEIGHT - BOTTOM + 42, "opportunities; both axes logarithmic", anchor="middle")]


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Where the names go: beside their lines' ends, but no two on top of each other and none outside."""
    placed: dict[str, float] = {}
    above = TOP - LINE
    for name, y in sorted(ends.items(), key=lambda item: item[1]):
        above = max(y + 4, above + LINE)
        placed[name] = above
    below = HEIGHT - BOTTOM + LINE
    for name in reversed(placed):
        below = min(placed[name], below - LINE)
        placed[name] = below
    return placed


def _ms(took: float) -> str:
    return f"{took / 1000:,.3g} s" if took >= 1000 else f"{took:.3g} ms"


def _text(x: float, y: float, said: str, size: int = 12, anchor: str = "start", colour: str = "#33404d") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(said)}</text>'
    )
