"""`arena-tui batch`: files written, made by a service, fetched and read, as a user would."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from aiohttp import ClientSession, web
from arena_program import records

KEY = "sk-batch-0123456789abcdef"
QUESTIONS = 5
Arena = Callable[..., "CompletedProcess[str]"]


class BatchService:
    """A service with OpenAI's files and batches, made by another server once it `is_ready`."""

    def __init__(self, chat_url: str) -> None:
        self.chat_url = chat_url
        self.url = ""
        self.is_ready = True
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.keys: set[str] = set()
        self.refuse_upload = 0
        self.refused: set[str] = set()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.start)
        app.router.add_get("/v1/batches/{id}", self.state)
        return app

    async def upload(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization", ""))
        if self.refuse_upload:
            message = f"bad key {KEY}"
            return web.json_response({"error": {"message": message}}, status=self.refuse_upload)
        form = await request.post()
        assert form["purpose"] == "batch"
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response({"id": file_id, "object": "file"})

    async def start(self, request: web.Request) -> web.Response:
        asked = await request.json()
        batch = {"id": f"batch_{len(self.batches)}", "status": "validating", **asked}
        self.batches[batch["id"]] = batch
        return web.json_response(batch)

    async def state(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        lines = self.files[batch["input_file_id"]].splitlines()
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        if self.is_ready and "output_file_id" not in batch:
            done, failed = await self.made(lines)
            batch |= {"status": "completed", "output_file_id": f"out-{batch['id']}", "error_file_id": None}
            self.files[batch["output_file_id"]] = b"".join(done)
            if failed:
                batch["error_file_id"] = f"err-{batch['id']}"
                self.files[batch["error_file_id"]] = b"".join(failed)
            counts |= {"completed": len(done), "failed": len(failed)}
            batch["request_counts"] = counts
        return web.json_response({"request_counts": counts} | batch)

    async def made(self, lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Results and errors; the first request of a file is refused, once."""
        done, failed = [], []
        async with ClientSession() as session:
            for number, line in enumerate(map(json.loads, lines)):
                result: dict[str, Any] = {"id": f"r{number}", "custom_id": line["custom_id"], "error": None}
                if number == 0 and line["custom_id"] not in self.refused:
                    self.refused.add(line["custom_id"])
                    error = {"error": {"message": "overloaded", "type": "server_error"}}
                    result["response"] = {"status_code": 500, "request_id": "x", "body": error}
                    failed.append(json.dumps(result).encode() + b"\n")
                    continue
                async with session.post(f"{self.chat_url}{line['url']}", json=line["body"]) as reply:
                    body = await reply.json()
                result["response"] = {"status_code": reply.status, "request_id": "x", "body": body}
                done.append(json.dumps(result).encode() + b"\n")
        return done[::-1], failed

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])


@pytest.fixture
def service(simulator: Callable[..., str]) -> Iterator[BatchService]:
    """A batch service in a thread of its own."""
    service = BatchService(simulator().removesuffix("/v1"))
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(service.app())
    started = threading.Event()

    async def serve() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    yield service
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def folder(tmp_path: Path, service: BatchService) -> Path:
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    questions = [{"question_id": f"q{n}", "turns": [{"content": f"What is {n}?"}]} for n in range(QUESTIONS)]
    (bench / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in questions))
    names = ("sim-baseline", "sim-strong", "sim-judge")
    endpoint = f'endpoints = [{{ base_url = "{service.url}", api_key = "${{BATCH_KEY}}" }}]'
    (tmp_path / "config.toml").write_text(
        'bench = "small"\n[judge]\nmodel = "sim-judge"\nbaseline = "sim-baseline"\n'
        + "".join(f'[models."{name}"]\n{endpoint}\n' for name in names)
    )
    return tmp_path


@pytest.fixture
def batch(arena: Arena, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    monkeypatch.setenv("BATCH_KEY", KEY)
    return lambda *arguments, **options: arena("-c", folder / "config.toml", "batch", *arguments, **options)


def test_two_rounds_at_a_service_make_a_leaderboard(batch: Arena, arena: Arena, folder: Path, service: Any) -> None:
    for number in range(6):
        written = batch("write", folder / f"round-{number}", "--json")
        assert written.returncode == 0, written.stderr
        if not json.loads(written.stdout)["files"]:
            break
        assert batch("submit", folder / f"round-{number}").returncode == 0
        fetched = batch("fetch", folder / f"round-{number}", "--json")
        counts = json.loads(fetched.stdout)
        assert fetched.returncode == (1 if counts["failed"] else 0)
    else:
        raise AssertionError("the rounds do not end")
    assert "nothing is missing" in written.stderr
    assert len(service.refused) == len(records(folder / "data" / "small" / "errors.jsonl")) >= 3  # of each model one
    assert len(records(folder / "data" / "small" / "model_answer" / "sim-strong.jsonl")) == QUESTIONS
    board = json.loads(arena("-c", folder / "config.toml", "leaderboard", "--format", "json").stdout)
    assert {row["model"] for row in board["rows"]} == {"sim-baseline", "sim-strong"}
    assert service.keys == {f"Bearer {KEY}"}
    for file in folder.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


def test_files_are_sent_once_and_fetched_when_they_are_ready(batch: Arena, folder: Path, service: Any) -> None:
    service.is_ready = False
    batch("write", folder / "one", "--stage", "answers")
    assert batch("submit", folder / "one").returncode == 0
    assert batch("submit", folder / "one").returncode == 0
    assert len(service.batches) == 2
    early = batch("fetch", folder / "one")
    assert early.returncode == 1
    assert "no results yet" in early.stderr
    assert "validating" in batch("status", folder / "one").stdout
    service.is_ready = True
    assert batch("fetch", folder / "one").returncode == 1  # a request of each file was refused
    again = json.loads(batch("fetch", folder / "one", "--json").stdout)
    assert (again["taken"], again["repeated"]) == (0, 2 * (QUESTIONS - 1))


def test_a_service_that_refuses_is_named_without_the_key(batch: Arena, folder: Path, service: Any) -> None:
    service.refuse_upload = 401
    batch("write", folder / "one")
    refused = batch("submit", folder / "one")
    assert refused.returncode == 1
    assert service.url in refused.stderr
    assert "HTTP 401" in refused.stderr
    assert KEY not in refused.stderr
    assert batch("status", folder / "one").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("read", "absent.jsonl"), "no such file"),
        (("status", "absent"), "nothing of it was submitted"),
        (("submit", "absent"), "manifest.json: cannot be read"),
        (("write", "new", "--max-bytes", "many"), "a size such as 200M"),
        (("run",), "no model with calls to make has a [serve] table"),
    ],
)
def test_wrong_usage_is_explained(batch: Arena, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = batch(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_results_of_nothing_end_with_1(batch: Arena, folder: Path) -> None:
    (folder / "empty.jsonl").write_text("")
    (folder / "foreign.jsonl").write_text('{"custom_id": "x", "response": null}\n')
    assert batch("read", folder / "empty.jsonl").returncode == 1
    foreign = batch("read", folder / "foreign.jsonl")
    assert foreign.returncode == 1
    assert "1 results of no request of this bench" in foreign.stdout
