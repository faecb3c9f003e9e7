"""One endpoint: its URLs, the headers of its requests, and the redaction of its secrets."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import lru_cache

from yarl import URL

from engine.errors import ArenaError
from engine.redaction import Redactor


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """An OpenAI-compatible server: the URL above its `chat/completions`, and its key.

    A user and password, or a query (`?api-version=...`), in `base_url` are sent with every request and never shown.
    `shown` is the text for a `base_url` whose path holds a secret; `secrets` are further texts never to be shown.
    `context` is the maximum of prompt and reply together, in tokens, where the server reports it. `host` is the name
    that requests are sent under where `base_url` holds one address of several.
    """

    base_url: str
    api_key: str | None = field(default=None)
    key_header: str = "Authorization"
    context: int | None = None
    shown: str = ""
    secrets: tuple[str, ...] = field(default=())
    host: str = ""

    def __repr__(self) -> str:
        return f"Endpoint({self.address!r})"

    @property
    def address(self) -> str:
        """The base URL without its secrets: no user, password, query or fragment."""
        if self.shown:
            return self.shown
        url = URL(self.base_url)
        if url.raw_user is None and url.raw_password is None and not url.raw_query_string and not url.raw_fragment:
            return self.base_url
        return str(url.with_user(None).with_query(None).with_fragment(None))

    def url(self, path: str) -> URL:
        """Return the full URL of an API path such as `chat/completions`."""
        base = URL(self.base_url)
        return base.with_user(None).joinpath(*path.split("/")).with_query(base.query)

    def server_url(self, path: str) -> URL:
        """Return the URL of a path beside the API, such as vLLM's `/metrics`: the base URL without its `/v1`."""
        base = URL(self.base_url).with_user(None).with_query(None).with_fragment(None)
        parts = [part for part in base.parts[1:] if part]
        if parts and parts[-1] == "v1":
            parts.pop()
        return base.with_path("/" + "/".join([*parts, path]))

    def headers(self) -> dict[str, str]:
        """Return the headers of every request. Raises ArenaError for a key that no HTTP header can hold."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.host:
            headers["Host"] = self.host
        key = (self.api_key or "").strip()
        user = URL(self.base_url)
        if key:
            if not (key.isascii() and key.isprintable()):
                raise ArenaError(
                    f"{self.address}: the API key has characters that no HTTP header can hold",
                    "check its environment variable for a line break or a typographic quote",
                )
            headers[self.key_header] = f"Bearer {key}" if self.key_header == "Authorization" else key
        elif user.user is not None:
            pair = f"{user.user}:{user.password or ''}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    @property
    def redact(self) -> Redactor:
        """Replaces this endpoint's secrets in texts of servers and libraries; some servers echo a request's headers."""
        return _redactor(self.base_url, self.api_key, self.secrets)


@lru_cache(maxsize=256)
def _redactor(base_url: str, api_key: str | None, secrets: tuple[str, ...]) -> Redactor:
    url = URL(base_url)
    return Redactor([(api_key or "").strip(), *url.query.values(), *login_secrets(base_url), *secrets])


def login_secrets(address: str) -> list[str]:
    """Return the password in an address, and the header that is made of the login."""
    url = URL(address)
    if url.user is None:
        return []
    header = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return [url.password or "", url.raw_password or "", header]
