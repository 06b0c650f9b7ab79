"""Sign-ins: which user an account of a sign-in provider is. Signing in gives nobody a right.

What the provider says (the claims of its ID token) is only a claim: it is read anew at every
run, and whether the person is active, and their role, always comes from the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, exists, insert, select, update

from crm_core import access, audit, clock
from crm_core.access import Actor
from crm_core.errors import Conflict, NotAllowed
from crm_core.schema import app_user, identity, submit

#: how far a provider's clock may run ahead of ours
AHEAD = timedelta(minutes=1)
UNVERIFIED = "Your sign-in provider has not verified your e-mail address; ask your org admin."
BOUND = "This e-mail address signs in with another account; sign in with that one, or ask your org admin."


class SignInAgain(NotAllowed):
    """The sign-in is too old, or was ended."""


@dataclass(frozen=True)
class Account:
    """An account of a provider, and when it signed in; `token` names this one sign-in."""

    issuer: str
    subject: str
    email: Any
    signed_in_at: datetime

    @property
    def token(self) -> str:
        said = repr((self.issuer, self.subject, self.signed_in_at.timestamp()))
        return hashlib.sha256(said.encode()).hexdigest()


def actor(
    conn: Connection,
    claims: Mapping[str, Any],
    *,
    longest: timedelta,
    trusted_issuers: Collection[str] = (),
    request_id: str = "",
) -> Actor | None:
    """This function will read who the claims are, or None for an account that is bound to nobody yet.

    Raises NotAllowed for an e-mail address that is not verified (unless the issuer is trusted) and
    for a user who is not active, SignInAgain for a sign-in older than `longest` or ended since.
    """
    account = _account(conn, claims, longest, trusted_issuers)
    ended = exists().where(submit.c.token == account.token)
    row = conn.execute(
        select(identity.c.user_id, identity.c.signed_out_at, app_user.c.active, ended.label("ended"))
        .join(app_user, app_user.c.id == identity.c.user_id)
        .where(identity.c.issuer == account.issuer, identity.c.subject == account.subject)
    ).one_or_none()
    if row is None:
        return None
    if not row.active:
        raise NotAllowed("Your account is not active; ask your org admin.")
    if row.ended or (row.signed_out_at is not None and account.signed_in_at <= row.signed_out_at):
        raise SignInAgain("You signed out; sign in again.")
    return Actor(row.user_id, request_id)


def bind(
    conn: Connection,
    claims: Mapping[str, Any],
    *,
    longest: timedelta,
    trusted_issuers: Collection[str] = (),
    request_id: str = "",
) -> Actor:
    """This function will bind an invited, active user to the account with their e-mail address, for good.

    Raises NotAllowed where nobody is invited under it, or where the user has another account.
    """
    account = _account(conn, claims, longest, trusted_issuers)
    found = access.actor_by_email(conn, account.email, request_id)
    access.person(conn, found)  # PostgreSQL lets people bind themselves only
    bound = select(identity.c.user_id).where(
        (identity.c.user_id == found.user_id)
        | ((identity.c.issuer == account.issuer) & (identity.c.subject == account.subject))
    )
    if conn.execute(bound).first() is not None:
        raise NotAllowed(BOUND)
    names = {"issuer": account.issuer, "subject": account.subject}
    conn.execute(insert(identity).values(user_id=found.user_id, bound_at=clock.now(conn), **names))
    _record(conn, found, "bind_account", names)
    return found


def sign_out(conn: Connection, claims: Mapping[str, Any], *, longest: timedelta, request_id: str = "") -> None:
    """This function will end the one sign-in that the claims come from, wherever its cookie is kept.

    Ended already, too old or bound to nobody, there is nothing to end.
    """
    try:
        asking = actor(conn, claims, longest=longest, trusted_issuers=[claims.get("iss", "")], request_id=request_id)
    except NotAllowed:
        return
    if asking is None:
        return
    access.person(conn, asking)
    token = _account(conn, claims, longest, [claims["iss"]]).token
    ended = {"token": token, "by_id": asking.user_id, "command": "sign_ins.sign_out", "at": clock.now(conn)}
    conn.execute(insert(submit).values(ended))
    _record(conn, asking, "sign_out", {})


def sign_out_everywhere(conn: Connection, actor: Actor) -> None:
    """This function will end every sign-in of the asking person up to now, in all their browsers."""
    access.person(conn, actor)
    at = clock.now(conn)
    ended = conn.execute(update(identity).where(identity.c.user_id == actor.user_id).values(signed_out_at=at))
    if ended.rowcount != 1:
        raise Conflict("You have not signed in with an account, so there is nothing to sign out of.")
    _record(conn, actor, "sign_out_everywhere", {})


def _record(conn: Connection, asking: Actor, action: str, after: Mapping[str, Any]) -> None:
    audit.write(conn, asking, access.person(conn, asking), action, "user", asking.user_id, None, {}, after)


def _account(
    conn: Connection, claims: Mapping[str, Any], longest: timedelta, trusted_issuers: Collection[str]
) -> Account:
    issuer, subject = claims.get("iss"), claims.get("sub")
    for name in (issuer, subject):
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 2000:
            raise NotAllowed("Your sign-in provider did not say who you are; ask your org admin.")
    assert isinstance(issuer, str)
    assert isinstance(subject, str)
    at = _moment(claims.get("iat"))
    if at is None or not -AHEAD <= clock.now(conn) - at <= longest:
        raise SignInAgain("Your sign-in has ended; sign in again.")
    if claims.get("email_verified") is not True and issuer not in trusted_issuers:
        raise NotAllowed(UNVERIFIED)
    return Account(issuer, subject, claims.get("email"), at)


def _moment(seconds: Any) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
