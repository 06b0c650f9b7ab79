"""House rules that no other tool checks."""

from __future__ import annotations

import ast
from pathlib import Path

from crm_core import access, lifecycle

ROOT = Path(__file__).resolve().parent.parent


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def fixed(node: ast.expr) -> bool:
    """Whether a text is the same whatever the data, but for the figures of trends, which are formatted as numbers."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "trends"
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def test_no_page_speaks_sql() -> None:
    """A18."""
    pages = [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
    assert [] == [p.name for p in pages if imported(p) & {"sqlalchemy", "sqlite3", "psycopg"}]


def test_the_core_knows_no_page() -> None:
    """A18."""
    assert [] == [p.name for p in (ROOT / "crm_core").rglob("*.py") if imported(p) & {"streamlit", "altair"}]


def test_no_page_shows_unsafe_html() -> None:
    """K3: nor HTML made from data."""
    found = []
    for path in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "unsafe_allow_html":
                found.append(f"{path.name}:{node.value.lineno}")
            html = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "html"
            if html and not all(fixed(a) for a in node.args):
                found.append(f"{path.name}:{node.lineno}")
    assert [] == found


def table(name: str) -> list[tuple[str, ...]]:
    """This function will read the rows of a README table that stands between its marks."""
    text = (ROOT / "README.md").read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    rows = [line.strip().strip("|").split("|") for line in text.strip().splitlines()]
    return [tuple(cell.strip() for cell in row) for row in rows[2:]]


def test_the_readme_tells_the_lifecycle_as_it_is() -> None:
    """One table of rows makes buttons, triggers and this page."""
    made = []
    for move in (*lifecycle.TRANSITIONS, *lifecycle.LEAD_TRANSITIONS):
        stages = lifecycle.STAGE if move in lifecycle.TRANSITIONS else lifecycle.LEAD_STAGE
        asks = ", ".join(a.label + ("" if a.required else " (optional)") for a in move.asks) or "–"
        roles = [label for role, label in access.ROLE_LABELS.items() if move.permission in access.GRANTS[role]]
        sources = ", ".join(stages[s].label for s in move.sources)
        made.append((move.label, sources, stages[move.target].label, asks, ", ".join(roles)))
    assert made == table("lifecycle")


def test_the_readme_tells_who_may_do_what() -> None:
    """One row a permission, one column a role."""
    every = sorted(set().union(*access.GRANTS.values()))
    roles = list(access.ROLE_LABELS)
    assert [(p, *("yes" if p in access.GRANTS[r] else "" for r in roles)) for p in every] == table("permissions")
