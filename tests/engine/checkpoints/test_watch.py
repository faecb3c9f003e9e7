"""Checkpoints evaluated as they appear, on real processes of a fake vLLM."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from pathlib import Path
from typing import Any

import pytest
from training import Training, adapter_checkpoint, model_checkpoint

from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.checkpoints.report import CheckpointReport
from engine.checkpoints.standings import level_of
from engine.errors import BenchLocked, UsageProblem
from engine.ratings import ALPHA
from engine.ratings.stop_rule import StopRule


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


async def seen(condition: Any, seconds: float = 120.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_adapters_are_evaluated_one_after_the_other_on_one_server(training: Training) -> None:
    for step in (100, 200, 300):
        adapter_checkpoint(training.runs / f"checkpoint-{step}", step, values=bytes([step % 250] * 8))
    reports = await training.watched(like="base")
    assert [each.step for each in reports] == [300, 200, 100]
    assert {each.state for each in reports} == {"evaluated"}
    assert {each.standing.verdict for each in reports if each.standing} == {"better"}
    assert reports[0].best is None
    assert reports[1].best is not None
    assert reports[1].best.model == "base-checkpoint-300"
    assert training.starts("base") == training.starts("judge") == 1
    for each in reports:
        assert each.standing is not None
        assert each.standing.decided_after is not None
        assert each.calls < 3 * 30  # less than all questions
    shares = [ALPHA / 2, ALPHA / 6, ALPHA / 12]  # each is decided and passes its share on
    assert [each.alpha for each in reports] == pytest.approx([sum(shares[: n + 1]) for n in range(3)])


async def test_a_restart_goes_on_where_the_last_watch_was(training: Training) -> None:
    adapter_checkpoint(training.runs / "checkpoint-100")
    (first,) = await training.watched(like="base")
    assert first.calls
    judged = (training.bench / "model_judgment" / "judge" / "base-checkpoint-100.jsonl").read_bytes()
    assert await training.watched(like="base") == []
    adapter_checkpoint(training.runs / "checkpoint-200", values=b"\2" * 8)
    (second,) = await training.watched(like="base")
    assert second.best is not None
    assert second.best.model == "base-checkpoint-100"
    assert second.alpha == pytest.approx(ALPHA / 2 + ALPHA / 6), "it knows that the first was decided"
    assert (training.bench / "model_judgment" / "judge" / "base-checkpoint-100.jsonl").read_bytes() == judged


async def test_what_the_bench_lost_is_made_again_since_nothing_else_is_remembered(training: Training) -> None:
    adapter_checkpoint(training.runs / "checkpoint-100")
    await training.watched(like="base")
    file = training.bench / "model_judgment" / "judge" / "base-checkpoint-100.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]))
    (again,) = await training.watched(like="base")
    assert again.state == "evaluated"
    assert again.calls < 2 * len(lines)  # the answers are kept
    assert len(file.read_text().splitlines()) >= 18


async def test_each_checkpoint_has_the_whole_error_where_the_rule_says_so(training: Training) -> None:
    for step in (100, 200):
        adapter_checkpoint(training.runs / f"checkpoint-{step}", step, values=bytes([step] * 8))
    reports = await training.watched(like="base", until="decided,per-model")
    assert [each.alpha for each in reports] == [ALPHA, ALPHA]


def test_a_checkpoint_that_is_not_decided_keeps_its_share_of_the_error() -> None:
    rule, order = StopRule(decided=True), ["a", "b", "c"]
    undecided = [level_of(rule, model, order, {"a": False}) for model in order]
    assert undecided == pytest.approx([ALPHA / 2, ALPHA / 6, ALPHA / 12])
    assert level_of(rule, "c", order, {"a": True, "b": False}) == pytest.approx(ALPHA / 12)
    assert level_of(rule, "c", order, {"a": False, "b": True}) == pytest.approx(ALPHA / 6 + ALPHA / 12)
    assert level_of(rule, "alone", (), {}) == ALPHA


async def test_another_rule_evaluates_further(training: Training) -> None:
    adapter_checkpoint(training.runs / "checkpoint-100")
    (first,) = await training.watched(like="base")
    (second,) = await training.watched(like="base", until="ci:5")
    assert first.standing is not None
    assert second.standing is not None
    assert second.standing.questions == 30 > first.standing.questions


async def test_a_model_has_a_server_of_its_own_beside_that_of_the_judge(training: Training) -> None:
    for step in (1, 2):
        model_checkpoint(training.runs / f"global_step{step}", values=bytes([step] * 8))
    reports = await training.watched(like="base")
    assert [(each.kind, each.state) for each in reports] == [("model", "evaluated")] * 2
    assert training.starts("judge") == 1
    for step in (1, 2):
        assert len((training.runs / f"global_step{step}" / "starts").read_text().splitlines()) == 1


async def test_where_servers_do_not_fit_beside_each_other_each_run_starts_its_own(training: Training) -> None:
    for entry in training.models.values():
        entry["serve"] = {"args": []}  # each takes the whole machine
    model_checkpoint(training.runs / "step_1")
    (report,) = await training.watched(like="base")
    assert report.state == "evaluated", report
    assert training.starts("judge") == 1


async def test_a_deleted_checkpoint_keeps_its_result_and_its_step(training: Training) -> None:
    first = adapter_checkpoint(training.runs / "checkpoint-best", 500)
    await training.watched(like="base")
    shutil.rmtree(first)
    adapter_checkpoint(training.runs / "checkpoint-600", values=b"\3" * 8)
    (report,) = await training.watched(like="base")
    assert report.best is not None
    assert (report.best.model, report.best.step) == ("base-checkpoint-best", 500)


async def test_a_model_deleted_before_its_server_loaded_it_is_one_line_and_the_watch_goes_on(
    training: Training,
) -> None:
    slow = model_checkpoint(training.runs / "checkpoint-2", stage_seconds=1.0)
    model_checkpoint(training.runs / "checkpoint-1", values=b"\1" * 8)
    watch = training.watch(like="base")
    running = asyncio.create_task(watch.run())
    await seen((slow / "starts").exists)
    shutil.rmtree(slow)
    async with asyncio.timeout(120):
        await running
    reports = [event for event in training.events if isinstance(event, CheckpointReport)]
    assert [(each.step, each.state) for each in reports] == [(2, "deleted"), (1, "evaluated")]
    assert "deleted" in reports[0].message
    assert watch.best == "base-checkpoint-1"


async def test_a_checkpoint_deleted_under_its_calls_is_evaluated_from_memory(tmp_path: Path) -> None:
    training = Training(tmp_path, latency=0.1)
    folder = adapter_checkpoint(training.runs / "checkpoint-2")
    watch = training.watch(like="base")
    running = asyncio.create_task(watch.run())
    await seen(lambda: training.lines("model_answer/base-checkpoint-2.jsonl"))
    shutil.rmtree(folder)
    async with asyncio.timeout(120):
        await running
    (report,) = (event for event in training.events if isinstance(event, CheckpointReport))
    assert report.state == "evaluated", report


async def test_an_incomplete_checkpoint_and_shards_are_said_once_and_left(training: Training) -> None:
    half = model_checkpoint(training.runs / "checkpoint-1")
    (half / "model.safetensors").write_bytes((half / "model.safetensors").read_bytes()[:-1])
    sharded = training.runs / "checkpoint-2"
    (sharded / "global_step2").mkdir(parents=True)
    (sharded / "global_step2" / "mp_rank_00_model_states.pt").touch()
    assert await training.watched(like="base") == []
    assert [each.split(":")[0] for each in sorted(training.said)] == ["checkpoint-1", "checkpoint-2"]
    assert "as its header says" in sorted(training.said)[0]
    assert "zero_to_fp32" in sorted(training.said)[1]


async def test_a_checkpoint_is_taken_as_soon_as_it_is_complete_and_a_stop_ends_the_watch(training: Training) -> None:
    watch = training.watch(like="base", once=False)
    running = asyncio.create_task(watch.run())
    folder = model_checkpoint(training.runs / "checkpoint-1")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-4])
    await asyncio.sleep(0.5)
    assert watch.reports == {}
    (folder / "model.safetensors").write_bytes(whole)
    await seen(lambda: any(isinstance(event, CheckpointReport) for event in training.events))
    watch.stop()
    async with asyncio.timeout(60):
        await running
    assert [each.state for each in watch.reports.values()] == ["evaluated"]


async def test_a_stop_in_the_middle_is_resumed(tmp_path: Path) -> None:
    training = Training(tmp_path, latency=0.1)
    adapter_checkpoint(training.runs / "checkpoint-1")
    watch = training.watch(like="base")
    running = asyncio.create_task(watch.run())
    await seen(lambda: training.lines("model_answer/base-checkpoint-1.jsonl"))
    watch.stop()
    async with asyncio.timeout(60):
        await running
    assert [each.state for each in watch.reports.values()] == ["interrupted"]
    kept = len(training.lines("model_answer/base-checkpoint-1.jsonl"))
    (report,) = await training.watched(like="base")
    assert report.state == "evaluated"
    answers = [each["question_id"] for each in training.lines("model_answer/base-checkpoint-1.jsonl")]
    judged = training.lines("model_judgment/judge/base-checkpoint-1.jsonl")
    assert len(answers) == len(set(answers)) > kept
    assert report.calls < len(answers) + 2 * len(judged)


async def test_no_server_is_started_while_another_program_holds_the_lock(training: Training, tmp_path: Path) -> None:
    adapter_checkpoint(training.runs / "checkpoint-1")
    lock = tmp_path / "gpu.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        watch = training.watch(like="base", lock=lock)
        running = asyncio.create_task(watch.run())
        await seen(lambda: watch.reports)
        await asyncio.sleep(1.0)
        assert training.starts("judge") == training.starts("base") == 0
    async with asyncio.timeout(120):
        await running
    assert training.starts("base") == 1


async def test_other_weights_in_the_same_folder_are_another_checkpoint(training: Training) -> None:
    folder = adapter_checkpoint(training.runs / "checkpoint-1")
    await training.watched(like="base")
    adapter_checkpoint(folder, values=b"\7" * 8)
    (report,) = await training.watched(like="base")
    assert report.model == "base-checkpoint-1@2"
    assert len(training.lines("watch.jsonl")) == 2


async def test_further_questions_decide_against_the_best_so_far(tmp_path: Path) -> None:
    training = Training(tmp_path, questions=60, prefers="checkpoint-2")
    (training.bench / "model_answer" / "base.jsonl").write_text(
        (training.bench / "model_answer" / "base.jsonl").read_text().replace("of the base", "of checkpoint-2, too")
    )
    adapter_checkpoint(training.runs / "checkpoint-1")
    adapter_checkpoint(training.runs / "checkpoint-2", values=b"\2" * 8)
    first, second = await training.watched(like="base", order="oldest", until="calls:20", until_best="decided")
    assert first.standing is not None
    assert second.best is not None
    assert second.best.standing.verdict == "better", second.best
    assert len(training.lines("model_judgment/judge/base-checkpoint-1.jsonl")) > first.standing.questions


async def test_judges_on_the_server_of_an_adapter_wait_where_it_mixes_them_up(tmp_path: Path) -> None:
    training = Training(tmp_path, judge="base", mixes_up=True, latency=0.02, prefers="checkpoint")
    adapter_checkpoint(training.runs / "checkpoint-1")
    (report,) = await training.watched(like="base")
    assert report.state == "evaluated", report
    assert any("a known fault of vLLM" in text for text in training.said)
    assert report.standing is not None
    assert report.standing.verdict == "better"
    assert report.standing.score == 100.0


async def test_a_broken_checkpoint_is_reported_and_the_next_one_is_evaluated(training: Training) -> None:
    broken = adapter_checkpoint(training.runs / "checkpoint-2")
    (broken / "broken").touch()
    adapter_checkpoint(training.runs / "checkpoint-1", values=b"\1" * 8)
    reports = await training.watched(like="base")
    assert {each.step: each.state for each in reports} == {1: "evaluated", 2: "failed"}
    assert "size mismatch" in next(each.message for each in reports if each.step == 2)


async def test_what_failed_is_tried_again_later(training: Training) -> None:
    folder = adapter_checkpoint(training.runs / "checkpoint-1")
    (folder / "broken").touch()
    watch = training.watch(like="base", once=False, retry_seconds=0.5)
    running = asyncio.create_task(watch.run())
    await seen(lambda: [event for event in training.events if isinstance(event, CheckpointReport)])
    (folder / "broken").unlink()
    await seen(lambda: any(each.state == "evaluated" for each in watch.reports.values()))
    watch.stop()
    await running
    reports = [event for event in training.events if isinstance(event, CheckpointReport)]
    assert [each.state for each in reports] == ["failed", "evaluated"]


async def test_a_busy_bench_is_waited_for(training: Training) -> None:
    adapter_checkpoint(training.runs / "checkpoint-1")
    with BenchLock(BenchPaths(training.bench)):
        running = asyncio.create_task(training.watch(like="base").run())
        await seen(lambda: any("waiting until the bench is free" in text for text in training.said))
    async with asyncio.timeout(120):
        await running
    assert [event.state for event in training.events if isinstance(event, CheckpointReport)] == ["evaluated"]


async def test_one_watch_at_a_time_works_on_a_bench(training: Training) -> None:
    watch = training.watch(like="base", once=False)
    running = asyncio.create_task(watch.run())
    await seen((training.bench / ".watch.lock").exists)
    await asyncio.sleep(0.2)
    with pytest.raises(BenchLocked, match="another process watches"):
        await training.watch(like="base").run()
    watch.stop()
    await running


async def test_it_is_said_which_entry_is_missing(training: Training) -> None:
    model_checkpoint(training.runs / "checkpoint-1")
    training.models["other"] = training.models["base"]
    (report,) = await training.watched()
    assert report.state == "failed"
    assert "base, other" in report.message
    with pytest.raises(UsageProblem, match="compared with the baseline"):
        training.watch(until="decided:base")


async def test_answers_of_the_baseline_come_first_once(training: Training) -> None:
    file = training.bench / "model_answer" / "base.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:10]))
    adapter_checkpoint(training.runs / "checkpoint-1")
    (report,) = await training.watched(like="base")
    assert report.state == "evaluated"
    assert len(training.lines("model_answer/base.jsonl")) == 30
    assert any("come first: 20 calls" in text for text in training.said)
