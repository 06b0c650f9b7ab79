"""A provider's answer that is not what it should be signs nobody in (I14)."""

from __future__ import annotations

import json
import shutil
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Page, expect

from crm_core import users
from crm_core.database import open_database
from tests.browser import free_port, heading, idle, serving, sign_in_file, visit

KEY, OTHER = (RSAKey.generate_key(2048, {"kid": "k"}, private=True) for _ in range(2))


class Provider(BaseHTTPRequestHandler):
    """A provider that says `claims` of everybody, signed by `sign`."""

    claims: dict[str, Any]
    sign: Any
    nonce = ""

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        asked = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path == "/authorize":
            Provider.nonce = given.get("nonce", "")
            self.send_response(302)
            self.send_header("Location", f"{given['redirect_uri']}?{urlencode({'code': 'c', 'state': given['state']})}")
            self.end_headers()
        elif asked.path == "/keys":
            self.say({"keys": [KEY.as_dict(private=False)]})
        else:
            ends = {
                f"{name}_endpoint": f"{here}/{path}"
                for name, path in (("authorization", "authorize"), ("token", "token"))
            }
            algorithms = {"id_token_signing_alg_values_supported": ["RS256"]}
            self.say({"issuer": here, "jwks_uri": f"{here}/keys", **ends, **algorithms})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        now = int(time.time())
        said = {"iss": f"http://{self.headers['Host']}", "aud": "crm", "sub": "sub-forged", "nonce": Provider.nonce}
        said |= {"iat": now, "exp": now + 600, **Provider.claims}
        token = Provider.sign(said)
        self.say({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def signed(key: RSAKey) -> Any:
    return lambda said: jwt.encode({"alg": "RS256", "kid": "k"}, said, key)


def unsigned(said: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "k"}, said)
    return ".".join(urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


@pytest.fixture(scope="module")
def place(demo_file: Path, server_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of an app that signs in by that provider, and the e-mail address of its org admin."""
    folder = tmp_path_factory.mktemp("forged")
    url = f"sqlite:///{shutil.copy(demo_file, folder / 'forged.sqlite3')}"
    database = open_database(url)
    with database.read() as conn:
        email = next(row.email for row in users.people(conn) if row.role == "org_admin" and row.active)
    database.dispose()
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    port = free_port()
    file = sign_in_file(folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider.server_port}")
    with serving(url, server_log, port, CRM_SECRETS=str(file)) as address:
        yield address, email
    provider.shutdown()


FORGED: dict[str, tuple[dict[str, Any], Any]] = {
    "for another app": ({"aud": "payroll"}, signed(KEY)),
    "of another issuer": ({"iss": "https://id.evil.example"}, signed(KEY)),
    "answering another question": ({"nonce": "other"}, signed(KEY)),
    "expired": ({"exp": 1_700_000_000}, signed(KEY)),
    "signed by another key": ({}, signed(OTHER)),
    "not signed": ({}, unsigned),
    "for another app, though asked for by us": ({"aud": "payroll", "azp": "crm"}, signed(KEY)),
    "whole": ({}, signed(KEY)),
    "whole and for others too": ({"aud": ["payroll", "crm"], "azp": "crm"}, signed(KEY)),
}


@pytest.mark.parametrize("kind", FORGED)
def test_an_answer_that_is_not_for_us_signs_nobody_in(place: tuple[str, str], page: Page, kind: str) -> None:
    """I14: and the whole one does, so that it is the fault that refuses."""
    address, email = place
    claims, Provider.sign = FORGED[kind]
    Provider.claims = {"email": email, "email_verified": True, **claims}
    visit(page, address, "/users")
    with page.expect_response(lambda answer: "/oauth2callback?" in answer.url):
        page.get_by_role("button", name="Sign in", exact=True).click()
    idle(page, 1500)
    whole = kind.startswith("whole")
    expect(heading(page, "Users" if whole else "Sign in")).to_be_visible()
    kept = any(c["name"] == "_streamlit_user" for c in page.context.cookies())
    ours = "asked for by us" in kind  # the library lets it pass; the app does not
    assert (whole or ours) == kept
    assert int(ours) == page.get_by_text("This sign-in was made for another app; sign in again here.").count()
