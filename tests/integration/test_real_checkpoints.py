"""Three published checkpoints of one training, judged by the simulated judge: their steps, and the curve."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from arena_tui.output.curve import format_curves
from engine.config.load import parse_config
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatorConfig, running_simulator
from engine.training_curves import curves

STEPS = [6000, 12000, 48000]
BASELINE = "llama3.1-8b-instruct"
JUDGES = SimulatorConfig(models=(), judges=(SimulatedJudge(name="sim-judge"),))


@pytest.mark.realdata
async def test_three_published_checkpoints_have_a_curve(shared_data: Path, tmp_path: Path) -> None:
    bench = tmp_path / "v2"
    (bench / "model_answer").mkdir(parents=True)
    shutil.copy(shared_data / "arena-hard-v2.0" / "question.jsonl", bench / "question.jsonl")
    for file in (shared_data / "checkpoints").glob("*.jsonl"):
        shutil.copy(file, bench / "model_answer" / file.name)
    async with running_simulator(JUDGES) as url:
        document = {
            "bench": "v2",
            "data": str(tmp_path),
            "judge": {"model": "sim-judge", "baseline": BASELINE},
            "models": {"sim-judge": {"endpoints": [{"base_url": f"{url}/v1"}]}},
        }
        config = parse_config(document, None, {})
        state = await Run(config).execute()
    assert sum(task.failed for task in state.tasks.values()) <= 2  # one prompt is longer than the judge's context
    report = curves(config)
    (curve,) = report.curves
    assert curve.series == "tulu3-8b-rank64-alpha1e5-001"
    assert [point.step for point in curve.points] == STEPS
    questions = {point.step: point.questions for point in curve.points}
    assert questions[6000] == 422  # the others of its answers have no text
    assert min(questions.values()) == 422
    assert max(questions.values()) > 570
    assert any("different questions" in warning for warning in curve.warnings)
    for point in curve.points:
        assert point.lower < point.score < point.upper
        assert point.upper - point.lower < 16.0
        assert point.gain is None or point.gain.over == STEPS[0]
    assert curve.best in curve.keep.candidates
    assert curve.plateau.since in (None, *STEPS[:-1])
    text = format_curves(report, "table", width=80)
    assert text.startswith("Best so far: step ")
    assert "6k" in text
    assert "48k" in text
