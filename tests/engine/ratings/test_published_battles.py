"""The published battles of arena-hard-local give the published leaderboard, with honest intervals beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from engine.formats.battles_file import LoadedBattles, load_battles, save_battles, save_bootstrap
from engine.ratings.battles import common_opponent
from engine.ratings.bradley_terry import elo
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles

pytestmark = pytest.mark.realdata

BASELINE = "Phi-3-medium-128k-instruct"
PUBLISHED = {  # score, and the ends of the row-bootstrap interval relative to it
    "Llama-3-Instruct-8B-SimPO": (83.83, -1.4, 1.3),
    "SELM-Llama-3-8B-Instruct-iter-3": (78.82, -1.7, 1.9),
    "suzume-llama-3-8B-multilingual-orpo-borda-half": (71.78, -1.7, 2.4),
    "Meta-Llama-3-8B-Instruct-f16": (69.82, -1.9, 1.7),
    "suzume-llama-3-8B-multilingual": (54.01, -2.1, 2.1),
    "aya-23-8B": (50.37, -1.7, 1.7),
    BASELINE: (50.0, 0.0, 0.0),
    "Vikhr-7B-instruct_0.5": (14.18, -1.3, 1.0),
    "alpindale_gemma-2b-it": (7.94, -0.9, 0.8),
}
LEGACY = ("arena_hard_battles_2024-09-07.jsonl", "arena_hard_battles_2024-09-08.jsonl")


@pytest.fixture(scope="module")
def battles_file(shared_data: Path) -> Path:
    return shared_data / "arena-hard-ru" / "arena_hard_battles.jsonl"


@pytest.fixture(scope="module")
def published(battles_file: Path) -> LoadedBattles:
    return load_battles(battles_file)


@pytest.fixture(scope="module")
def by_question(published: LoadedBattles) -> Ratings:
    return rate_battles(published.battles, RatingOptions(baseline=BASELINE))


def original_elo(rows: list[dict[str, object]], baseline: str) -> dict[str, float]:
    """The original's statistics from their description: every row twice, a tie one win for each side, one logistic
    regression without penalty on +ln 10 for model_a and -ln 10 for model_b, scale 400, the baseline moved to 1000.

    The regression is solved far more tightly than there, so that what is left is no error of an optimiser.
    """
    from sklearn.linear_model import LogisticRegression

    names = sorted({str(row[side]) for row in rows for side in ("model_a", "model_b")})
    place = {name: index for index, name in enumerate(names)}
    twice = rows + rows
    line = np.arange(len(twice))
    design = np.zeros((len(twice), len(names)))
    design[line, [place[str(row["model_a"])] for row in twice]] = math.log(10)
    design[line, [place[str(row["model_b"])] for row in twice]] = -math.log(10)
    won_by_a = [
        row["winner"] == "model_a" or (row["winner"] == "tie" and index < len(rows)) for index, row in enumerate(twice)
    ]
    free = [name for name in names if name != baseline]  # fixes the gauge that the original leaves to the optimiser
    kept = [str(row["model_a"]) != str(row["model_b"]) for row in twice]  # rows of the baseline alone move nothing else
    fit = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    fit.fit(design[kept][:, [place[name] for name in free]], np.array(won_by_a)[kept])
    return {baseline: 1000.0} | {name: 1000.0 + 400.0 * c for name, c in zip(free, fit.coef_[0], strict=True)}


def test_the_published_scores_come_out_to_the_second_decimal(by_question: Ratings) -> None:
    scores = {name: round(100 * rate, 2) for name, rate in zip(by_question.models, by_question.rate, strict=True)}
    assert scores == {name: score for name, (score, _, _) in PUBLISHED.items()}


def test_every_row_of_the_file_is_a_game_or_the_repeat_of_one(published: LoadedBattles) -> None:
    assert published.rows == 21_016
    assert len(published.battles) == 9 * 500 * 2
    assert published.battles.weights(3).sum() == 21_016
    assert published.weight == 3
    assert published.problems == ()


def test_the_baseline_of_a_published_file_is_found(published: LoadedBattles) -> None:
    assert common_opponent(published.battles) == BASELINE


def test_the_row_bootstrap_gives_about_the_published_intervals(published: LoadedBattles) -> None:
    rows = rate_battles(published.battles, RatingOptions(baseline=BASELINE, ci="battle", rounds=100))
    ours = 100 * np.array([rows.lower - rows.rate, rows.upper - rows.rate])
    theirs = np.array([PUBLISHED[name][1:] for name in rows.models]).T
    # With 100 rounds, each end of either run has a Monte Carlo error of about 0.2 points.
    off = np.abs(ours - theirs)
    assert off.mean() < 0.3
    assert off.max() < 1.1
    assert (ours[1] - ours[0]).sum() == pytest.approx((theirs[1] - theirs[0]).sum(), rel=0.06)


def test_the_row_bootstrap_scatters_like_the_published_rounds(published: LoadedBattles, shared_data: Path) -> None:
    file = shared_data / "arena-hard-ru" / "bootstrapping_results.jsonl"
    theirs = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    ours = rate_battles(published.battles, RatingOptions(baseline=BASELINE, ci="battle"))
    for name, rounds in zip(ours.models, elo(ours.resampled).T, strict=True):
        if name == BASELINE:
            continue
        published_rounds = np.array([row[name] for row in theirs])
        assert published_rounds.mean() == pytest.approx(rounds.mean(), abs=3.5)
        assert published_rounds.std() / rounds.std() == pytest.approx(1.0, abs=0.25)


def test_intervals_over_questions_are_twice_as_wide_as_over_rows(
    published: LoadedBattles, by_question: Ratings
) -> None:
    by_row = rate_battles(published.battles, RatingOptions(baseline=BASELINE, ci="battle"))
    others = np.array([name != BASELINE for name in by_question.models])
    ratio = (by_question.upper - by_question.lower)[others] / (by_row.upper - by_row.lower)[others]
    assert ratio.mean() == pytest.approx(2.05, abs=0.12)
    assert ratio.min() > 1.8


def test_the_statistics_of_the_original_agree_on_its_own_battles(battles_file: Path, by_question: Ratings) -> None:
    rows = [json.loads(line) for line in battles_file.read_text("utf-8").splitlines()]
    theirs = original_elo(rows, BASELINE)
    for name, rating in zip(by_question.models, elo(by_question.rate), strict=True):
        assert rating == pytest.approx(theirs[name], abs=1e-6)


@pytest.mark.parametrize("name", LEGACY)
def test_the_statistics_of_the_original_agree_on_older_files_with_integer_ids(shared_data: Path, name: str) -> None:
    file = shared_data / "arena-hard-v0.1" / "legacy_battles" / name
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    loaded = load_battles(file)
    baseline = common_opponent(loaded.battles)
    assert baseline == "claude-3-haiku-20240307"
    ours = rate_battles(loaded.battles, RatingOptions(baseline=baseline))
    theirs = original_elo(rows, baseline)
    assert set(loaded.battles.questions) == {str(row["question_id"]) for row in rows}
    for model, rating in zip(ours.models, elo(ours.rate), strict=True):
        assert rating == pytest.approx(theirs[model], abs=1e-6)


def test_saved_battles_are_the_published_file_byte_for_byte(
    published: LoadedBattles, battles_file: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "battles.jsonl"
    assert save_battles(saved, published.battles, 3) == 21_016
    assert saved.read_bytes() == battles_file.read_bytes()


def test_saved_bootstrap_rounds_have_the_published_shape(
    by_question: Ratings, shared_data: Path, tmp_path: Path
) -> None:
    theirs = (shared_data / "arena-hard-ru" / "bootstrapping_results.jsonl").read_text("utf-8").splitlines()
    saved = tmp_path / "rounds.jsonl"
    assert save_bootstrap(saved, by_question.models, by_question.resampled) == 1000
    rows = [json.loads(line) for line in saved.read_text("utf-8").splitlines()]
    assert list(rows[0]) == list(json.loads(theirs[0]))
    assert {row[BASELINE] for row in rows} == {1000.0}


def test_first_games_alone_show_the_preference_for_a_position(published: LoadedBattles, by_question: Ratings) -> None:
    first = rate_battles(published.battles, RatingOptions(baseline=BASELINE, first_game_only=True))
    assert len(first.battles) == 9 * 500
    favoured = first.rate - by_question.rate
    assert np.count_nonzero(favoured > 0) >= 6
    assert favoured[by_question.models.index("Llama-3-Instruct-8B-SimPO")] == pytest.approx(0.054, abs=0.002)
