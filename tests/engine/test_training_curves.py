"""Which models of a bench are checkpoints of which training, and the curves of them all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from battle_builder import BattleBuilder
from training_bench import CONFIG, SHARES, judge_checkpoint, make_training

from engine.config.load import load_config
from engine.errors import UsageProblem
from engine.formats.battles_file import save_battles
from engine.ratings.curve_result import CurveReport
from engine.training_curves import curves, trainings_of

ROUNDS = 2000


def read(folder: Path, **options: object) -> CurveReport:
    return curves(load_config(folder / "config.toml"), rounds=ROUNDS, **options)  # type: ignore[arg-type]


def test_a_bench_has_the_curve_of_its_training(tmp_path: Path) -> None:
    make_training(tmp_path)
    report = read(tmp_path)
    (curve,) = report.curves
    assert (report.bench, report.judges, report.baseline, report.margin) == ("tiny", ["judge"], "base", 2.0)
    assert curve.series == "run"
    assert [point.step for point in curve.points] == list(SHARES)
    assert curve.best in (3000, 4000, 5000)
    assert 1000 not in curve.keep.candidates


def test_steps_of_the_config_win_and_make_checkpoints_of_other_names(tmp_path: Path) -> None:
    config = CONFIG + "".join(f'[models."mix-{name}"]\nstep = {step}\n' for name, step in (("b", 100), ("a", 200)))
    make_training(tmp_path, {}, config=config)
    for name in ("mix-a", "mix-b", "unrelated"):
        judge_checkpoint(tmp_path / "data" / "tiny", name, 0.5)
    (curve,) = read(tmp_path).curves
    assert curve.series == "mix"
    assert [(point.step, point.model) for point in curve.points] == [(100, "mix-b"), (200, "mix-a")]


def test_each_training_has_a_curve_of_its_own(tmp_path: Path) -> None:
    make_training(tmp_path, name="small-{}k-step{}".replace("{}k", "7b"))
    make_training(tmp_path, {100: 0.4, 300: 0.6}, name="large-checkpoint-{}")
    judge_checkpoint(tmp_path / "data" / "tiny", "lonely-step5", 0.5)
    report = read(tmp_path)
    assert [curve.series for curve in report.curves] == ["large", "small-7b"]
    assert any("single checkpoint: lonely-step5" in warning for warning in report.warnings)
    assert [curve.series for curve in read(tmp_path, series=["sm*"]).curves] == ["small-7b"]
    (some,) = read(tmp_path, models=["small-7b-step[123]*"]).curves
    assert [point.step for point in some.points] == [1000, 2000, 3000]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"models": ["absent*"]}, r"no checkpoint is named absent\*"),
        ({"series": ["absent"]}, "no training is named absent"),
        ({"models": ["run-step1000"]}, "one checkpoint is no curve: run-step1000"),
        ({"margin": 80.0}, "margin out of range"),
    ],
)
def test_what_cannot_be_drawn_is_a_problem(tmp_path: Path, options: dict[str, object], problem: str) -> None:
    make_training(tmp_path)
    with pytest.raises(UsageProblem, match=problem):
        read(tmp_path, **options)


def test_models_without_a_step_are_no_training(tmp_path: Path) -> None:
    make_training(tmp_path, {}, config=CONFIG)
    judge_checkpoint(tmp_path / "data" / "tiny", "model-a", 0.5)
    with pytest.raises(UsageProblem, match="no judged model is a checkpoint") as caught:
        read(tmp_path)
    assert "step" in caught.value.hint


def test_a_checkpoint_that_a_stop_rule_settled_has_limits_that_hold_at_every_look(tmp_path: Path) -> None:
    bench = make_training(tmp_path)
    judge_checkpoint(bench, "run-step6000", 0.95, questions=40)
    runs = bench / "runs"
    runs.mkdir()
    standings = {"run-step6000": {"verdict": "better"}, "run-step1000": {"verdict": "worse"}, "odd": 3}
    (runs / "20260101-000000-aaaaaa.json").write_text(json.dumps({"standings": standings}), "utf-8")
    (runs / "20260102-000000-bbbbbb.json").write_text(json.dumps({"standings": [1]}), "utf-8")
    (curve,) = read(tmp_path).curves
    limits = {point.step: point.limits for point in curve.points}
    assert limits.pop(6000) == "any time"
    assert set(limits.values()) == {"fixed"}  # also of the step that has all questions by now
    assert any("stopped early at step 6,000" in warning for warning in curve.warnings)


def test_a_file_of_battles_has_curves_by_name(tmp_path: Path) -> None:
    builder = BattleBuilder()
    for question in range(40):
        for step in (10, 20):
            builder.add(f"q{question}", "base", f"ckpt-{step}", float(question % 40 < step))
    file = tmp_path / "battles.jsonl"
    save_battles(file, builder.build(), 3)
    (curve,) = curves(file, rounds=ROUNDS).curves
    assert [(point.step, round(point.score)) for point in curve.points] == [(10, 25), (20, 50)]
    assert curve.series == "training"


def test_checkpoints_are_grouped_by_their_names_without_the_step() -> None:
    found = trainings_of({"a-step2": 2, "a-step1": 1, "b/checkpoint-3": 3, "7": 7, "odd-x": 1, "odd-y": 2})
    assert {name: [each.step for each in members] for name, members in found.items()} == {
        "a": [1, 2],
        "b": [3],
        "odd": [1, 2],
        "training": [7],
    }
