"""Batches: requests as files, results in any order and shape, and the same records as an online run makes."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from desk import QUESTIONS, Desk, lines

from engine.batch.reading import ReadReport, read_batch
from engine.batch.writing import Manifest, read_manifest, write_batch
from engine.bench.lock import BenchLock
from engine.errors import BenchError, BenchLocked, UsageProblem
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate
from engine.work.plan import Scope, make_plan

Result = dict[str, Any]


@pytest.fixture
async def desk(at_desk: Callable[..., Any]) -> AsyncIterator[Desk]:
    async with at_desk() as opened:
        yield opened


def written(desk: Desk, folder: Path, scope: Scope | None = None, **options: Any) -> Manifest:
    changes = {name: options.pop(name) for name in ("judge", "answers") if name in options}
    config = desk.config(**changes)
    return write_batch(config, make_plan(config, desk.bench_files(), scope or Scope()), folder, **options)


def requests(folder: Path) -> list[dict[str, Any]]:
    return [line for file in sorted(folder.glob("*.jsonl")) for line in lines(file)]


async def replies(desk: Desk, asked: list[dict[str, Any]]) -> list[Result]:
    """What an independent runner makes of requests: each sent as it is, in OpenAI's format of results."""
    found = []
    async with aiohttp.ClientSession() as session:
        for request in asked:
            async with session.post(f"{desk.url}{request['url']}", json=request["body"]) as reply:
                body = await reply.json()
            response = {"status_code": reply.status, "request_id": "r", "body": body}
            found.append({"id": "x", "custom_id": request["custom_id"], "response": response, "error": None})
    return found


def saved(path: Path, results: list[Any]) -> Path:
    path.write_text("".join(json.dumps(result, ensure_ascii=False) + "\n" for result in results), "utf-8")
    return path


async def rounds(desk: Desk, folder: Path, most: int = 8, **changes: Any) -> int:
    """Write, answer and read until nothing is left; return the rounds."""
    for number in range(most):
        manifest = written(desk, folder / str(number), **changes)
        if not manifest.requests:
            return number
        results = await replies(desk, requests(folder / str(number)))
        await read_batch(desk.config(**changes), [saved(folder / f"{number}.jsonl", results)])
    raise AssertionError("the rounds do not end")


def scores(desk: Desk, judge: str = "judge") -> bytes:
    board, _ = rate(judged_bench(desk.bench_files(), [judge], ["base"]), LeaderboardOptions(baseline="base"))
    return json.dumps([(row.model, row.score, row.lower, row.upper) for row in board.rows]).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"judge": {"verdict": "constrained", "thinking": "first"}},
        {"judge": {"fence": "nonce"}},
        {"judge": {"verdict": "soft"}},
        {"answers": {"num_choices": 2}},
    ],
)
async def test_batches_make_the_leaderboard_of_an_online_run(
    at_desk: Callable[..., Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with at_desk() as desk:
        assert await rounds(desk, tmp_path / "batches", **changes) >= 2  # answers, then their judgments
        by_batch = scores(desk)
        assert not desk.bench_files().journal()
        for folder in ("model_answer", "model_judgment"):
            (desk.bench / folder).rename(desk.bench / f"batch_{folder}")
        run = await desk.run(**changes)
        assert run.state.phase == "done"
        assert scores(desk) == by_batch


async def test_what_failed_is_recorded_and_written_again(desk: Desk, tmp_path: Path) -> None:
    manifest = written(desk, tmp_path / "one", Scope(judgments=False))
    assert manifest.requests == 3 * QUESTIONS
    results = await replies(desk, requests(tmp_path / "one"))
    refused = {"status_code": 400, "body": {"error": {"message": "too long", "code": 400}}}
    results[0] |= {"response": refused}
    results[1] |= {"response": None, "error": {"code": "batch_expired", "message": "not made within 24 h"}}
    results[2]["response"]["body"]["choices"][0]["message"]["content"] = ""
    random.Random(1).shuffle(results)
    file = saved(tmp_path / "results.jsonl", results)
    report = await read_batch(desk.config(), [file], Scope(judgments=False))
    assert (report.taken, report.saved["answers"], report.left) == (3 * QUESTIONS - 3, 3 * QUESTIONS - 3, 3)
    assert report.failed == {"rejected": 1, "aborted": 1, "empty": 1}
    failures = {failure.kind: failure.message for failure in desk.bench_files().failures().items}
    assert failures["rejected"] == "HTTP 400: too long"
    assert "not made within 24 h" in failures["aborted"]
    again = written(desk, tmp_path / "two", Scope(judgments=False))
    failed = {result["custom_id"] for result in results if not _is_good(result)}
    assert {request["custom_id"] for request in requests(tmp_path / "two")} == failed
    assert again.requests == 3


def _is_good(result: Result) -> bool:
    response = result["response"]
    return bool(response and response["status_code"] == 200 and response["body"]["choices"][0]["message"]["content"])


async def test_results_read_twice_are_taken_once(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    file = saved(tmp_path / "results.jsonl", await replies(desk, requests(tmp_path / "one")))
    first = await read_batch(desk.config(), [file, file], Scope(judgments=False))
    assert (first.taken, first.repeated) == (3 * QUESTIONS, 3 * QUESTIONS)
    second = await read_batch(desk.config(), [file], Scope(judgments=False))
    assert (second.taken, second.repeated, second.unknown) == (0, 3 * QUESTIONS, 0)
    assert len(desk.answers("good")) == QUESTIONS


async def test_results_of_changed_requests_are_reported_and_not_taken(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    file = saved(tmp_path / "results.jsonl", await replies(desk, requests(tmp_path / "one")))
    warmer = desk.config(answers={"temperature": 0.9})
    report = await read_batch(warmer, [file], Scope(judgments=False))
    assert (report.taken, report.changed, report.left) == (0, 3 * QUESTIONS, 3 * QUESTIONS)
    assert not (desk.bench / "model_answer").exists()


async def test_foreign_and_broken_lines_are_counted_by_kind(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    good = (await replies(desk, requests(tmp_path / "one")))[:1]
    foreign = [{"custom_id": "request-7", "response": good[0]["response"]}, {"custom_id": None}, {"note": 1}]
    never_written = {"custom_id": f"a{'0' * 16}-0-{'1' * 16}", "response": good[0]["response"]}
    file = saved(tmp_path / "results.jsonl", [*good, *foreign, never_written])
    with file.open("ab") as stream:
        stream.write(b'[1, 2]\n{"custom_id": "a", \n')
    report = await read_batch(desk.config(), [file], Scope(judgments=False))
    assert (report.taken, report.unknown) == (1, 4)
    assert len(report.problems) == 2
    assert all(str(file) in problem for problem in report.problems)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda body: {"response": body}, id="the reply itself"),
        pytest.param(lambda body: {"body": body}, id="a body without a response"),
        pytest.param(lambda body: {"response": {"body": body}}, id="no status"),
        pytest.param(lambda body: {"response": {"status_code": 200, "body": json.dumps(body)}}, id="JSON as text"),
        pytest.param(lambda body: {"response": {"status_code": 200, "body": body}, "error": {}}, id="an empty error"),
    ],
)
async def test_results_of_other_tools_are_read(
    desk: Desk, tmp_path: Path, shape: Callable[[Any], dict[str, Any]]
) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    results = [
        {"custom_id": result["custom_id"]} | shape(result["response"]["body"])
        for result in await replies(desk, requests(tmp_path / "one"))
    ]
    report = await read_batch(desk.config(), [saved(tmp_path / "results.jsonl", results)], Scope(judgments=False))
    assert (report.taken, report.left) == (3 * QUESTIONS, 0)


async def test_a_partial_file_leaves_the_rest_to_be_written(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    results = await replies(desk, requests(tmp_path / "one"))
    report = await read_batch(desk.config(), [saved(tmp_path / "r", results[:5])], Scope(judgments=False))
    assert (report.taken, report.left) == (5, 3 * QUESTIONS - 5)
    assert written(desk, tmp_path / "two", Scope(judgments=False)).requests == 3 * QUESTIONS - 5


async def test_a_run_may_be_half_online_and_half_batch(desk: Desk, tmp_path: Path) -> None:
    await desk.run(Scope(judgments=False))
    before = await desk.calls()
    manifest = written(desk, tmp_path / "one")
    assert manifest.requests == 2 * 2 * QUESTIONS
    results = await replies(desk, requests(tmp_path / "one"))
    report = await read_batch(desk.config(), [saved(tmp_path / "r", results[::2])])
    assert report.taken == 2 * QUESTIONS
    calls = await desk.calls() - before
    run = await desk.run()
    assert run.state.phase == "done"
    assert await desk.calls() - before == calls + 2 * QUESTIONS


async def test_files_keep_to_their_limits_and_to_one_model(desk: Desk, tmp_path: Path) -> None:
    manifest = written(desk, tmp_path / "one", Scope(judgments=False), max_requests=4)
    assert [file.requests for file in manifest.files] == [4, 2] * 3
    for file in manifest.files:
        bodies = [request["body"] for request in lines(tmp_path / "one" / file.file)]
        assert {body["model"] for body in bodies} == {file.served_name}
        assert (tmp_path / "one" / file.file).stat().st_size == file.bytes
    size = max(file.bytes for file in manifest.files) // 3
    small = written(desk, tmp_path / "two", Scope(judgments=False), max_bytes=size)
    assert all(file.bytes <= size for file in small.files)
    assert small.requests == manifest.requests
    with pytest.raises(UsageProblem, match="more than a file may have"):
        written(desk, tmp_path / "three", Scope(judgments=False), max_bytes=40)
    assert not (tmp_path / "three").exists()


async def test_custom_ids_are_accepted_by_every_service_and_unique(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", answers={"num_choices": 2})
    ids = [request["custom_id"] for request in requests(tmp_path / "one")]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9-]{1,64}", each) for each in ids)


async def test_a_folder_with_files_is_never_written_to(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one")
    with pytest.raises(UsageProblem, match="not an empty folder"):
        written(desk, tmp_path / "one")
    assert read_manifest(tmp_path / "one").requests == 3 * QUESTIONS


async def test_a_secret_of_the_config_is_never_written_into_requests(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="requests to base hold a secret in extra_headers"):
        written(desk, tmp_path / "one", answers={"extra_body": {"extra_headers": {"X-Team": "sesame-0123456789"}}})


async def test_reading_needs_the_bench_for_itself(desk: Desk, tmp_path: Path) -> None:
    file = saved(tmp_path / "r", [])
    with BenchLock(desk.bench_files().paths), pytest.raises(BenchLocked):
        await read_batch(desk.config(), [file])
    with pytest.raises(BenchError, match="no such file"):
        await read_batch(desk.config(), [tmp_path / "absent"])


async def test_a_reading_that_is_cancelled_keeps_what_it_announced(desk: Desk, tmp_path: Path) -> None:
    written(desk, tmp_path / "one", Scope(judgments=False))
    results = await replies(desk, requests(tmp_path / "one"))
    many = saved(tmp_path / "r", results + [{"custom_id": "other"}] * 2000)
    announced: list[int] = []
    reading: asyncio.Task[ReadReport]

    def progress(count: int) -> None:
        announced.append(count)
        reading.cancel()

    reading = asyncio.create_task(read_batch(desk.config(), [many], Scope(judgments=False), progress))
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert announced
    assert sum(len(desk.answers(model)) for model in ("base", "good", "poor")) == 3 * QUESTIONS


async def test_entries_of_one_server_share_files(desk: Desk, tmp_path: Path) -> None:
    entry = {"endpoints": [{"base_url": f"{desk.url}/v1"}], "model": "good"}
    document = {
        "bench": "small",
        "data": str(desk.data),
        "judge": {"model": "judge", "baseline": "base"},
        "models": {
            "base": entry,
            "brief": entry | {"system_prompt": "Be brief."},
            "elsewhere": entry | {"endpoints": [{"base_url": f"{desk.url}/other/v1"}]},
            "judge": {"endpoints": [{"base_url": f"{desk.url}/v1"}]},
        },
    }
    config = desk.parsed(document)
    manifest = write_batch(config, make_plan(config, desk.bench_files(), Scope()), tmp_path / "one")
    assert [(file.model, file.requests) for file in manifest.files] == [
        ("base", 2 * QUESTIONS),
        ("elsewhere", QUESTIONS),
    ]


async def test_a_reply_to_a_prompt_that_was_cut_is_rejected(desk: Desk, tmp_path: Path) -> None:
    long = [
        {"question_id": f"long-{n}", "turns": [{"content": f"Sum up: {'word after word ' * 300}{n}"}]} for n in range(2)
    ]
    desk.write("question.jsonl", long)
    written(desk, tmp_path / "one", Scope(judgments=False))
    results = await replies(desk, requests(tmp_path / "one"))
    for result in results[::2]:
        result["response"]["body"]["usage"] |= {"prompt_tokens": 300}  # of 900 words
    report = await read_batch(desk.config(), [saved(tmp_path / "r", results)], Scope(judgments=False))
    assert (report.taken, report.failed) == (3, {"rejected": 3})
    messages = {failure.message for failure in desk.bench_files().failures().items}
    assert messages == {"the server cut the prompt to its context: 300 prompt tokens counted for 903 words"}


async def test_a_reply_with_a_key_is_stored_and_reported_once_for_each_task(desk: Desk, tmp_path: Path) -> None:
    key = "sesame-0123456789"
    entry = {"endpoints": [{"base_url": f"{desk.url}/v1", "api_key": key}]}
    document = {
        "bench": "small",
        "data": str(desk.data),
        "judge": {"model": "judge", "baseline": "base"},
        "models": dict.fromkeys(("base", "good", "judge"), entry),
    }
    config = desk.parsed(document)
    write_batch(config, make_plan(config, desk.bench_files(), Scope(judgments=False)), tmp_path / "one")
    results = await replies(desk, requests(tmp_path / "one"))
    for result in results:
        if result["response"]["body"]["model"] == "good":
            result["response"]["body"]["choices"][0]["message"]["content"] = f"Authorization: Bearer {key}"
    report = await read_batch(config, [saved(tmp_path / "r", results)], Scope(judgments=False))
    assert report.taken == 2 * QUESTIONS
    (warning,) = report.warnings
    assert warning.startswith("good: a key of the config is in a reply (answers of good, question q")
    assert key not in warning
