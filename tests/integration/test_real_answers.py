"""The ten published models' answers, judged by the simulated judge: ten thousand games, and none of them twice."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from arena_tui.output.leaderboard import format_leaderboard
from engine.bench import Bench
from engine.config.load import parse_config
from engine.config.model import Config
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate
from engine.run import Run
from engine.simulator import SimulatedJudge, SimulatedModel, SimulatorConfig, running_simulator

CAST = SimulatorConfig(models=(SimulatedModel(name="sim-baseline"),), judges=(SimulatedJudge(name="sim-judge"),))


def config_for(data: Path, url: str) -> Config:
    document = {
        "bench": "ru",
        "data": str(data),
        "judge": {"model": "sim-judge", "baseline": "sim-baseline"},
        "models": {name: {"endpoints": [{"base_url": f"{url}/v1"}]} for name in ("sim-baseline", "sim-judge")},
    }
    return parse_config(document, None, {})


def leaderboard_bytes(config: Config) -> bytes:
    judged = judged_bench(Bench.open(config.data, config.bench), config.judge.model, config.judge.baseline)
    board, _ = rate(judged, LeaderboardOptions(baseline=config.judge.baseline))
    return format_leaderboard(board, "json").encode()


@pytest.mark.realdata
async def test_ten_thousand_games_are_played_once_and_rated_the_same_again(shared_data, tmp_path):
    source, bench = shared_data / "arena-hard-ru", tmp_path / "ru"
    (bench / "model_answer").mkdir(parents=True)
    shutil.copy(source / "question.jsonl", bench / "question.jsonl")
    models = [path.stem for path in (source / "model_answer").glob("*.jsonl")]
    assert len(models) == 10
    for model in models:
        shutil.copy(source / "model_answer" / f"{model}.jsonl", bench / "model_answer" / f"{model}.jsonl")
    async with running_simulator(CAST) as url:
        config = config_for(tmp_path, url)
        first = await Run(config).execute()
        assert first.phase == "done"
        assert first.calls == 500 + 10 * 500 * 2
        board = leaderboard_bytes(config)
        again = await Run(config).execute()
    assert again.calls == 0
    assert leaderboard_bytes(config) == board
    for model in models:
        lines = (bench / "model_judgment" / "sim-judge" / f"{model}.jsonl").read_bytes().split(b"\n")[:-1]
        assert len(lines) == 500
        assert set(Counter(line.split(b'"question_id":"', 1)[1][:32] for line in lines).values()) == {1}
