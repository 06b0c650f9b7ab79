"""The gate in front of everything the process serves: headers, closed routes, and the way back after sign-in."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import _menu, _provider

NEXT = "crm_next"
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check", "/metrics")
PROBES = ("/healthz", "/readyz")
PAGES = {"", *_menu.ADDRESSES}
HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Gate:
    """ASGI middleware; it sees every request before Streamlit does and every answer after."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _answering(scope, send)
        if scope["path"] == "/metrics" and local(scope):
            scope = {**scope, "path": "/_stcore/metrics", "raw_path": b"/_stcore/metrics"}
        elif scope["path"].startswith(CLOSED):
            await _refuse(scope, receive, send, "There is no such page.", 404)
            return
        if why := _stranger(scope):
            await _refuse(scope, receive, send, why, 403)
            return
        await self.app(scope, receive, send)


def local(scope: Scope) -> bool:
    """This function will tell whether a request was made on this machine itself, through no proxy."""
    headers = Headers(scope=scope)
    client = (scope.get("client") or ("", 0))[0]
    forwarded = any(name.startswith(("x-forwarded", "x-real-ip", "forwarded", "via")) for name in headers)
    return client in _provider.LOOPBACK and not forwarded and _host(headers) in _provider.LOOPBACK


def safe_page(path: str) -> str:
    """This function will give a path back where it is one of a page of this app, else "/"."""
    ok = path[:1] == "/" and "\\" not in path and len(path) <= 4000 and all(ord(c) >= 32 for c in path)
    return path if ok and path.partition("?")[0][1:] in PAGES else "/"


def came_from(headers: Headers) -> str:
    """This function will name the page of this app that a request was made from, with its parameters, else "/"."""
    try:
        address = urlsplit(headers.get("referer", ""))
    except ValueError:
        return "/"
    if address.netloc != headers.get("host", ""):
        return "/"
    return safe_page(f"{address.path or '/'}{'?' if address.query else ''}{address.query}")


def _host(headers: Headers) -> str:
    said = headers.get("host", "")
    return said if said.endswith("]") else said.rpartition(":")[0] or said


def _stranger(scope: Scope) -> str:
    """Why a request is not answered, or "": a foreign Host or Origin, and without a sign-in whatever is from outside."""
    if scope["path"] in PROBES:
        return ""
    headers = Headers(scope=scope)
    named = _host(headers).lower()
    reads = scope.get("method") in ("GET", "HEAD")
    if not reads and "origin" in headers and headers["origin"].partition("://")[2] != headers.get("host"):
        return "This request comes from another site."
    if _provider.configured():
        return "" if named in _provider.LOOPBACK or named == _provider.host() else "This host name is not the app's."
    reached, port = scope.get("server") or ("", None)
    if named not in _provider.LOOPBACK or (port is not None and reached not in _provider.LOOPBACK):
        return "No sign-in is configured here; the trial exists only on this machine."
    return ""


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str, status: int) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
    else:
        await PlainTextResponse(why, status)(scope, receive, send)


def _answering(scope: Scope, send: Send) -> Send:
    asked = Headers(scope=scope)
    secure = scope.get("scheme") == "https"

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            _lead_back(scope["path"], asked, headers)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if secure:
                headers.setdefault("strict-transport-security", "max-age=31536000")
            message["headers"] = [_secured(name, value, secure) for name, value in headers.raw]
        await send(message)

    return answer


def _secured(name: bytes, value: bytes, secure: bool) -> tuple[bytes, bytes]:
    plain = name.lower() != b"set-cookie" or b"; secure" in value.lower()
    return name, value if plain or not secure else value + b"; Secure"


def _lead_back(path: str, asked: Headers, answer: MutableHeaders) -> None:
    """Keep the page that a sign-in was begun on, and lead there when it is done: Streamlit leads to "/" only."""
    if path == "/auth/login":
        kept = quote(came_from(asked), safe="")
        if len(kept) < 3800:
            answer.append("set-cookie", f"{NEXT}={kept}; HttpOnly; SameSite=Lax; Path=/; Max-Age=600")
    elif path == "/oauth2callback" and _signed_in(answer.getlist("set-cookie")):
        answer["location"] = quote(
            safe_page(unquote(cookie_parser(asked.get("cookie", "")).get(NEXT, ""))), safe="/%?#=@[]!$&'()*+,;:~"
        )
        answer.append("set-cookie", f"{NEXT}=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0")


def _signed_in(cookies: Iterable[str]) -> bool:
    given = [c.partition(";")[0].removeprefix("_streamlit_user=") for c in cookies if c.startswith("_streamlit_user=")]
    return any(value.strip('"') for value in given)
