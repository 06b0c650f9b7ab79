"""Whose account a sign-in is: bound once to an invited person, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from crm_core import access, audit, clock, denials, leads, sign_ins, users
from crm_core.access import Actor
from crm_core.errors import Conflict, NotAllowed, Refusal
from crm_core.sign_ins import SignInAgain
from crm_core.slices import DenialSlice
from tests.browser import ROOT
from tests.conftest import Office

NOW = datetime(2026, 11, 24, 6, 30, 0, 500_000, tzinfo=UTC)
TERMS: dict[str, Any] = {"longest": timedelta(hours=12)}
NOBODY = "No active user has this e-mail address; ask your org admin."


def claims(name: str = "asha", **other: Any) -> dict[str, Any]:
    """This function will make what a provider says of a person; None takes a claim away."""
    said = {"iss": "https://id.example.in", "sub": f"sub-{name}", "email": f"{name}@example.in", "email_verified": True}
    said |= {"iat": int(NOW.timestamp()), "is_logged_in": True, **other}
    return {key: value for key, value in said.items() if value is not None}


def bind(office: Office, said: dict[str, Any], at: datetime = NOW, **terms: Any) -> Actor:
    with office.database.write() as conn:
        clock.start(conn, at)
        return sign_ins.bind(conn, said, **{**TERMS, **terms})


def who(office: Office, said: dict[str, Any], at: datetime = NOW, **terms: Any) -> Actor | None:
    with office.database.read() as conn:
        clock.start(conn, at)
        return sign_ins.actor(conn, said, **{**TERMS, **terms})


@contextmanager
def refused(sentence: str, kind: type[Refusal] = NotAllowed) -> Iterator[None]:
    with pytest.raises(kind) as why:
        yield
    assert (sentence,) == why.value.messages


def on_record(conn: Connection, user_id: int) -> list[audit.Entry]:
    """This function will tell a user's history as an org admin reads it."""
    access.person(conn, access.actor_by_email(conn, "meena@example.in"))
    return audit.timeline(conn, "user", user_id)


def test_an_invited_person_is_bound_at_the_first_sign_in_and_known_from_then_on(office: Office) -> None:
    """I2, I4: before it the account is nobody's; what it may do is what the invitation said, and it is on record."""
    assert who(office, claims()) is None
    before = office.ask(access.person, office.asha)
    assert office.asha == bind(office, claims())
    assert office.asha == who(office, claims())
    assert before == office.ask(access.person, office.asha)
    entry = office.ask(on_record, office.asha.user_id)[0]
    assert ("Asha", "signed in for the first time") == (entry.by, entry.action)
    assert {"Issuer": "https://id.example.in", "Subject": "sub-asha"} == {c.label: c.after for c in entry.changes}


@pytest.mark.parametrize("verified", [False, "true", "True", 1, None, "false", [True]])
def test_an_address_that_the_provider_has_not_verified_signs_nobody_in(office: Office, verified: Any) -> None:
    """I2: neither at the first sign-in nor at a later one, unless that very issuer is trusted."""
    said = claims(email_verified=verified)
    with refused(sign_ins.UNVERIFIED):
        bind(office, said)
    assert 0 == office.count("identity")
    bind(office, claims())
    for trusted in ((), ("https://id.example.in.evil.example",), ("https://id.example.in/",)):
        with refused(sign_ins.UNVERIFIED):
            who(office, said, trusted_issuers=trusted)
    assert office.asha == who(office, said, trusted_issuers=("https://id.example.in",))


@pytest.mark.parametrize("other", [{"sub": "sub-other"}, {"iss": "https://other.example.in"}])
def test_another_account_with_the_same_address_is_refused(office: Office, other: dict[str, str]) -> None:
    """I2: the same e-mail address at another issuer, or of another subject, is another account."""
    bind(office, claims())
    assert who(office, claims(**other)) is None
    with refused(sign_ins.BOUND):
        bind(office, claims(**other))
    assert 1 == office.count("identity")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nobody invited": ({"sub": "sub-secret", "email": "secret@example.in"}, NOBODY),
    "not verified": ({"email_verified": False}, sign_ins.UNVERIFIED),
    "another account": ({"sub": "sub-secret"}, sign_ins.BOUND),
    "another issuer": ({"iss": "https://secret.example.in"}, sign_ins.BOUND),
    "not active": ({}, "Your account is not active; ask your org admin."),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_sign_in_is_kept_without_a_person_and_without_a_value(office: Office, kind: str) -> None:
    """H5: that it was tried and why not; not who it was, and nothing that the provider said."""
    said, sentence = REFUSED[kind]
    bind(office, claims())
    if kind == "not active":
        office.do(users.deactivate, office.meena, office.asha.user_id)
    with pytest.raises(NotAllowed) as why:
        who(office, claims(**said)) or bind(office, claims(**said))
    office.database.denied(access.NOBODY, "sign_in", why.value)
    rows, turned = office.ask(denials.listing, office.meena, DenialSlice())
    assert (1, None, "sign_in", sentence) == (turned.count, rows[0].by, rows[0].action, rows[0].why)
    kept = str(office.sql("SELECT * FROM denial")).lower()
    assert [] == [word for word in ("secret", "asha", "sub-", "example.in") if word in kept]


def test_an_account_is_one_person_for_good(office: Office) -> None:
    """I2: its address may change to another invited person's; it stays who it was, whoever writes."""
    bind(office, claims())
    assert office.asha == who(office, claims("asha", email="ravi@example.in"))
    with refused(sign_ins.BOUND):
        bind(office, claims("asha", email="ravi@example.in"))
    sentence = "An account of a sign-in provider is bound to one user for good."
    for statement in (
        f"UPDATE identity SET user_id = {office.ravi.user_id}",
        "UPDATE identity SET subject = 'sub-ravi'",
        "DELETE FROM identity",
    ):
        with refused(sentence, Conflict):
            office.sql(statement)


@pytest.mark.parametrize(
    "email",
    [
        "uma@example.in",
        ["asha@example.in"],
        "asha@example.in,meena@example.in",
        "<b>asha@example.in</b>",
        "Asha <asha@example.in>",
        "",
        None,
        7,
        {"email": "asha@example.in"},
        "аsha@example.in",  # a Cyrillic а
        "asha@example.in\x00",
    ],
)
def test_whoever_is_not_invited_gets_nothing(office: Office, email: Any) -> None:
    """I3, I4: no user, no right and no account come from signing in."""
    people = office.count("app_user")
    if email == "asha@example.in\x00":
        assert office.asha == bind(office, claims(email=email))
        return
    with refused(NOBODY):
        bind(office, claims(email=email))
    assert (people, 0) == (office.count("app_user"), office.count("identity"))


@pytest.mark.parametrize("email", ["ASHA@Example.IN", " asha@example.in ", "ａｓｈａ@example.in", "asha@example.in."])
def test_one_address_written_otherwise_is_the_same_address(office: Office, email: str) -> None:
    """I3: the one normaliser of the core reads it."""
    assert office.asha == bind(office, claims(email=email))


@pytest.mark.parametrize(
    "missing",
    [{"iss": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"iss": ["x"]}, {"sub": "a\x00b"}, {"sub": "s" * 3000}],
)
def test_an_account_without_a_name_signs_nobody_in(office: Office, missing: dict[str, Any]) -> None:
    """I2."""
    with refused("Your sign-in provider did not say who you are; ask your org admin."):
        bind(office, claims(**missing))


@pytest.mark.parametrize(
    "issued",
    [None, "now", True, float("nan"), 1e400, -(2**70), int(NOW.timestamp()) + 3600, int(NOW.timestamp()) - 43_201],
)
def test_a_sign_in_without_a_good_time_is_asked_again(office: Office, issued: Any) -> None:
    """I6: none, no number, from the future, or older than the configured age."""
    bind(office, claims())
    with refused("Your sign-in has ended; sign in again.", SignInAgain):
        who(office, claims(iat=issued))
    with refused("Your sign-in has ended; sign in again.", SignInAgain):
        bind(office, claims("ravi", iat=issued))


def test_a_sign_in_lasts_its_hours_and_not_a_second_more(office: Office) -> None:
    """I6"""
    bind(office, claims())
    start = datetime.fromtimestamp(claims()["iat"], UTC)
    assert office.asha == who(office, claims(), start + timedelta(hours=12))
    with refused("Your sign-in has ended; sign in again.", SignInAgain):
        who(office, claims(), start + timedelta(hours=12, microseconds=1))
    with refused("Your sign-in has ended; sign in again.", SignInAgain):
        who(office, claims(), start + timedelta(hours=2), longest=timedelta(hours=1))


def end(office: Office, verb: Any, *args: Any, at: datetime, **named: Any) -> None:
    with office.database.write() as conn:
        clock.start(conn, at)
        verb(conn, *args, **named)


def test_signing_out_everywhere_ends_every_sign_in_up_to_then_and_no_later_one(office: Office) -> None:
    """I5, H2: this person's, nobody else's; it is on record."""
    bind(office, claims())
    bind(office, claims("ravi"))
    later = claims(iat=int(NOW.timestamp()) + 60)
    end(office, sign_ins.sign_out_everywhere, office.asha, at=NOW + timedelta(seconds=30))
    with refused("You signed out; sign in again.", SignInAgain):
        who(office, claims(), NOW + timedelta(seconds=61))
    assert office.asha == who(office, later, NOW + timedelta(seconds=61))
    assert office.ravi == who(office, claims("ravi"), NOW + timedelta(seconds=61))
    assert "signed out everywhere" == office.ask(on_record, office.asha.user_id)[0].action


def test_a_sign_in_of_the_same_second_is_ended_too(office: Office) -> None:
    """I5: a claim tells whole seconds; the doubt is against it."""
    bind(office, claims())
    end(office, sign_ins.sign_out_everywhere, office.asha, at=datetime.fromtimestamp(claims()["iat"], UTC))
    with pytest.raises(SignInAgain):
        who(office, claims())


def test_a_cookie_replayed_after_signing_out_is_refused(office: Office) -> None:
    """I5, H2: only that sign-in is over; the one in another browser goes on. Twice is once."""
    bind(office, claims())
    elsewhere = claims(iat=claims()["iat"] - 60)
    for _ in range(2):
        end(office, sign_ins.sign_out, claims(), at=NOW, **TERMS)
    with refused("You signed out; sign in again.", SignInAgain):
        who(office, claims())
    assert office.asha == who(office, elsewhere)
    actions = [entry.action for entry in office.ask(on_record, office.asha.user_id)]
    assert ["signed out", "signed in for the first time", "created it"] == actions


def test_signing_out_what_is_no_sign_in_changes_nothing(office: Office) -> None:
    """I5: an account of nobody, and one too old."""
    bind(office, claims())
    before = office.count("audit")
    for said in (claims("uma"), claims(iat=1), claims(sub=None), {}):
        end(office, sign_ins.sign_out, said, at=NOW, **TERMS)
    assert (before, 0) == (office.count("audit"), office.count("submit"))
    with refused("You have not signed in with an account, so there is nothing to sign out of.", Conflict):
        office.do(sign_ins.sign_out_everywhere, office.ravi)


def test_who_was_deactivated_is_refused_and_who_comes_back_has_the_role_of_now(office: Office) -> None:
    """I17, E-6: at the next run, with the cookie of before."""
    bind(office, claims("kavya"))
    office.do(users.deactivate, office.meena, office.kavya.user_id)
    with refused("Your account is not active; ask your org admin."):
        who(office, claims("kavya"))
    office.do(users.change_role, office.meena, office.kavya.user_id, "viewer")
    office.do(users.reactivate, office.meena, office.kavya.user_id)
    back = who(office, claims("kavya"))
    assert back is not None
    with pytest.raises(NotAllowed):
        office.do(leads.create, back, {"contact": "Mani", "company": "Amman Mills", "source": "website"})
    assert "viewer" == office.ask(access.person, back).role


def test_somebody_deactivated_before_the_first_sign_in_is_not_bound(office: Office) -> None:
    """I4, I17."""
    office.do(users.deactivate, office.meena, office.asha.user_id)
    with refused(NOBODY):
        bind(office, claims())
    assert 0 == office.count("identity")


def test_a_role_changed_counts_at_the_next_run(office: Office) -> None:
    """A11: the same sign-in, the role of now."""
    bind(office, claims())
    office.do(users.change_role, office.meena, office.asha.user_id, "manager")
    signed_in = who(office, claims())
    assert signed_in is not None
    assert "manager" == office.ask(access.person, signed_in).role


def test_a_first_sign_in_that_cannot_be_recorded_binds_nobody(office: Office) -> None:
    """H3: one transaction."""
    if office.name == "sqlite":
        office.sql("CREATE TRIGGER full_up BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    else:
        office.sql("ALTER TABLE audit ADD CONSTRAINT full_up CHECK (action <> 'bind_account')")
    with pytest.raises(Refusal):
        bind(office, claims())
    assert 0 == office.count("identity")


SECRET = "abcdefghij" * 4
WHOLE = """[auth]
redirect_uri = "https://crm.example.in/oauth2callback"
cookie_secret = "{secret}"
client_id = "crm"
client_secret = "{secret}"
server_metadata_url = "https://id.example.in/.well-known/openid-configuration"
"""


def started(tmp_path: Path, *tries: dict[str, Any], first: str = "") -> list[str]:
    """This function will have a process start the app once for each try, and give the sentences with which it refused.

    A try names `secrets` (the text of that file), `arguments` (of the server's command line) and what else
    of the environment is set; "" is a start.
    """
    given = []
    for number, one in enumerate(tries):
        env = {"CRM_DATABASE_URL": f"sqlite:///{tmp_path / 'crm.sqlite3'}", "UVICORN_HOST": "127.0.0.1"}
        if "secrets" in one:
            env["CRM_SECRETS"] = str(tmp_path / f"secrets_{number}.toml")
            Path(env["CRM_SECRETS"]).write_text(one["secrets"])
        env |= {key: value for key, value in one.items() if key.isupper()}
        given.append([env, list(one.get("arguments", ()))])
    done = subprocess.run(
        [sys.executable, "-c", START.replace("# first", first), json.dumps(given)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    sentences: list[str] = json.loads(done.stdout)
    return sentences


START = """
import json, os, sys
from pages import _server
# first
said = []
for env, arguments in json.loads(sys.argv[1]):
    os.environ.pop("CRM_SECRETS", None)
    os.environ.update(env)
    sys.argv = ["uvicorn", "app:app", *arguments]
    try:
        _server.refuse_unsafe()
        said.append("")
    except SystemExit as why:
        said.append(str(why.code))
print(json.dumps(said))
"""
WEAK = "The cookie_secret of [auth] is missing or weak: give it at least 32 random characters."
ADDRESS = "The redirect_uri of [auth] must be https://your-host/oauth2callback (http only on this machine)."
ALONE = (
    "Without a sign-in this app serves only this machine: no sign-in is configured, so listen on 127.0.0.1, "
    "or configure one as docs/sign-in.md says."
)


def test_a_weak_or_half_sign_in_is_not_started(tmp_path: Path) -> None:
    """I18, I8: a sentence, never a trial instead; the whole one starts, also for PostgreSQL and every address."""
    changes = (
        ('cookie_secret = "{secret}"', "", WEAK),
        ('cookie_secret = "{secret}"', f'cookie_secret = "{SECRET[:31]}"', WEAK),
        ('cookie_secret = "{secret}"', f'cookie_secret = "{"x" * 40}"', WEAK),
        ('cookie_secret = "{secret}"', "cookie_secret = 12345678901234567890123456789012", WEAK),
        ("https://crm.example.in/oauth2callback", "http://crm.example.in/oauth2callback", ADDRESS),
        ("https://crm.example.in/oauth2callback", "https://crm.example.in/", ADDRESS),
        ('client_secret = "{secret}"', "", "[auth] names no whole provider: client_secret must be set."),
        ("[auth]", "[auth]", ""),
        (
            "[auth]",
            "[sign_in]\nhours = 0\n[auth]",
            "In [sign_in], hours must be a number from 1 to 720 and trusted_issuers a list.",
        ),
    )
    outside = {"arguments": ["--host", "0.0.0.0"], "CRM_DATABASE_URL": "postgresql://nobody@127.0.0.1/none"}
    tries = [outside | {"secrets": WHOLE.replace(*c[:2]).replace("{secret}", SECRET)} for c in changes]
    assert [c[2] for c in changes] == started(tmp_path, *tries)


def test_without_a_sign_in_nothing_but_this_machine_is_served(tmp_path: Path) -> None:
    """I7"""
    arguments = (["--host", "0.0.0.0"], ["--host=192.168.1.7"], ["--host", "::"], ["--host", "127.0.0.1"], [])
    tries = [{"arguments": a} for a in arguments]
    hosted = [{"UVICORN_HOST": "0.0.0.0"}, {"secrets": "[sign_in]\nhours = 3\n", "UVICORN_HOST": "0.0.0.0"}]
    assert [ALONE, ALONE, ALONE, "", "", ALONE, ALONE] == started(tmp_path, *tries, *hosted)


def test_a_header_never_names_the_person(tmp_path: Path) -> None:
    """I10: an app told to believe one does not start."""
    told = "from streamlit import config; config.set_option('server.trustedUserHeaders', {'X-User': 'email'})"
    sentence = "server.trustedUserHeaders would let a header name the person; take it out of the configuration."
    assert [sentence] == started(tmp_path, {}, first=told)


def test_a_file_of_secrets_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """I18: what was to be a sign-in is never served as a trial."""
    gone = str(tmp_path / "gone.toml")
    said = started(tmp_path, {"CRM_SECRETS": gone}, {"secrets": "[auth"}, {"secrets": ""})
    assert "cannot be read (FileNotFoundError)" in said[0]
    assert "cannot be read (TOMLDecodeError)" in said[1]
    assert "" == said[2]


def test_the_file_of_secrets_is_in_no_commit() -> None:
    """I18"""
    ignored = subprocess.run(
        ["git", "check-ignore", ".streamlit/secrets.toml"], cwd=ROOT, capture_output=True, check=False
    )
    held = subprocess.run(["git", "ls-files", "*secrets.toml"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (0, "") == (ignored.returncode, held.stdout)
