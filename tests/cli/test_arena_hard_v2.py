"""Arena-Hard v2.0: a baseline for each category, from the import to the leaderboard, and back by an export."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arena_tui.cli import main

O3, GEMINI = "o3-mini-2025-01-31", "gemini-2.0-flash-001"
BASELINES = {"hard_prompt": O3, "creative_writing": GEMINI}
SHARES = {"good": 0.7, "poor": 0.25}
LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
YAML = r"""
judge_model: gpt-4.1
bench_name: arena-hard-v2.0
temperature: 0.0
max_tokens: 16000
reference: null
regex_patterns:
  - \[\[([AB<>=]+)\]\]
  - \[([AB<>=]+)\]
prompt_template: "{QUESTION} {ANSWER_A} {ANSWER_B}"
model_list: [good, poor]
"""
TEMPLATE = (
    "<|User Prompt|>\n{}\n\n<|The Start of Assistant A's Answer|>\n{}\n<|The End of Assistant A's Answer|>\n\n"
    "<|The Start of Assistant B's Answer|>\n{}\n<|The End of Assistant B's Answer|>"
)

Arena = Callable[..., tuple[int, str, str]]


@pytest.fixture
def arena(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Arena:
    """Runs a command with the config of the test's folder."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["-c", str(tmp_path / "config.toml"), *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A folder as a clone of arena-hard-auto has it after its judge has run."""
    rng = random.Random(11)
    folder = tmp_path / "original"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "arena-hard-v2.0.yaml").write_text(YAML, "utf-8")
    (folder / "config" / "api_config.yaml").write_text(
        "gpt-4.1:\n  model: gpt-4.1\n  endpoints: null\n  api_type: openai\n", "utf-8"
    )
    root = folder / "data" / "arena-hard-v2.0"
    questions = [
        {"uid": f"{category[0]}{number}", "prompt": f"{category} {number}?", "category": category, "subcategory": sub}
        for category, sub, count in (("hard_prompt", "math", 40), ("creative_writing", "creative_writing", 32))
        for number in range(count)
    ]
    write(root / "question.jsonl", questions)
    texts = {
        model: {each["uid"]: f"{model} says " + "word " * rng.randint(3, 60) for each in questions}
        for model in (*SHARES, *BASELINES.values())
    }
    for model, said in texts.items():
        write(
            root / "model_answer" / f"{model}.jsonl",
            [
                {
                    "uid": each["uid"],
                    "ans_id": f"{model}-{each['uid']}",
                    "model": model,
                    "messages": [
                        {"role": "user", "content": each["prompt"]},
                        {"role": "assistant", "content": {"answer": said[each["uid"]]}},
                    ],
                    "metadata": {
                        "token_len": len(said[each["uid"]].split()),
                        "header_count": {f"h{level}": rng.randint(0, 2) for level in range(1, 7)},
                        "list_count": {"ordered": rng.randint(0, 3), "unordered": 0},
                        "bold_count": {"**": rng.randint(0, 2), "__": 0},
                    },
                }
                for each in questions
            ],
        )
    for model, share in SHARES.items():
        records = []
        for each in questions:
            baseline = BASELINES[each["category"]]
            mine, theirs = texts[model][each["uid"]], texts[baseline][each["uid"]]
            wins = rng.random() < share
            scores = [rng.choice(LABELS[3:] if wins else LABELS[:3]), rng.choice(LABELS[:2] if wins else LABELS[2:])]
            if rng.random() < 0.1:
                scores[rng.randrange(2)] = None  # type: ignore[call-overload]
            prompts = [TEMPLATE.format(each["prompt"], *pair) for pair in ((theirs, mine), (mine, theirs))]
            games = [
                {
                    "score": score,
                    "judgment": {"answer": f"[[{score}]]"},
                    "prompt": [{"role": "user", "content": prompt}],
                }
                for score, prompt in zip(scores, prompts, strict=True)
            ]
            named = {"judge": "gpt-4.1", "model": model, "baseline": baseline}
            records.append({"uid": each["uid"], "category": each["category"], **named, "games": games})
        write(root / "model_judgment" / "gpt-4.1" / f"{model}.jsonl", records)
    return folder


def published(root: Path) -> Iterator[tuple[str, str, float]]:
    """Yield category, model and percent as `show_result.py` of arena-hard-auto v2.0 computes them: the mean outcome of
    all rows of a category, a strong label being three rows, without the pairs of which a game is null."""
    outcomes = {
        **{"A>B": [1.0], "A>>B": [1.0] * 3, "A=B": [0.5], "A<<B": [0.0] * 3, "A<B": [0.0]},
        **{"B>A": [0.0], "B>>A": [0.0] * 3, "B=A": [0.5], "B<<A": [1.0] * 3, "B<A": [1.0]},
    }
    rows: dict[tuple[str, str], list[float]] = {}
    for file in sorted((root / "model_judgment").glob("*/*.jsonl")):
        for record in read(file):
            first, second = record["games"]
            if first is None or second is None or first["score"] is None or second["score"] is None:
                continue
            scores = outcomes[second["score"]] + [1.0 - score for score in outcomes[first["score"]]]
            rows.setdefault((record["category"], record["model"]), []).extend(scores)
    for (category, model), scores in rows.items():
        yield category, model, 100.0 * sum(scores) / len(scores)


def imported(arena: Arena, original: Path) -> None:
    code, _, err = arena("import", original)
    assert code == 0, err
    assert "creative_writing has the baseline gemini-2.0-flash-001" in err


def board(arena: Arena, *arguments: object) -> dict[str, Any]:
    code, out, err = arena("leaderboard", "--format", "json", *arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_an_imported_bench_is_rated_by_category_as_the_original_rates_it(arena: Arena, original: Path) -> None:
    imported(arena, original)
    found = board(arena, "--null-games", "drop-pair")
    assert found["baseline_by_category"] == {"creative_writing": GEMINI, "hard_prompt": O3}
    assert found["baseline"] == f"{O3} + {GEMINI}"
    groups = {group["group"]: group for group in found["groups"]}
    assert {name: group["baseline"] for name, group in groups.items()} == BASELINES
    scores = {(name, row["model"]): row["score"] for name, group in groups.items() for row in group["rows"]}
    expected = {(category, model): score for category, model, score in published(original / "data" / "arena-hard-v2.0")}
    assert len(expected) == 4
    for key, score in expected.items():
        assert scores[key] == pytest.approx(score, abs=1e-4)
    for name, group in groups.items():
        own = next(row for row in group["rows"] if row["model"] == BASELINES[name])
        assert (own["score"], own["lower"], own["upper"]) == (50.0, 50.0, 50.0)
    assert groups == {
        group["group"]: group for group in board(arena, "--null-games", "drop-pair", "--by", "category")["groups"]
    }


def test_overall_every_question_counts_against_its_own_baseline_and_the_result_says_so(
    arena: Arena, original: Path
) -> None:
    imported(arena, original)
    found = board(arena)
    assert {row["model"]: row["questions"] for row in found["rows"]} == {"good": 72, "poor": 72, f"{O3} + {GEMINI}": 0}
    (warning,) = [text for text in found["warnings"] if "overall scores" in text]
    assert f"creative_writing: {GEMINI}, hard_prompt: {O3}" in warning
    table = arena("leaderboard")[1]
    assert f"category: creative_writing (32 questions, baseline {GEMINI})" in table
    assert f"baseline {GEMINI} (creative_writing)" in table
    assert f"baseline {O3} (hard_prompt)" in table
    lines = arena("leaderboard", "--format", "arena-hard")[1].splitlines()
    assert lines[0] == "##### Category: creative_writing #####"  # the original has no overall score
    assert len(lines) == 2 + 3 + 3
    tokens = {row["model"]: row["avg_tokens"] for row in found["rows"]}
    by_group = {group["group"]: {row["model"]: row["avg_tokens"] for row in group["rows"]} for group in found["groups"]}
    mixed = (40 * by_group["hard_prompt"][O3] + 32 * by_group["creative_writing"][GEMINI]) / 72
    assert tokens[f"{O3} + {GEMINI}"] == pytest.approx(mixed, abs=1.0)


def test_style_control_has_the_style_of_the_baseline_of_each_category(arena: Arena, original: Path) -> None:
    imported(arena, original)
    found = board(arena, "--style", "length,markdown")
    assert found["style"]["games_left_out"] == 0
    alone = board(arena, "--style", "length,markdown", "--baseline", GEMINI)
    (group,) = [group for group in found["groups"] if group["group"] == "creative_writing"]
    same = {row["model"]: row["score"] for row in alone["rows"]}
    assert {row["model"]: row["score"] for row in group["rows"]} == same


def test_a_named_baseline_takes_all_questions_that_were_judged_against_it(arena: Arena, original: Path) -> None:
    imported(arena, original)
    found = board(arena, "--baseline", GEMINI)
    assert (found["baseline"], "groups" in found) == (GEMINI, False)
    assert {row["model"]: row["questions"] for row in found["rows"] if row["games"]} == {"good": 32, "poor": 32}
    whole = board(arena)
    (group,) = [group for group in whole["groups"] if group["group"] == "creative_writing"]
    assert {row["model"]: row["score"] for row in found["rows"]} == {
        row["model"]: row["score"] for row in group["rows"]
    }


@pytest.mark.parametrize("form", ["arena-hard-v2", "arena-hard-v0.1"])
def test_an_export_has_all_categories_and_comes_back_as_the_same_leaderboard(
    arena: Arena, original: Path, tmp_path: Path, form: str
) -> None:
    imported(arena, original)
    stray = tmp_path / "data" / "arena-hard-v2.0" / "model_judgment" / "gpt-4.1" / "good.jsonl"
    other = json.loads(stray.read_text("utf-8").splitlines()[-1])  # of creative writing, against the wrong baseline
    assert other["baseline"] == GEMINI
    before = board(arena)
    with stray.open("a", encoding="utf-8") as file:
        file.write(json.dumps(other | {"baseline": O3}) + "\n")
    after = board(arena)
    assert before["rows"] == after["rows"]
    assert any("not against the baseline of their category" in text for text in after["warnings"])
    out = tmp_path / "exported" / "data" / "arena-hard-v2.0"
    out.parent.mkdir(parents=True)
    code, _, err = arena("export", "--to", form, "--out", out)
    assert code == 0
    assert f"1 judgments against {O3}, which is not the baseline of their category, are not exported" in err
    records = [record for file in (out / "model_judgment" / "gpt-4.1").glob("*.jsonl") for record in read(file)]
    assert len(records) == 2 * 72
    if form == "arena-hard-v2":  # its show_result.py goes by the category alone
        assert {(record["category"], record["baseline"]) for record in records} == set(BASELINES.items())
        assert sorted(published(out)) == sorted(published(original / "data" / "arena-hard-v2.0"))
        answers = {answer["uid"]: answer for answer in read(out / "model_answer" / f"{GEMINI}.jsonl")}
        assert all({"token_len", "header_count"} <= answers[record["uid"]]["metadata"].keys() for record in records)
    code, _, err = arena("--data", tmp_path / "again", "import", out)
    assert code == 0, err
    code, text, _ = arena("--data", tmp_path / "again", "leaderboard", "--format", "json")
    back = json.loads(text)
    assert code == 0
    assert (back["rows"], back["groups"]) == (before["rows"], before["groups"])


def test_comparisons_gates_plans_and_audits_take_each_question_against_its_own_baseline(
    arena: Arena, original: Path, tmp_path: Path
) -> None:
    imported(arena, original)
    code, out, err = arena("compare", "good", "poor", "--format", "json")
    assert code == 0, err
    (pair,) = json.loads(out)["pairs"]
    assert pair["questions"] == 72
    rows = {row["model"]: row["score"] for row in board(arena)["rows"]}
    assert pair["score_a"] == pytest.approx(rows["good"], abs=1.0)  # some questions have no label
    code, out, err = arena("gate", "good", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["checks"][0]["questions"] == 72
    stored = tmp_path / "stored.json"
    stored.write_text(out, "utf-8")
    code, out, err = arena("gate", "good", "--baseline-result", stored)
    assert code == 0, err
    code, out, err = arena("plan", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["baseline"] == f"{O3} + {GEMINI}"
    code, out, err = arena("audit", "--format", "json")
    assert code == 0, err
    audit = json.loads(out)
    assert audit["baseline"] == f"{O3} + {GEMINI}"
    (judge,) = audit["judges"]
    assert judge["style"] is not None
    assert judge["verdicts"]["replies"]["texts"] == 2 * 2 * 72


def test_a_baseline_of_one_category_is_compared_where_it_is_the_baseline(arena: Arena, original: Path) -> None:
    imported(arena, original)
    for command in (("compare", "good", O3), ("gate", "good", "--not-worse-than", O3)):
        code, _, err = arena(*command)
        assert code == 2
        assert f"{O3} is the baseline of hard_prompt only" in err
        assert "--baseline" in err
    code, out, err = arena("compare", "good", O3, "--baseline", O3, "--format", "json")
    assert code == 0, err
    assert json.loads(out)["pairs"][0]["questions"] <= 40


def test_saved_battles_name_the_baselines_and_are_rated_alike(arena: Arena, original: Path, tmp_path: Path) -> None:
    imported(arena, original)
    file = tmp_path / "battles.jsonl"
    code, out, err = arena("leaderboard", "--save-battles", file, "--format", "json")
    assert code == 0, err
    saved = json.loads(out)
    assert {(row["question_id"][0], row["model_a"]) for row in read(file)} == {("h", O3), ("c", GEMINI)}
    again = board(arena, "--battles", file)
    assert again["baseline_by_category"] == saved["baseline_by_category"]
    scores = [{row["model"]: row["score"] for row in found["rows"]} for found in (saved, again)]
    assert scores[0] == pytest.approx(scores[1])


def test_a_config_without_the_baselines_of_arena_hard_gets_a_warning_with_what_to_add(
    arena: Arena, original: Path, tmp_path: Path
) -> None:
    words = f'category = "creative_writing", baseline = "{GEMINI}", prompt = "creative"'
    code, _, err = arena("--data", tmp_path / "data", "import", original / "data" / "arena-hard-v2.0")
    assert code == 0
    assert f"note: creative_writing: arena-hard-auto compares it with {GEMINI}" in err
    assert words in err
    (tmp_path / "config.toml").write_text(
        f'bench = "arena-hard-v2.0"\n[judge]\nmodel = "gpt-4.1"\nbaseline = "{O3}"\n[models."gpt-4.1"]\n', "utf-8"
    )
    for command in (("leaderboard",), ("run", "--dry-run")):
        code, _, err = arena(*command)
        assert code == 0
        assert words in err
    assert words not in arena("leaderboard", "--baseline", O3)[2]  # asked for by name


def test_labels_of_people_count_against_the_baseline_of_the_question(
    arena: Arena, original: Path, tmp_path: Path
) -> None:
    imported(arena, original)
    root = tmp_path / "data" / "arena-hard-v2.0"
    given = {"model": "good", "judge": None, "game": 1, "note": "", "tstamp": 1.0, "reviewer": "anna"}
    labels = [
        given | {"question_id": question, "baseline": baseline, "label": "B>A"}
        for question, baseline in (("h1", O3), ("h2", O3), ("c1", GEMINI), ("c2", O3))  # the last one is of no pair
    ]
    write(root / "review" / "anna.jsonl", labels)
    code, out, err = arena("audit", "--format", "json")
    assert code == 0, err
    (judge,) = json.loads(out)["judges"]
    assert judge["people"]["labels"] == 3


def test_the_page_shows_the_answer_of_the_baseline_of_the_question(
    arena: Arena, original: Path, tmp_path: Path
) -> None:
    imported(arena, original)
    code, _, err = arena("export", "--to", "html", "--out", tmp_path / "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count(f"Answer of {GEMINI} (baseline)") == 32
    assert page.count(f"Answer of {O3} (baseline)") == 40
    assert f"category: creative_writing (32 questions, baseline {GEMINI})" in page


@pytest.mark.realdata
def test_the_published_questions_have_two_baselines(arena: Arena, shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'bench = "arena-hard-v2.0"\n[judge]\nmodel = "judge"\nbaseline = "o3-mini-2025-01-31"\n'
        '[[judge.by_category]]\ncategory = "creative_writing"\nbaseline = "gemini-2.0-flash-001"\n'
        'prompt = "creative"\n[models.judge]\nendpoints = [{ base_url = "http://127.0.0.1:9/v1" }]\n',
        "utf-8",
    )
    assert arena("import", shared_data / "arena-hard-v2.0")[0] == 0
    code, _, err = arena("run", "--dry-run")
    assert code == 2  # gemini's answers are not among the published ones here
    assert f"judge.by_category[0].baseline: {GEMINI!r} has neither answers on disk nor an endpoint" in err
    answers = read(shared_data / "arena-hard-v2.0" / "model_answer" / "sky-t1-32b.jsonl")  # some answers in their place
    answered = {answer["uid"] for answer in answers}
    questions = read(shared_data / "arena-hard-v2.0" / "question.jsonl")
    writing = {question["uid"] for question in questions if question["category"] == "creative_writing"}
    mine = [answer | {"model": GEMINI} for answer in answers if answer["uid"] in writing]
    write(tmp_path / "data" / "arena-hard-v2.0" / "model_answer" / f"{GEMINI}.jsonl", mine)
    code, out, err = arena("run", "--dry-run")
    assert code == 0, err
    assert f"{GEMINI}: {250 - len(mine)} of 250 answers are missing" in err or len(mine) == 250
    assert f"{O3}: " not in err
    assert f"{2 * len(answered)} calls" in out  # two games for each of its answers, in both categories
