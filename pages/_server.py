"""The process: the open database, the trial's sign-in cookie, health, and errors with a reference."""

from __future__ import annotations

import ctypes
import gc
import html
import logging
import os
import re
import secrets
import sys
import threading
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from crm_core import access, demo, logs, preferences, users, walls
from crm_core.database import EMBEDDED, Database, open_database
from crm_core.errors import Refusal, Unavailable
from pages import _gate, _provider

COOKIE = "crm_trial_person"
_M_ARENA_MAX = -8  # malloc.h
_signer = URLSafeSerializer(secrets.token_hex(32), salt="trial sign-in")
_opening = threading.Lock()
_open: dict[str, Database] = {}
log = logs.named("crm")
LOOK = f"<style>{Path(__file__).with_name('look.css').read_text('utf-8')}</style>"
_LINKS = Path(__file__).with_name("links.js").read_text("utf-8")
#: Streamlit's own document, and what it follows our links by.
_DOCUMENT = (Path(st.__file__).parent / "static" / "index.html").read_text("utf-8")
_DOCUMENT = _DOCUMENT.replace("</head>", '<script src="./links.js" defer></script></head>', 1)
PEOPLE_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {color-scheme: light dark; background: Canvas; color: CanvasText} body {font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 8vh auto; padding: 0 1rem}
h2 {font-size: 1rem; margin: 1.2rem 0 .2rem} ul {display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: 0; list-style: none}
</style><main><h1>Choose a person</h1><p>A trial: this page exists only on a trial database, on this machine.</p>
<!-- people --></main></html>"""


def url() -> str:
    """This function will name the configured database."""
    return os.environ.get("CRM_DATABASE_URL") or EMBEDDED


def refuse_unsafe() -> None:
    """This function will read the secrets and end the process with a sentence where it would not be safe to serve."""
    why = _provider.load() or _provider.unsafe(url())
    logs.everything()
    if why:
        sys.exit(why)


def database() -> Database:
    """This function will give the open database, opening it (and filling a new embedded one) once.

    Raises Unavailable as long as it cannot be opened, or would pass PostgreSQL's row security; the
    next call tries again.
    """
    with _opening:
        if url() not in _open:
            opened = open_database(url(), replica=os.environ.get("CRM_REPLICA_URL"))
            with opened.read() as conn:
                empty = not users.people(conn)
                bypassed = walls.bypassed(conn)
            if bypassed:
                opened.dispose()
                raise Unavailable(
                    "This app must not sign in to PostgreSQL as the owner or a superuser: row security would not bind "
                    "it. Name the role that “python -m crm_core init --postgres” makes in CRM_DATABASE_URL."
                )
            if empty and url() == EMBEDDED:
                log.warning("Filling the trial database with its demo company; this takes some seconds …")
                demo.fill(opened)
            _open[url()] = opened
        return _open[url()]


def signed_in(cookie: str | None) -> int | None:
    """This function will read the person's id from the trial's cookie, or None."""
    try:
        found = _signer.loads(cookie or "")
    except BadSignature:
        return None
    return found if isinstance(found, int) else None


def trial_allowed(host: str) -> bool:
    """This function will tell whether the trial sign-in exists: none other, a trial database, reached on loopback."""
    if not trial_host(host):
        return False
    with database().read() as conn:
        return preferences.is_trial(conn)


def trial_host(host: str) -> bool:
    """This function will tell whether the trial sign-in may exist here: none other, reached on loopback."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return not _provider.configured() and name in _provider.LOOPBACK


def _local(request: Request) -> bool:
    return _gate.local(request.scope) and trial_allowed(request.headers.get("host", ""))


def _sign_in(request: Request) -> Response:
    if not _local(request):
        return JSONResponse({"detail": "The trial sign-in exists only on a trial database on this machine."}, 403)
    person = request.query_params.get("person", "")
    if not person.isdecimal():
        return HTMLResponse(_people(_gate.came_from(request.headers)))
    answer = RedirectResponse(_gate.safe_page(request.query_params.get("next", "/")), 303)
    answer.set_cookie(COOKIE, _signer.dumps(int(person)), httponly=True, samesite="lax")
    return answer


def _people(back: str) -> str:
    """The page on which a trial's visitor chooses a person; it writes a cookie, which a script cannot."""
    with database().read() as conn:
        active = [row for row in users.people(conn) if row.active]
    parts = []
    for role, label in access.ROLE_LABELS.items():
        links = "".join(
            f'<li><a href="?{html.escape(urlencode({"person": row.id, "next": back}))}">{html.escape(row.name)}</a></li>'
            for row in active
            if row.role == role
        )
        parts.append(f"<h2>{label}</h2><ul>{links}</ul>" if links else "")
    return PEOPLE_PAGE.replace("<!-- people -->", "".join(parts))


def _sign_out(_request: Request) -> Response:
    answer = RedirectResponse("/trial/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _dashboard(request: Request) -> Response:
    """Its address is "/"; Streamlit itself writes the other one after a move inside the app, and does not know it."""
    return RedirectResponse(f"/?{request.url.query}" if request.url.query else "/", 307)


def _document(_request: Request) -> Response:
    return HTMLResponse(_DOCUMENT, headers={"cache-control": "no-cache"})


def _links(_request: Request) -> Response:
    return Response(_LINKS, media_type="text/javascript", headers={"cache-control": "no-cache"})


def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _ready(_request: Request) -> Response:
    try:
        with database().read() as conn:
            preferences.stored(conn, "rules")
    except Refusal:
        return JSONResponse({"status": "database unavailable"}, 503)
    return JSONResponse({"status": "ok"})


ROUTES = [
    Route("/trial/sign-in", _sign_in),
    Route("/trial/sign-out", _sign_out),
    Route("/dashboard", _dashboard),
    *(Route(f"/{page}", _document) for page in sorted(_gate.PAGES - {"dashboard"})),
    Route("/links.js", _links),
    Route("/healthz", _health),
    Route("/readyz", _ready),
]
MIDDLEWARE = [Middleware(_gate.Gate)]


@asynccontextmanager
async def lifespan(_app: object):
    """This function will warm the imports and open the database before the first page is asked for."""
    import altair  # noqa: F401
    import pandas  # noqa: F401
    import streamlit.elements.vega_charts  # noqa: F401

    logs.everything()
    # a search text in a URL belongs in no log; the proxy in front may count requests
    logging.getLogger("uvicorn.access").disabled = True
    # `on_script_error` logs a fault, once
    logging.getLogger("streamlit.error_util").disabled = True
    _share_heaps()
    try:
        database()
    except Unavailable as why:
        log.warning("The database is not available yet: %s", why)
    gc.collect()
    gc.freeze()
    yield {}


def _share_heaps() -> None:
    """Two heaps for all threads of glibc, which else gives each its own and keeps what each once needed.

    Python lets one thread run at a time; of 263 MB after twenty visitors 30 were such heaps.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library than glibc, or Windows
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def on_script_error(error: Exception) -> bool:
    """This function will log an unexpected error, without its values, and show the person one line with a reference."""
    if isinstance(error, Refusal):
        for sentence in error.messages:
            st.error(plain(sentence))
        return True
    reference = secrets.token_hex(4)
    log.error("unexpected error, reference %s", reference, exc_info=error)
    st.error(f"Something went wrong; it is logged under reference {reference}. Nothing was saved by this step.")
    return True


#: what means something to Markdown, and two spaces before the end of a line, which else is none
_ESCAPED = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]()#+-.!|<>~$:&@"} | {"\n": "  \n"})
#: what Markdown would take for a link by itself, and Streamlit for an icon, an arrow or a sign
_TAKEN = re.compile(
    r"h(?=ttps?\\:)|w(?=ww\\\.)|(?<=[\w.+-])(?=\\@)|(?<=\\:)(?=[a-z+])|(?<=\\[-<>~])(?=\\[->]|\\?=)", re.IGNORECASE
)


def plain(text: str) -> str:
    """This function will escape stored text for an element that reads Markdown.

    Addresses and the like are broken by an empty span, which shows and copies as nothing.
    """
    return _TAKEN.sub(r"\g<0>:gray[]", text.translate(_ESCAPED))


def line(text: str) -> str:
    """This function will write stored text as one line of Markdown."""
    # a line of “=” would make the one above it a heading
    return plain(" ".join(text.split())).replace("=", "\\=")


def block(text: str) -> str:
    """This function will write stored text for Markdown, its lines as they are, none of which begins anything else."""
    return "  \n".join(line(said) for said in text.splitlines() if said.strip())
