"""Servers at typed addresses and at ports of this machine, asked at once what they serve."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp
import msgspec

from engine.config.providers import PROVIDERS, provider_at
from engine.errors import ArenaError, CallFailed, UsageProblem
from engine.models.connection import open_session
from engine.models.discover import ServedModel, list_models, probe
from engine.models.endpoint import Endpoint

PORTS = range(8000, 8021)
"""The local ports that are asked: vLLM's own and those that its users count up from it."""
TIME_LIMIT = 5.0  # seconds for one server
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFUSALS = (401, 403)
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Address(msgspec.Struct, frozen=True):
    """A base URL, and the environment variable that holds its key ("" for none)."""

    url: str
    key_variable: str = ""


class FoundServer(msgspec.Struct, frozen=True):
    """What answers at an address. `error` says why nothing usable does, `hint` what to do; `version` is vLLM's."""

    address: Address
    models: tuple[ServedModel, ...] = ()
    version: str | None = None
    error: str = ""
    hint: str = ""


def read_address(text: str, key_variable: str = "") -> Address:
    """Return the address that a user typed: `gpu-host:8010` is http://gpu-host:8010/v1.

    The key of a hosted provider is in its usual variable unless another is named. Raises UsageProblem.
    """
    text, key_variable = text.strip(), key_variable.strip().removeprefix("$").strip("{}")
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageProblem("not an address", "type it as http://HOST:PORT/v1") from None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", url):
        raise UsageProblem("not an address", "type it as http://HOST:PORT/v1")
    if parts.username or parts.password or parts.query:
        raise UsageProblem(
            "an address with a login or a query is not written to a config",
            "put the key into an environment variable and name that",
        )
    if key_variable and not _VARIABLE.fullmatch(key_variable):
        raise UsageProblem("not the name of an environment variable", "name the variable, not the key itself")
    where = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    url = f"{parts.scheme}://{where}{f':{port}' if port else ''}{path}"
    return Address(url, key_variable or PROVIDERS[provider_at(url)].key_variable)


async def find_servers(
    addresses: Iterable[Address],
    ports: Sequence[int] = PORTS,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[FoundServer]:
    """Yield each server as soon as it has answered: all typed addresses, and the local ports where one answers.

    A local port gets GET requests only: something else may listen there. No server takes longer than TIME_LIMIT twice.
    """
    environ = os.environ if environ is None else environ
    typed = list(addresses)
    known = {urlsplit(address.url).port for address in typed if urlsplit(address.url).hostname in _THIS_MACHINE}
    local = [Address(f"http://localhost:{port}/v1") for port in ports if port not in known]
    async with open_session() as session:
        tasks: list[asyncio.Task[FoundServer | None]] = [
            asyncio.create_task(_ask(session, address, environ)) for address in typed
        ]
        tasks += [asyncio.create_task(_look(session, address)) for address in local]
        try:
            for finished in asyncio.as_completed(tasks):
                found = await finished
                if found is not None:
                    yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(session: aiohttp.ClientSession, address: Address, environ: Mapping[str, str]) -> FoundServer:
    name = address.key_variable
    if name and name not in environ:
        return FoundServer(address, error=f"the environment variable {name} is not set", hint=f"export {name}=...")
    header = PROVIDERS[provider_at(address.url)].key_header
    endpoint = Endpoint(address.url, environ[name] if name else None, header)
    try:
        report = await probe(session, endpoint, time_limit=TIME_LIMIT)
    except ArenaError as error:
        return FoundServer(address, error=error.title, hint=error.hint)
    if report.ok:
        return FoundServer(address, report.models, report.version)
    hint = report.hint
    if not name and "401" in report.error:
        hint = "name the environment variable that holds its key"
    return FoundServer(address, error=report.error, hint=hint)


async def _look(session: aiohttp.ClientSession, address: Address) -> FoundServer | None:
    """Return the server at a local port; None if nothing like one answers there."""
    try:
        models, version = await list_models(session, Endpoint(address.url), TIME_LIMIT)
    except CallFailed as failure:
        if failure.status in _REFUSALS:
            return FoundServer(address, error="it wants a key", hint="add its address with the variable of its key")
        return None
    return FoundServer(address, models, version) if models else None
