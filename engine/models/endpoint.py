"""One place that serves models: its addresses, what is sent along to it, and what of it may be shown."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from engine.errors import ArenaError

LEAST_SECRET = (
    6  # characters: a shorter "key" (vLLM users write EMPTY, none, x) is no secret, and its letters are everywhere
)
KEY_SHOWN_AS = "[key]"


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """An OpenAI-compatible server, by the URL under which `chat/completions` lies, and the key that it wants.

    A user and password, or a query (`?api-version=...`), in `base_url` are sent with every request and never shown.
    `context` is the longest prompt and reply together, in tokens, where the server told it.
    """

    base_url: str
    api_key: str | None = field(default=None)
    key_header: str = "Authorization"
    context: int | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.address!r})"

    @property
    def address(self) -> str:
        """The base URL as it may be shown: without user, password, query and fragment."""
        url = URL(self.base_url)
        if url.raw_user is None and url.raw_password is None and not url.raw_query_string and not url.raw_fragment:
            return self.base_url
        return str(url.with_user(None).with_query(None).with_fragment(None))

    def url(self, path: str) -> URL:
        """The full URL of an API path such as `chat/completions`."""
        base = URL(self.base_url)
        return base.with_user(None).joinpath(*path.split("/")).with_query(base.query)

    def server_url(self, path: str) -> URL:
        """The URL of a path beside the API, such as vLLM's `/metrics`: the base URL without its `/v1`."""
        base = URL(self.base_url).with_user(None).with_query(None).with_fragment(None)
        parts = [part for part in base.parts[1:] if part]
        if parts and parts[-1] == "v1":
            parts.pop()
        return base.with_path("/" + "/".join([*parts, path]))

    def headers(self) -> dict[str, str]:
        """The headers of every request. Raises ArenaError when the key cannot stand in a header."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        key = (self.api_key or "").strip()
        user = URL(self.base_url)
        if key:
            if not (key.isascii() and key.isprintable()):
                raise ArenaError(
                    f"{self.address}: the api key has characters that no HTTP header can hold",
                    "check the environment variable that it comes from: a line break or a typographic quote came along",
                )
            headers[self.key_header] = f"Bearer {key}" if self.key_header == "Authorization" else key
        elif user.user is not None:
            pair = f"{user.user}:{user.password or ''}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    def redact(self, text: str) -> str:
        """`text` without this endpoint's secrets, for whatever a server or a library says in its errors."""
        for secret in _secrets(self.base_url, self.api_key):
            text = text.replace(secret, KEY_SHOWN_AS)
        return text

    def redact_body(self, body: bytes) -> bytes:
        """What a server sent, likewise: some echo the request, headers and all, and a reply ends up in files."""
        for secret in _secrets(self.base_url, self.api_key):
            body = body.replace(secret.encode(), KEY_SHOWN_AS.encode())
        return body


@lru_cache(maxsize=256)
def _secrets(base_url: str, api_key: str | None) -> tuple[str, ...]:
    """What must never be shown, as it is and as it stands in a URL or in a header; the longest first."""
    url = URL(base_url)
    plain = {(api_key or "").strip(), url.password or "", url.raw_password or "", *url.query.values()}
    known = {secret for secret in plain if len(secret) >= LEAST_SECRET}
    if url.user is not None:
        known.add(base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode())
    written = known | {quote(secret, safe="") for secret in known} | {json.dumps(secret)[1:-1] for secret in known}
    return tuple(sorted(written, key=len, reverse=True))
