"""Errors are sentences: what a person reads when the core refuses.

Anything that is not a `Refusal` is a bug and belongs in the log, not on the screen.
"""

from __future__ import annotations


class Sentence(str):
    """One sentence for the user; `field` is the input it belongs to, or "" for the whole form."""

    field: str

    def __new__(cls, text: str, field: str = "") -> Sentence:
        made = super().__new__(cls, text)
        made.field = field
        return made


class Refusal(Exception):
    """Why the core said no, in `messages`; `about` names a record to link to, as (kind, id)."""

    def __init__(self, *messages: str, about: tuple[str, int] | None = None) -> None:
        self.messages = tuple(m if isinstance(m, Sentence) else Sentence(m) for m in messages)
        self.about = about
        super().__init__(" ".join(self.messages))


class Invalid(Refusal):
    """What was entered cannot be saved; every problem at once, each with its field."""


class NotAllowed(Refusal):
    """The person may see the record but not do this."""


class NotFound(Refusal):
    """There is no such record in what the person may see: missing and not yours look the same."""


class Conflict(Refusal):
    """It would have been right a moment ago: somebody else changed or made the same record."""


class Unavailable(Refusal):
    """The database cannot answer or save just now; nothing was lost, try again."""


class Problems:
    """Collects every problem of one form, so that the person hears them all at once."""

    def __init__(self) -> None:
        self.found: list[Sentence] = []

    def add(self, field: str, text: str) -> None:
        if all(known.field != field for known in self.found):
            self.found.append(Sentence(text, field))

    def stop(self) -> None:
        """Raise `Invalid` if there is any problem."""
        if self.found:
            raise Invalid(*self.found)
