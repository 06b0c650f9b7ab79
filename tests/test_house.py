"""House rules that no other tool checks."""

from __future__ import annotations

import ast
from pathlib import Path

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
