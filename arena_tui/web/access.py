"""Who may use the server: a link that works once is exchanged for a session, which a cookie of this server alone names.

Browsers send a cookie to every port of its host, and two servers on one host share a jar. So the name of the cookie has
a random part, and it is sent only below a path that no other server knows.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from urllib.parse import quote

MOST_SESSIONS = 16  # browsers at a time; the oldest is forgotten


class Access:
    """Exchanges links for sessions.

    Args:
        token: a token of the user's own, which works any number of times; without one, each link works once.
        renewed: called after a link was used, when `token` has changed.
    """

    def __init__(self, token: str = "", renewed: Callable[[], None] = lambda: None) -> None:
        self.path = f"/{secrets.token_urlsafe(16)}/"
        self.cookie = f"arena-tui-{secrets.token_hex(4)}"
        self._own = token
        self._token = token or secrets.token_urlsafe(24)
        self._renewed = renewed
        self._sessions: list[str] = []

    @property
    def query(self) -> str:
        """The query of the link that opens the next session."""
        return f"token={quote(self._token, safe='')}"

    def exchange(self, token: str) -> str | None:
        """Return a new session for the token of a link; None if it is wrong or was used."""
        if not _equal(token, self._token):
            return None
        session = secrets.token_urlsafe(24)
        self._sessions = [*self._sessions, session][-MOST_SESSIONS:]
        if not self._own:
            self._token = secrets.token_urlsafe(24)
            self._renewed()
        return session

    def knows(self, session: str) -> bool:
        """Return whether a session is known."""
        return any(_equal(session, each) for each in self._sessions)


def _equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), known.encode())
