"""Style control takes out what length and Markdown are worth to a judge, each alone or both together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from battle_builder import BattleBuilder
from sklearn.linear_model import LogisticRegression

from engine.bench import Bench
from engine.errors import RatingError
from engine.formats.battles_file import load_battles
from engine.ratings.battles import Battles, FloatArray
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.limits import question_draws
from engine.ratings.outcomes import outcome_table
from engine.ratings.style import StyleCounts, rate_with_style, style_differences
from engine.ratings.style_fit import StyleDesign, fit_once, fit_resamples
from engine.results import read_style

BASELINE = "base"
MODELS = (BASELINE, "even", "strong", "weak")
STRENGTHS = np.array([0.0, 0.0, 1.0, -1.0])
RELATIVE_LENGTHS = np.array([1.0, 2.0, 1.2, 0.7])


def simulate(questions: int, length_taste: float, bold_taste: float, seed: int) -> tuple[Battles, StyleCounts]:
    """Two games a question and model, by a judge with a taste for long and for bold answers."""
    rng = np.random.default_rng(seed)
    names = tuple(f"q{number:04}" for number in range(questions))
    counts = np.zeros((questions, len(MODELS), 4))
    counts[:, :, 0] = np.round(300 * RELATIVE_LENGTHS * rng.lognormal(0.0, 0.5, (questions, len(MODELS)))) + 1
    counts[:, :, 3] = rng.poisson(0.05 * counts[:, :, 0])
    builder = BattleBuilder()
    differences = style_differences(counts, counts[:, :1])
    logits = STRENGTHS + length_taste * differences[..., 0] + bold_taste * differences[..., 3]
    for row, question in enumerate(names):
        for column, model in enumerate(MODELS[1:], start=1):
            for game in (1, 2):
                won = rng.random() < 1 / (1 + np.exp(-logits[row, column]))
                builder.add(question, BASELINE, model, float(won), strong=float(rng.random() < 0.3), game=game)
    return builder.build(), StyleCounts(names, MODELS, counts)


def options(rounds: int = 200, **changed: object) -> RatingOptions:
    return RatingOptions(baseline=BASELINE, rounds=rounds, **changed)  # type: ignore[arg-type]


def same_style(ratings: Ratings) -> dict[str, float]:
    assert ratings.style is not None
    return dict(zip(ratings.models, (100 * ratings.style.same_style).tolist(), strict=True))


def weights(ratings: Ratings) -> dict[str, float]:
    assert ratings.style is not None
    return {each.name: each.weight / each.deviation for each in ratings.style.covariates}


def test_a_model_that_is_only_longer_than_the_baseline_loses_its_advantage() -> None:
    battles, counts = simulate(1500, length_taste=3.0, bold_taste=0.0, seed=1)
    plain = rate_battles(battles, options())
    controlled = rate_with_style(battles, options(), ["length"], counts)
    even = plain.models.index("even")
    assert 100 * plain.rate[even] > 65
    assert same_style(controlled)["even"] == pytest.approx(50, abs=4)
    assert same_style(controlled)["strong"] == pytest.approx(100 / (1 + np.exp(-1.0)), abs=4)
    assert same_style(controlled)["weak"] == pytest.approx(100 / (1 + np.exp(1.0)), abs=4)


def test_the_taste_of_the_judge_is_found_with_an_interval() -> None:
    battles, counts = simulate(1500, length_taste=3.0, bold_taste=0.0, seed=2)
    controlled = rate_with_style(battles, options(), ["length", "markdown"], counts)
    assert weights(controlled)["length"] == pytest.approx(3.0, abs=0.5)
    assert controlled.style is not None
    length, bold = (
        next(each for each in controlled.style.covariates if each.name == name) for name in ("length", "bold")
    )
    assert length.lower > 0
    assert bold.lower < 0 < bold.upper


def test_markdown_alone_keeps_every_model_in_its_column() -> None:
    battles, counts = simulate(1500, length_taste=0.0, bold_taste=0.0, seed=3)
    plain = rate_battles(battles, options())
    controlled = rate_with_style(battles, options(), ["markdown"], counts)
    assert list(controlled.models) == sorted(MODELS)
    assert 100 * controlled.rate == pytest.approx(100 * plain.rate, abs=1.5)
    assert set(weights(controlled)) == {"bold"}  # no answer has a header or a list


def test_length_alone_uses_length_alone() -> None:
    battles, counts = simulate(1500, length_taste=3.0, bold_taste=0.0, seed=4)
    controlled = rate_with_style(battles, options(), ["length"], counts)
    assert set(weights(controlled)) == {"length"}
    assert same_style(controlled)["even"] == pytest.approx(50, abs=4)


def test_the_score_is_that_of_the_mean_difference_in_style_as_in_arena_hard_auto_v2() -> None:
    """An independent fit on single rows, strong ones three times, with covariates centred and scaled over the rows."""
    battles, counts = simulate(300, length_taste=1.0, bold_taste=2.0, seed=5)
    rows = np.repeat(np.arange(len(battles)), battles.weights(3).astype(int))
    question, model = battles.question[rows], battles.model_b[rows]
    raw = style_differences(counts.counts[question, model], counts.counts[question, 0])[:, [0, 3]]
    scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0, ddof=1)
    design = np.concatenate([np.eye(len(MODELS))[model][:, 1:], scaled], axis=1)
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000).fit(design, battles.points[rows])
    expected = 1 / (1 + np.exp(-fit.coef_[0][: len(MODELS) - 1]))

    controlled = rate_with_style(battles, options(10), ["length", "markdown"], counts)
    assert controlled.rate[1:] == pytest.approx(expected, abs=2e-4)
    assert controlled.style is not None
    assert [each.weight for each in controlled.style.covariates] == pytest.approx(fit.coef_[0][-2:], abs=2e-3)


def _design(battles: Battles, counts: StyleCounts, baseline: str) -> StyleDesign:
    table = outcome_table(battles, baseline, 3)
    opponent, model = table.pairs.T
    covariates = style_differences(counts.counts[:, model], counts.counts[:, opponent])[:, :, [0, 3]]
    return StyleDesign(table, covariates)


def round_robin(questions: int, seed: int) -> tuple[Battles, StyleCounts]:
    _, counts = simulate(questions, 1.0, 0.0, seed)
    rng = np.random.default_rng(seed)
    builder = BattleBuilder()
    for row, question in enumerate(counts.questions):
        for one in range(len(MODELS)):
            for other in range(one + 1, len(MODELS)):
                difference = style_differences(counts.counts[row, other], counts.counts[row, one])[0]
                logit = STRENGTHS[other] - STRENGTHS[one] + difference
                builder.add(
                    question, MODELS[one], MODELS[other], float(rng.random() < 1 / (1 + np.exp(-logit))), game=1
                )
    return builder.build(), counts


@pytest.mark.parametrize("make", [lambda: simulate(80, 1.0, 1.0, seed=6), lambda: round_robin(80, seed=7)])
def test_resamples_are_fitted_as_scikit_learn_fits_each_of_them(make: object) -> None:
    battles, counts = make()  # type: ignore[operator]
    design = _design(battles, counts, BASELINE)
    finite = np.ones(len(MODELS), dtype=np.bool_)
    start = fit_once(design, finite)
    times: FloatArray = np.concatenate([*question_draws(80, 5, seed=1)])
    thetas, gammas = fit_resamples(design, times, np.broadcast_to(finite, (5, len(MODELS))).copy(), start)
    for drawn, theta, gamma in zip(times, thetas, gammas, strict=True):
        chosen = np.repeat(np.arange(80), drawn.astype(int))
        table = outcome_table(battles, BASELINE, 3)
        resampled = type(table)(table.models, table.pairs, table.won[chosen], table.total[chosen], table.baseline)
        expected_theta, expected_gamma = fit_once(StyleDesign(resampled, design.covariates[chosen]), finite)
        assert theta == pytest.approx(expected_theta, abs=1e-5)
        assert gamma == pytest.approx(expected_gamma, abs=1e-5)


def test_round_robins_are_controlled_at_equal_style() -> None:
    battles, counts = round_robin(400, seed=8)
    controlled = rate_with_style(battles, options(50), ["length"], counts)
    assert 100 * controlled.rate == pytest.approx(list(same_style(controlled).values()))
    assert same_style(controlled)["even"] == pytest.approx(50, abs=6)


def test_a_model_that_never_wins_stays_at_zero() -> None:
    battles, counts = simulate(60, 1.0, 0.0, seed=9)
    weak = battles.models.index("weak")
    lost = np.where(battles.model_b == weak, 0.0, battles.points)
    hopeless = type(battles)(**{**vars(battles), "points": lost})
    controlled = rate_with_style(hopeless, options(50), ["length"], counts)
    assert controlled.rate[weak] == 0.0
    assert controlled.upper[weak] == pytest.approx(rate_battles(hopeless, options(50)).upper[weak], rel=0.02)


def test_games_whose_answers_are_not_here_are_left_out_and_counted() -> None:
    battles, counts = simulate(100, 1.0, 0.0, seed=10)
    gaps = counts.counts.copy()
    gaps[:10, 2] = np.nan
    controlled = rate_with_style(battles, options(20), ["length"], StyleCounts(counts.questions, MODELS, gaps))
    assert controlled.style is not None
    assert controlled.style.unknown == 20
    assert len(controlled.battles) == len(battles)


def test_style_that_goes_with_the_model_is_not_taken_for_a_taste_of_the_judge() -> None:
    """Every answer of a model has the same length, so the games cannot separate length from strength."""
    battles, counts = simulate(100, length_taste=0.0, bold_taste=0.0, seed=12)
    constant = np.broadcast_to(counts.counts.mean(axis=0), counts.counts.shape)
    controlled = rate_with_style(battles, options(50), ["length"], StyleCounts(counts.questions, MODELS, constant))
    assert controlled.style is not None
    assert controlled.style.weak
    assert 100 * controlled.rate == pytest.approx(100 * rate_battles(battles, options(50)).rate, abs=1.0)
    varied = rate_with_style(battles, options(50), ["length"], counts)
    assert varied.style is not None
    assert not varied.style.weak


def test_style_that_cannot_be_controlled_is_reported() -> None:
    battles, counts = simulate(50, 1.0, 0.0, seed=11)
    with pytest.raises(RatingError, match="unknown"):
        rate_with_style(battles, options(), ["length"], StyleCounts((), (), np.empty((0, 0, 4))))
    with pytest.raises(RatingError, match="same style"):
        rate_with_style(battles, options(), ["length"], StyleCounts(counts.questions, MODELS, np.ones((50, 4, 4))))
    with pytest.raises(RatingError, match="no intervals of the kind battle"):
        rate_with_style(battles, options(ci="battle"), ["length"], counts)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """A small version of benchmarks/style_coverage.py; 95 % of 120 is 114, with a standard deviation of 2.4."""
    covered = 0
    for seed in range(40):
        battles, counts = simulate(120, length_taste=2.0, bold_taste=0.0, seed=100 + seed)
        controlled = rate_with_style(battles, options(200), ["length"], counts)
        assert controlled.style is not None
        truth = 1 / (1 + np.exp(-STRENGTHS[1:]))
        covered += int(np.sum((controlled.style.lower[1:] <= truth) & (truth <= controlled.style.upper[1:])))
    assert 104 <= covered <= 120


@pytest.mark.realdata
def test_published_answers_rate_as_the_method_says(shared_data: Path) -> None:
    """Long answers please this judge, so controlling for length moves the shortest model up and the longest down."""
    bench = Bench.open(shared_data, "arena-hard-ru")
    battles = load_battles(bench.paths.root / "arena_hard_battles.jsonl").battles
    counts, notes = read_style(bench, battles.models)
    assert not notes
    rating = RatingOptions(baseline="Phi-3-medium-128k-instruct", rounds=50)
    expected = {"length": (84.55, 9.05), "markdown": (83.71, 6.48), "length,markdown": (84.43, 7.38)}
    for words, (simpo, gemma) in expected.items():
        controlled = rate_with_style(battles, rating, words.split(","), counts)
        score = dict(zip(controlled.models, (100 * controlled.rate).tolist(), strict=True))
        assert score["Llama-3-Instruct-8B-SimPO"] == pytest.approx(simpo, abs=0.01)
        assert score["alpindale_gemma-2b-it"] == pytest.approx(gemma, abs=0.01)
