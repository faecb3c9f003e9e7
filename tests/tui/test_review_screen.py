"""Review by keyboard: blind until the vote, every key on disk, undo, notes, progress, agreement, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judged_bench import LABELS, answer, make_bench, opened, painted, settle, until, write
from textual.pilot import Pilot

from arena_tui.app import ArenaApp
from arena_tui.judgments.page import ReadingPane
from arena_tui.theme import inks
from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return make_bench(tmp_path)


def lines(bench: Path, reviewer: str = "anna") -> list[dict[str, Any]]:
    file = bench / "review" / f"{reviewer}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def everything(app: ArenaApp) -> str:
    """What can be seen or scrolled to."""
    pane = app.screen.query_one(ReadingPane)
    page = pane.page
    rows = [page.row(y, inks(app)).text for y in range(page.height)] if page is not None else []
    return "\n".join([painted(app), *rows])


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def shown_pair(app: ArenaApp) -> tuple[str, str]:
    review = app.screen.review  # type: ignore[attr-defined]
    assert review is not None
    assert review.pair is not None
    return review.pair


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_names_order_and_verdict_are_hidden_until_the_vote(bench: Path, tmp_path: Path, size: tuple[int, int]):
    async with opened(tmp_path, "review", size) as (app, pilot):
        hidden = everything(app)
        assert "0 of 6 sampled" in hidden
        for secret in ("good-model", "bad-model", "game 1", "verdict", "tokens", "thought about"):
            assert secret not in hidden
        assert "Answer A" in hidden
        assert "Answer B" in hidden
        _, model = shown_pair(app)
        await press(pilot, "a")
        told = everything(app)
        assert "1 of 6 sampled" in told
        assert model in told
        assert "My final verdict is" in told
        assert "you: A>B" in told


async def test_the_label_on_disk_means_what_was_on_the_screen(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        for key, label in {"a": "A>B", "A": "A>>B", "t": "A=B", "b": "B>A", "B": "B>>A", "equals_sign": "A=B"}.items():
            question_id, model = shown_pair(app)
            rows = everything(app).splitlines()
            a_is_base = any("The answer of base" in row.split("│")[0] for row in rows if "│" in row)
            await press(pilot, key)
            line = lines(bench)[-1]
            assert (line["question_id"], line["model"], line["label"]) == (question_id, model, label)
            assert line["game"] == (1 if a_is_base else 2)
            assert (line["judge"], line["baseline"], line["reviewer"]) == ("the-judge", "base", "anna")
            await press(pilot, "enter")
        assert "6 of 6 sampled" in painted(app)
        assert "All pairs are reviewed" in painted(app)
        assert {line["game"] for line in lines(bench)} == {1, 2}


async def test_labels_are_kept_when_the_review_is_opened_again(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "a", "enter", "t", "enter", "B")
        pair = shown_pair(app)
    async with opened(tmp_path, "review") as (app, pilot):
        assert "3 of 6 sampled" in painted(app)
        assert shown_pair(app) != pair
        assert "Answer A" in everything(app)
        assert len(lines(bench)) == 3


async def test_a_key_pressed_twice_is_one_vote(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await pilot.press("a", "a", "a")
        await settle(pilot)
        assert [line["label"] for line in lines(bench)] == ["A>B"]
        assert "1 of 6 sampled" in painted(app)


async def test_a_label_is_changed_in_place_and_undo_takes_back_that_change_alone(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        first = shown_pair(app)
        await press(pilot, "a", "enter", "t", "left")
        assert shown_pair(app) == first
        await press(pilot, "B")
        assert "you: B>>A" in painted(app)
        review = app.screen.review  # type: ignore[attr-defined]
        assert review.labels[first].label == "B>>A"
        assert "2 of 6 sampled" in painted(app)
        await press(pilot, "right", "u")
        assert shown_pair(app) == first, "it goes to the pair that changes"
        assert "B>>A undone, A>B again" in painted(app)
        assert sorted(label.label for label in review.labels.values()) == ["A=B", "A>B"]
    async with opened(tmp_path, "review") as (app, pilot):
        labels = app.screen.review.labels  # type: ignore[attr-defined]
        assert labels[first].label == "A>B", "also when the file is read again"


async def test_agreement_is_hidden_while_a_pair_is_blind(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "a")
        assert "of 1 =" in painted(app)
        await press(pilot, "enter")
        assert "of 1 =" not in painted(app)
        assert "is hidden until this pair is labelled" in painted(app)


async def test_both_answers_stand_side_by_side_at_80_columns(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review", (80, 24)) as (app, pilot):
        await until(pilot, lambda: "Answer A" in painted(app))
        line = next(line for line in painted(app).splitlines() if "Answer A" in line)
        assert "Answer B" in line
        assert "a or A (much), t tie, b or B (much), 0 skips" in painted(app)


async def test_a_filter_restricts_the_sample_and_says_so(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "f", "space", "escape")  # flips
        assert "0 of 1 sampled" in painted(app)
        assert "filtered: no fair sample" in painted(app)
        await press(pilot, "x")
        assert "0 of 6 sampled" in painted(app)
        await press(pilot, "f", "space", "down", "space", "escape")
        assert "No judgment matches the filter" in everything(app)


async def test_a_vote_in_the_viewer_counts_as_the_readers_but_not_in_agreement(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await press(pilot, "enter")
        pair = app.screen.row.pair  # type: ignore[attr-defined]
        await press(pilot, "B")
        (line,) = lines(bench)
        assert (line["question_id"], line["model"]) == pair
        assert (line["label"], line["game"], line["seen"]) == ("B>>A", 1, True)
        assert "you: B>>A, model much better" in painted(app)
        await press(pilot, "t")
        assert "you: A=B" in painted(app)
        await press(pilot, "u")
        assert "you: B>>A" in painted(app)
        await press(pilot, "escape", "4")
        await until(pilot, lambda: "1 of 6 sampled" in painted(app))
        assert app.screen.review.agreement() is None  # type: ignore[attr-defined]
        await settle(pilot)


async def test_a_skip_goes_to_the_next_pair_without_revealing_or_a_label(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        pair = shown_pair(app)
        await press(pilot, "0")
        assert shown_pair(app) != pair
        (line,) = lines(bench)
        assert (line["label"], line["skipped"]) == (None, True)
        assert "1 of 6 sampled, 1 skipped" in painted(app)
        assert "after the first vote" in painted(app)


async def test_undo_takes_back_the_last_word_and_hides_the_pair_again(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        pair = shown_pair(app)
        await press(pilot, "A", "enter", "0", "u", "u")
        assert shown_pair(app) == pair
        assert "0 of 6 sampled" in painted(app)
        assert pair[1] not in everything(app)
        assert [line.get("undone", False) for line in lines(bench)] == [False, False, True, True]
        await press(pilot, "u", "b")
        assert lines(bench)[-1]["label"] == "B>A"


async def test_undo_reaches_back_to_an_earlier_session(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        pair = shown_pair(app)
        await press(pilot, "t")
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "u")
        assert shown_pair(app) == pair
        assert "0 of 6 sampled" in painted(app)


async def test_a_note_is_kept_with_the_label_whether_it_comes_before_or_after(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "w", *"ab", "enter")
        assert "note: ab" in painted(app)
        assert lines(bench) == []
        await press(pilot, "A")
        assert lines(bench)[-1]["note"] == "ab"
        await press(pilot, "enter", "t", "w", *"later", "enter")
        assert [line["note"] for line in lines(bench)] == ["ab", "", "later"]
        assert lines(bench)[-1]["label"] == "A=B"
        assert "note: later" in painted(app)
        await press(pilot, "w", "x", "escape")
        assert lines(bench)[-1]["note"] == "later"


async def test_agreement_with_the_judge_is_counted_live(bench: Path, tmp_path: Path):
    """Vote as the judge did over both games on all six: the flip and the half-told tie count as ties."""
    meant = {("good-model", "q1"): "win", ("bad-model", "q1"): "loss", ("bad-model", "q2"): "loss"}
    meant |= {("bad-model", "q3"): "loss"}
    async with opened(tmp_path, "review") as (app, pilot):
        for _ in LABELS:
            question_id, model = shown_pair(app)
            wanted = meant.get((model, question_id), "tie")
            game = app.screen.review.game  # type: ignore[attr-defined]
            model_is = "b" if game == 1 else "a"
            other = "a" if model_is == "b" else "b"
            await press(pilot, {"win": model_is, "loss": other, "tie": "t"}[wanted])
            assert "you agree" in painted(app)
            await press(pilot, "enter")
        assert "6 of 6 = 100%" in painted(app)
        assert "kappa 1.00" in painted(app)
        await press(pilot, "u", "b")
        assert "5 of 6 = 83%" in painted(app)


async def test_with_reveal_off_the_next_pair_comes_at_once(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        await press(pilot, "V")
        pair = shown_pair(app)
        await press(pilot, "a")
        assert shown_pair(app) != pair
        assert "good-model" not in everything(app)
        await press(pilot, "b", "t")
        assert "3 of 6 sampled" in painted(app)


async def test_one_can_go_back_and_look_again(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        first = shown_pair(app)
        await press(pilot, "left", "a", "enter", "left")
        assert shown_pair(app) == first
        assert first[1] in everything(app)
        await press(pilot, "right")
        assert "Answer A" in everything(app)


async def test_answers_can_be_compared_before_anybody_judged_them(tmp_path: Path):
    bench = make_bench(tmp_path, judged=False)
    async with opened(tmp_path, "review") as (app, pilot):
        assert "0 of 6 sampled" in painted(app)
        assert "no judgments to compare with" in painted(app)
        await press(pilot, "b")
        assert lines(bench)[-1]["judge"] is None
        assert lines(bench)[-1]["baseline"] == "base"


async def test_with_nothing_to_review_it_says_what_to_do(tmp_path: Path):
    bench = make_bench(tmp_path, judged=False)
    for file in (bench / "model_answer").iterdir():
        file.unlink()
    async with opened(tmp_path, "review") as (app, pilot):
        assert "nothing to review yet" in painted(app)
        await press(pilot, "a", "0", "u", "w", "enter", "m", "V", "y", "left", "plus")
        assert lines(bench) == []


async def test_another_process_that_writes_to_the_bench_does_not_keep_one_from_reviewing(bench: Path, tmp_path: Path):
    with BenchLock(BenchPaths(bench)):
        async with opened(tmp_path, "review") as (app, pilot):
            assert "READ-ONLY" in painted(app)
            await press(pilot, "a")
            assert len(lines(bench)) == 1


async def test_a_full_disk_is_reported_and_the_label_does_not_count(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "review") as (app, pilot):
        (bench / "review").write_text("in the way of the folder")
        await press(pilot, "a")
        assert "0 of 6 sampled" in painted(app)
        assert any("cannot be written" in notice.message for notice in app._notifications)
        (bench / "review").unlink()
        await press(pilot, "a")
        assert "1 of 6 sampled" in painted(app)


async def test_a_sample_grows_when_more_is_wanted(tmp_path: Path):
    bench = make_bench(tmp_path)
    questions = [f"n{number}" for number in range(120)]
    for key in questions:
        write(bench / "question.jsonl", {"question_id": key, "turns": [{"content": f"Question {key}"}]})
        for model in ("base", "good-model"):
            write(bench / "model_answer" / f"{model}.jsonl", answer(model, key, f"{model} on {key}"))
    games = [{"user_prompt": "p", "judgment": "[[A>B]]", "score": "A>B"}] * 2
    records = [
        {"question_id": key, "model": "good-model", "judge": "the-judge", "games": games, "baseline": "base"}
        for key in questions
    ]
    write(bench / "model_judgment/the-judge/good-model.jsonl", *records)
    async with opened(tmp_path, "review") as (app, pilot):
        await until(pilot, lambda: "of 100 sampled" in painted(app) or "of 99 sampled" in painted(app))
        await press(pilot, "a")
        await press(pilot, "plus")
        assert "1 of 126 sampled" in painted(app)
