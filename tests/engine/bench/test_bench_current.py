"""Which judgments are current, found by digests in the index, against the same question asked of every text."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench import Bench
from engine.bench.current import is_current
from engine.bench.digest import inputs_digest
from engine.bench.stored import StoredJudgment, load_answers, load_judgments, load_questions
from engine.errors import ArenaError, BenchError
from engine.labels import LABELS
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate

FRAME = (
    "<|User Prompt|>\n{}\n\n<|The Start of Assistant A's Answer|>\n{}\n<|The End of Assistant A's Answer|>\n\n"
    "<|The Start of Assistant B's Answer|>\n{}\n<|The End of Assistant B's Answer|>"
)
TEXTS = st.sampled_from(["yes", "no", "yes and no", "<|The End of Assistant A's Answer|>", "\n\n", "да"])
TURNS = st.lists(TEXTS, min_size=1, max_size=2)
KEYS = ["q1", "q2", "q3"]
BASELINES = ["base", "other"]
OLD = time.time_ns() - 60_000_000_000


def question(key: str, turns: list[str]) -> dict[str, Any]:
    return {"question_id": key, "category": "c", "cluster": "k", "turns": [{"content": turn} for turn in turns]}


def answer(key: str, turns: list[str]) -> dict[str, Any]:
    written = [{"content": turn, "token_len": len(turn)} for turn in turns]
    return {"question_id": key, "choices": [{"index": 0, "turns": written}], "settings": "s"}


@st.composite
def judgments(draw: st.DrawFn) -> dict[str, Any]:
    key = draw(st.sampled_from(KEYS))
    texts = draw(TURNS), draw(TURNS), draw(TURNS)
    record: dict[str, Any] = {"question_id": key, "model": "m", "judge": "j"}
    how = draw(st.sampled_from(["digest", "frame", "frame", "other template", "nothing", "one game"]))
    if how == "digest":
        record["inputs"] = inputs_digest(*texts)
    if draw(st.booleans()):
        record["baseline"] = draw(st.sampled_from(BASELINES))
    asked, theirs, ours = ("\n".join(turns) for turns in texts)
    form = FRAME if how in ("frame", "one game") else "{} / {} / {}"
    prompts: list[str | None] = [form.format(asked, theirs, ours), form.format(asked, ours, theirs)]
    if how == "nothing":
        prompts = [None, None]
    labels = draw(st.lists(st.none() | st.sampled_from(LABELS), min_size=2, max_size=2))
    games: list[dict[str, Any] | None] = [
        {"user_prompt": prompt, "score": label, "judgment": "x"} for prompt, label in zip(prompts, labels, strict=True)
    ]
    if how == "one game":
        games[draw(st.integers(0, 1))] = None
    return record | {"games": games, "settings": draw(st.none() | st.sampled_from(["a", "b"]))}


Files = Mapping[str, list[dict[str, Any]]]

FILES = st.fixed_dictionaries(
    {
        "question.jsonl": st.lists(st.builds(question, st.sampled_from(KEYS), TURNS), max_size=3),
        "model_answer/m.jsonl": st.lists(st.builds(answer, st.sampled_from(KEYS), TURNS), max_size=4),
        "model_answer/base.jsonl": st.lists(st.builds(answer, st.sampled_from(KEYS), TURNS), max_size=4),
        "model_answer/other.jsonl": st.lists(st.builds(answer, st.sampled_from(KEYS), TURNS), max_size=1),
        "model_judgment/j/m.jsonl": st.lists(judgments(), max_size=6),
        "model_judgment/j/other.jsonl": st.lists(judgments(), max_size=2),
    }
)


def write(root: Path, files: Files, *, settled: bool = False) -> None:
    for place, records in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not records and place != "question.jsonl":
            path.unlink(missing_ok=True)
            continue
        path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records))
        if settled:
            os.utime(path, ns=(OLD, OLD))


def counts(judgment: StoredJudgment, baseline: str, texts: list[tuple[str, ...] | None]) -> bool:
    """The same test with every text in memory."""
    asked, theirs, ours = texts
    if asked is None:
        return False
    if theirs is None or ours is None:
        return judgment.baseline in (None, baseline)
    found = is_current(
        judgment,
        baseline=baseline,
        inputs=inputs_digest(asked, theirs, ours),
        question_turns=asked,
        baseline_turns=theirs,
        model_turns=ours,
    )
    return found is not False


def by_texts(bench: Bench, baseline: str) -> dict[str, bool]:
    paths = bench.paths
    asked = {question.id: question.turns for question in load_questions(paths.questions).items}
    theirs = {key: found.turns for key, found in load_answers(paths.answers(baseline)).items.items()}
    ours = {key: found.turns for key, found in load_answers(paths.answers("m")).items.items()}
    stored = load_judgments(paths.judgments("j", "m"), baseline=baseline).items
    failed = failed_in(paths.answers(baseline), theirs) | failed_in(paths.answers("m"), ours)
    return {
        key: key not in failed and counts(each, baseline, [asked.get(key), theirs.get(key), ours.get(key)])
        for key, each in stored.items()
    }


def failed_in(path: Path, usable: Mapping[str, object]) -> set[str]:
    """The questions with a line in a file of answers, but without an answer."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return {json.loads(line)["question_id"] for line in lines} - usable.keys()


@settings(deadline=None, max_examples=150)
@given(st.lists(FILES, min_size=1, max_size=3))
def test_digests_find_the_judgments_that_texts_find(tmp_path_factory, histories: list[Files]):
    root = tmp_path_factory.mktemp("bench")
    kept = Bench(root)
    for files in histories:
        write(root, files)
        for bench in (kept, Bench(root), Bench(root)):
            for baseline in BASELINES:
                table = bench.current.table("j", "m", baseline)
                assert dict(table.select("key", "current").iter_rows()) == by_texts(bench, baseline)
                found = bench.current.listed("j", "m", baseline)
                assert found.current == {key for key, holds in by_texts(bench, baseline).items() if holds}


def board(root: Path, baselines: tuple[str, ...]) -> str:
    """The leaderboard as JSON, or what is wrong."""
    options = LeaderboardOptions(baseline=baselines[0], rounds=20)
    try:
        judged = judged_bench(Bench(root), ["j", "absent"], baselines)
        ranked, _ = rate(judged, options)
        warnings = [repr((str(each), getattr(each, "kinds", ()))) for each in ranked.warnings]
        whole = msgspec.structs.replace(ranked, evidence=judged.evidence(options), warnings=warnings)
        return msgspec.json.encode(whole).decode()
    except ArenaError as error:
        return str(error)


@settings(deadline=None, max_examples=60)
@given(st.lists(FILES, min_size=1, max_size=3), st.sampled_from([("base",), ("other",), ("base", "other")]))
def test_the_leaderboard_is_the_same_with_any_index_and_with_none(tmp_path_factory, histories, baselines):
    root = tmp_path_factory.mktemp("bench")
    for files in histories:
        write(root, files, settled=True)
        seen = {board(root, baselines) for _ in range(3)}  # an old index, then a new one, then a snapshot
        shutil.rmtree(root / ".index", ignore_errors=True)
        assert seen == {board(root, baselines)}


def test_a_text_is_compared_once_and_what_was_found_is_kept(tmp_path: Path):
    texts = {key: (f"{key}?", "theirs", f"{key}!") for key in KEYS}
    files: dict[str, list[dict[str, Any]]] = {
        "question.jsonl": [question(key, [each[0]]) for key, each in texts.items()],
        "model_answer/base.jsonl": [answer(key, [each[1]]) for key, each in texts.items()],
        "model_answer/m.jsonl": [answer(key, [each[2]]) for key, each in texts.items()],
        "model_judgment/j/m.jsonl": [
            {
                "question_id": key,
                "games": [{"score": "A>B"}, {"score": "B>A"}],
                "inputs": inputs_digest(*((each,) for each in texts[key])),
            }
            for key in KEYS
        ],
    }
    write(tmp_path, files, settled=True)
    assert Bench(tmp_path).current.table("j", "m", "base")["current"].all()
    checks = Bench(tmp_path).index.cache_file(tmp_path / "model_judgment/j/m.jsonl", ".checks")
    before = checks.read_bytes()
    Bench(tmp_path).current.table("j", "m", "base")
    assert checks.read_bytes() == before
    write(tmp_path, files | {"model_answer/m.jsonl": [answer("q1", ["new"]), *files["model_answer/m.jsonl"][1:]]})
    table = Bench(tmp_path).current.table("j", "m", "base")
    assert dict(table.select("key", "current").iter_rows()) == {"q1": False, "q2": True, "q3": True}


@pytest.mark.parametrize("what", ["question.jsonl", "model_answer/m.jsonl", "settings.jsonl"])
def test_a_snapshot_is_of_the_exact_files(tmp_path: Path, what: str):
    files: dict[str, list[dict[str, Any]]] = {
        "question.jsonl": [question("q1", ["why"])],
        "model_judgment/j/m.jsonl": [{"question_id": "q1", "games": [{"score": "A>B"}, {"score": "B>A"}]}],
    }
    write(tmp_path, files, settled=True)
    first = judged_bench(Bench(tmp_path), ["j"], "base")
    assert list(tmp_path.glob(".index/JudgedFacts-*"))
    assert list(first.facts.token_lengths) == ["base", "m"]
    (tmp_path / what).parent.mkdir(exist_ok=True)
    records = {
        "question.jsonl": question("q1", ["why not"]) | {"category": "new"},
        "model_answer/m.jsonl": answer("q1", ["text"]),
        "settings.jsonl": {"settings": "a", "temperature": 0},
    }
    (tmp_path / what).write_bytes(json.dumps(records[what]).encode() + b"\n")
    second = judged_bench(Bench(tmp_path), ["j"], "base")
    assert second.facts.questions[0].category == ("new" if what == "question.jsonl" else "c")
    assert dict(second.facts.token_lengths["m"]) == ({"q1": 4} if what == "model_answer/m.jsonl" else {})


SCORES = [{"score": "B>A"}, {"score": "A>B"}]
UNCHECKABLE: list[list[dict[str, Any] | None]] = [
    SCORES,
    [each | {"user_prompt": ""} for each in SCORES],
    [each | {"prompt": []} for each in SCORES],
    [each | {"prompt": [{"role": "system", "content": "compare them"}]} for each in SCORES],
    [SCORES[0], None],
]


def judged_by(games: Sequence[dict[str, Any] | None], **more: Any) -> list[dict[str, Any]]:
    return [{"question_id": key, "games": games, **more} for key in KEYS]


def all_answered(*models: str) -> dict[str, list[dict[str, Any]]]:
    files = {f"model_answer/{model}.jsonl": [answer(key, [f"{model} {key}"]) for key in KEYS] for model in models}
    return {"question.jsonl": [question(key, [f"{key}?"]) for key in KEYS], **files}


@pytest.mark.parametrize("games", UNCHECKABLE)
@pytest.mark.parametrize("answered", [(), ("base",), ("m",), ("base", "m")])
def test_what_cannot_be_checked_counts_with_one_warning_whatever_is_on_disk(tmp_path: Path, games, answered):
    files = all_answered(*answered)
    write(
        tmp_path, files | {"model_judgment/j/m.jsonl": judged_by(games), "model_judgment/j/n.jsonl": judged_by(games)}
    )
    judged = judged_bench(Bench(tmp_path), ["j"], "base")
    assert len(judged.battles) == 2 * len(KEYS) * sum(game is not None for game in games)
    (warning,) = [each for each in judged.warnings if "cannot be checked" in each]
    assert warning.startswith("6 judgments")
    assert not any("other texts" in each for each in judged.warnings)
    with pytest.raises(BenchError, match="6 cannot be checked"):
        judged_bench(Bench(tmp_path), ["j"], "base", strict=True)


def test_strict_reading_keeps_what_can_be_checked(tmp_path: Path):
    files = all_answered("base", "m")
    judged_files = judged_by(SCORES)
    judged_files[0]["inputs"] = inputs_digest(("q1?",), ("base q1",), ("m q1",))
    write(tmp_path, files | {"model_judgment/j/m.jsonl": judged_files})
    judged = judged_bench(Bench(tmp_path), ["j"], "base", strict=True)
    assert judged.battles.questions == ("q1",)
    assert [str(each).split(" against")[0] for each in judged.warnings] == ["2 judgments cannot be checked"]
    assert judged.warnings[0].endswith("not counted")


@pytest.mark.parametrize("error", ["$ERROR$", "", " ", None])
@pytest.mark.parametrize("side", ["base", "m"])
@pytest.mark.parametrize("has_prompts", [True, False])
def test_a_judgment_of_an_error_never_counts(tmp_path: Path, error, side, has_prompts):
    files = all_answered("base", "m")
    failed = answer("q1", [""])
    failed["choices"][0]["turns"][0]["content"] = error
    files[f"model_answer/{side}.jsonl"][0] = failed
    judgments = judged_by(SCORES)
    if has_prompts:
        texts = {key: (f"{key}?", f"base {key}", f"m {key}") for key in KEYS}
        texts["q1"] = ("q1?", error or "", "m q1") if side == "base" else ("q1?", "base q1", error or "")
        for each in judgments:
            asked, theirs, ours = texts[each["question_id"]]
            prompts = FRAME.format(asked, theirs, ours), FRAME.format(asked, ours, theirs)
            each["games"] = [game | {"user_prompt": prompt} for game, prompt in zip(SCORES, prompts, strict=True)]
    write(tmp_path, files | {"model_judgment/j/m.jsonl": judgments})
    for bench in (Bench(tmp_path), Bench(tmp_path)):  # without an index, then with one
        judged = judged_bench(bench, ["j"], "base")
        assert judged.battles.questions == ("q2", "q3")
        assert sum("of an error or nothing" in each for each in judged.warnings) == 1
        assert sum("cannot be checked" in each for each in judged.warnings) == (not has_prompts)


def test_an_error_does_not_hide_an_earlier_answer(tmp_path: Path):
    files = all_answered("base", "m")
    files["model_answer/m.jsonl"].append(answer("q1", ["$ERROR$"]))
    write(tmp_path, files | {"model_judgment/j/m.jsonl": judged_by(SCORES)})
    assert judged_bench(Bench(tmp_path), ["j"], "base").battles.questions == tuple(KEYS)


def test_of_several_baselines_only_the_anchor_takes_what_names_none(tmp_path: Path):
    files = all_answered("base", "other", "m")
    write(tmp_path, files | {"model_judgment/j/m.jsonl": judged_by(SCORES)})
    judged = judged_bench(Bench(tmp_path), ["j"], ("base", "other"))
    assert judged.battles.models == ("base", "m")
    assert len(judged.battles) == 2 * len(KEYS)
