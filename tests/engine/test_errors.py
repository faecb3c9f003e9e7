"""A title and its hint as one line, whatever servers and files put into them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.config.model import Config
from engine.errors import Advice, AdviceKind, CallFailed, ConfigError, ConfigProblem, FailureKind, as_line
from engine.events import Notice
from engine.models.client import ModelClient
from engine.models.connection import failure_of, open_session
from engine.models.endpoint import Endpoint
from engine.models.health import OutagePolicy
from engine.models.refusal import failure_of_status
from engine.serving.endpoints import probe_endpoints

ODD = re.compile(
    r"[.;,:] ?[.;,]|\. ?\(|\.\)|[;,.]\s*$|^\s|\s\s|;\S|\(\s*\)|: *;"
)  # double stops, empty parts, missing spaces
TEXTS = ["", "out of memory", "Out of memory.", "Try again later. ", "Is it up?", "broken;", "no; really;", " ", "\n"]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("title", "hint"), "title; hint"),
        (("Title.", "hint."), "Title; hint"),
        (("title", ""), "title"),
        (("", "hint"), "hint"),
        (("title", "", "rest"), "title; rest"),
        (("title", "did you mean 'x'?", "its calls wait"), "title; did you mean 'x'? its calls wait"),
        ((), ""),
    ],
)
def test_parts_are_joined_without_marks_of_empty_ones(parts: tuple[str, ...], line: str):
    assert as_line(*parts) == line


def test_advice_stays_one():
    line = as_line("no server.", Advice("start it", AdviceKind.SERVE, values=("m",)))
    assert isinstance(line, Advice)
    assert (str(line), line.kinds, line.values) == ("no server; start it", (AdviceKind.SERVE,), ("m",))


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("title", TEXTS)
@pytest.mark.parametrize("hint", TEXTS)
def test_every_kind_of_failure_is_one_clean_line(kind: FailureKind, title: str, hint: str):
    failure = CallFailed(kind, title, hint=hint)
    assert not ODD.search(as_line(failure.title, failure.hint, "its calls wait"))


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 405, 408, 413, 422, 429, 500, 501, 502, 503, 529])
@pytest.mark.parametrize("text", ["", "Not here.", "The model does not exist.", "max_completion_tokens is needed;"])
def test_every_status_is_one_clean_line(status: int, text: str):
    failure = failure_of_status(status, f'{{"error": {{"message": "{text}"}}}}'.encode())
    assert not ODD.search(as_line(failure.title, failure.hint))


@pytest.mark.parametrize("error", [TimeoutError(), OSError(5, "Input/output error."), ValueError("odd."), ValueError()])
def test_every_fault_of_a_connection_is_one_clean_line(error: BaseException):
    failure = failure_of(error, 1.0)
    assert not ODD.search(as_line(failure.title, failure.hint))


@pytest.mark.parametrize("message", TEXTS[1:7])
def test_a_problem_of_a_config_is_one_clean_line(message: str):
    for hint in ("", "remove it"):
        line = ConfigError("config.toml", [ConfigProblem("judge", message, hint)]).title.splitlines()[-1].strip()
        assert not ODD.search(line)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[int, str], Awaitable[str]]]:
    """Start a server that answers everything with this status and message; gives its base URL."""
    started: list[TestServer] = []

    async def start(status: int, message: str) -> str:
        async def handler(request: web.Request) -> web.Response:
            return web.json_response({"error": {"message": message}}, status=status)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        started.append(TestServer(app))
        await started[-1].start_server()
        return str(started[-1].make_url("/v1"))

    yield start
    for server in started:
        await server.close()


@pytest.mark.parametrize("status", [400, 401, 404, 422])
@pytest.mark.parametrize("message", ["Something is wrong.", ""])
async def test_the_report_of_an_endpoint_is_one_clean_line(serve, status: int, message: str):
    models = {"m": {"endpoints": [{"base_url": await serve(status, message)}]}}
    config = Config.model_validate({"bench": "b", "judge": {"model": "m", "baseline": "m"}, "models": models})
    async with open_session() as session:
        _, reports = await probe_endpoints(session, config, "m")
    for report in reports:
        assert not ODD.search(as_line(report.error, report.hint))
        assert not ODD.search(as_line(report.warning))


@pytest.mark.parametrize("status", [401, 402, 403, 503])
@pytest.mark.parametrize("message", ["Something is wrong.", ""])
async def test_notices_of_calls_are_clean_lines(serve, status: int, message: str):
    notices: list[str] = []
    base_url = await serve(status, message)
    async with open_session() as session:
        client = ModelClient(
            "m",
            [Endpoint(base_url)],
            parallel=1,
            session=session,
            attempts=1,
            outages=OutagePolicy(first_rest=0.01, longest_rest=0.01, disable_after=0.1),
            emit=lambda event: notices.append(event.text) if isinstance(event, Notice) else None,
        )
        for _ in range(12):
            with pytest.raises(CallFailed):
                await client.complete({"model": "m", "messages": []})
    assert notices
    assert not [text for text in notices if ODD.search(text)]
