"""The configured sign-in: what the secrets say of it, who somebody's account is, and what is not safe to serve."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit import config

from crm_core import logs, sign_ins
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.errors import NotAllowed

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
SECRETS = Path(__file__).resolve().parent.parent / ".streamlit" / "secrets.toml"
ASKED = ("client_id", "client_secret", "server_metadata_url")
log = logs.named("crm")


def load() -> str:
    """This function will read the file of secrets (CRM_SECRETS, or .streamlit/secrets.toml); what is wrong with it, or ""."""
    named = os.environ.get("CRM_SECRETS")
    path = Path(named) if named else SECRETS
    if not named and not path.exists():
        return ""
    try:
        st.secrets.merge_programmatic_secrets(tomllib.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as why:
        return f"The file of secrets {path} cannot be read ({type(why).__name__}); mend it or take it away."
    return ""


def _section(name: str) -> dict[str, Any]:
    return st.secrets[name].to_dict() if st.secrets.load_if_toml_exists() and name in st.secrets else {}


def configured() -> bool:
    """This function will tell whether people sign in by a provider; then there is no trial sign-in."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def host() -> str:
    """This function will name the host that people reach the app under, where a sign-in is configured."""
    return urlsplit(str(_section("auth").get("redirect_uri", ""))).hostname or ""


def providers() -> dict[str | None, str]:
    """This function will map the configured providers, as st.login takes them, to what their buttons say."""
    section = _section("auth")
    named = {name: f"Sign in with {name.title()}" for name, value in section.items() if _is_provider(value)}
    return {**({None: "Sign in"} if "client_id" in section else {}), **named}


def _is_provider(value: Any) -> bool:
    return isinstance(value, dict) and any(key in value for key in ASKED)


def _terms() -> dict[str, Any]:
    said = _section("sign_in")
    return {
        "longest": timedelta(hours=float(said.get("hours", 12))),
        "trusted_issuers": tuple(said.get("trusted_issuers", ())),
    }


def actor(database: Database, claims: Mapping[str, Any], request_id: str) -> Actor | None:
    """This function will tell whose account has signed in, binding it at its first sign-in; None when nobody has.

    Raises NotAllowed with the sentence for the person, SignInAgain where the sign-in is over.
    """
    if not claims.get("is_logged_in"):
        return None
    if not _for_us(claims):
        raise NotAllowed("This sign-in was made for another app; sign in again here.")
    terms = _terms()
    # a sign-in that was ended in another process is ended here, and this run draws nothing older
    with database.read(now=True) as conn:
        found = sign_ins.actor(conn, claims, **terms, request_id=request_id)
    if found is None:
        found = database.submit(sign_ins.bind, claims, **terms, request_id=request_id)
        log.info("user %d signed in for the first time", found.user_id)
    return found


def _for_us(claims: Mapping[str, Any]) -> bool:
    """Whether the audience is this app: the library lets another one pass where `azp` names us."""
    section, said = _section("auth"), claims.get("aud")
    ours = section.get(claims.get("provider", ""), section).get("client_id")
    return bool(ours) and ours in (said if isinstance(said, list) else [said])


def sign_out(database: Database, claims: Mapping[str, Any], request_id: str) -> None:
    """This function will end the sign-in that this browser has."""
    database.submit(sign_ins.sign_out, claims, longest=_terms()["longest"], request_id=request_id)


def unsafe(database_url: str) -> str:
    """This function will say why this process must not serve, in one sentence, or ""."""
    if config.get_option("client.showErrorDetails") != "none":
        return "The app's .streamlit/config.toml is not in use; start the app in its own folder."
    if config.get_option("server.trustedUserHeaders"):
        return "server.trustedUserHeaders would let a header name the person; take it out of the configuration."
    if configured():
        return _weakness(_section("auth"))
    if not database_url.startswith("sqlite"):
        return (
            "This app does not serve PostgreSQL: no sign-in is configured, and the trial sign-in exists only on a "
            "SQLite trial database. Configure one as docs/sign-in.md says, or unset CRM_DATABASE_URL for the trial."
        )
    if any(name not in LOOPBACK for name in _addresses()):
        return (
            "Without a sign-in this app serves only this machine: no sign-in is configured, so listen on 127.0.0.1, "
            "or configure one as docs/sign-in.md says."
        )
    return ""


def _weakness(section: Mapping[str, Any]) -> str:
    secret = section.get("cookie_secret")
    if not isinstance(secret, str) or len(secret) < 32 or len(set(secret)) < 10:
        return "The cookie_secret of [auth] is missing or weak: give it at least 32 random characters."
    address = urlsplit(str(section.get("redirect_uri", "")))
    if address.path != "/oauth2callback" or not (address.scheme == "https" or address.hostname in LOOPBACK):
        return "The redirect_uri of [auth] must be https://your-host/oauth2callback (http only on this machine)."
    offered = {name: section if name is None else section[name] for name in providers()}
    missing = {key for said in offered.values() for key in ASKED if not said.get(key)}
    if not all(find_spec(package) for package in ("authlib", "httpx")):
        return "Signing in needs the packages authlib and httpx; install them as requirements.txt names them."
    if missing or not offered:
        return f"[auth] names no whole provider: {', '.join(sorted(missing or ASKED))} must be set."
    terms = _section("sign_in")
    hours, trusted = terms.get("hours", 12), terms.get("trusted_issuers", [])
    if not isinstance(hours, int | float) or not 0 < hours <= 720 or not isinstance(trusted, list):
        return "In [sign_in], hours must be a number from 1 to 720 and trusted_issuers a list."
    return ""


def _addresses() -> list[str]:
    """Where this process is to listen, as Streamlit's configuration and uvicorn's command line say."""
    said = [str(config.get_option("server.address") or "0.0.0.0"), os.environ.get("UVICORN_HOST", "127.0.0.1")]
    for option, value in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if option == "--host":
            said.append(value)
        elif option.startswith("--host="):
            said.append(option.partition("=")[2])
    return said
