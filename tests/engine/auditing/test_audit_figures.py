"""Style, language and family of an audit: what a planted taste of a judge comes out as."""

from __future__ import annotations

import numpy as np
import pytest
from battle_builder import BattleBuilder

from engine.auditing.biases import family_report, language_report, preference_report
from engine.auditing.intervals import QuestionResampler
from engine.auditing.trials import probe_result, repeat_report
from engine.auditing.verdicts import fake_verdicts, verdict_report
from engine.ratings.battles import Battles
from engine.ratings.estimate import RatingOptions
from engine.ratings.style import StyleCounts

OPTIONS = RatingOptions(baseline="base", rounds=300, weight=3)


def resampler_of(battles: Battles) -> QuestionResampler:
    return QuestionResampler(len(battles.questions), 300, 1)


def judged_by_length(questions: int, taste: float) -> tuple[Battles, StyleCounts]:
    """Two equal models, answers of any length, and a judge that likes long ones."""
    rng = np.random.default_rng(7)
    names = tuple(f"q{number:04}" for number in range(questions))
    counts = np.zeros((questions, 2, 4))
    counts[:, :, 0] = np.round(300 * rng.lognormal(0.0, 0.5, (questions, 2))) + 1
    builder = BattleBuilder()
    for row, name in enumerate(names):
        longer = (counts[row, 1, 0] - counts[row, 0, 0]) / counts[row, :, 0].sum()
        for game in (1, 2):
            builder.add(name, "base", "m", float(rng.random() < 1 / (1 + np.exp(-taste * longer))), game=game)
    return builder.build(), StyleCounts(names, ("base", "m"), counts)


def test_twice_the_length_is_worth_what_the_judge_gives_for_it() -> None:
    battles, style = judged_by_length(1500, taste=3.0)
    report = preference_report(battles, OPTIONS, style, resampler_of(battles))
    length = next(gain for gain in report.gains if gain.name == "length")
    assert length.points.value == pytest.approx(100 / (1 + np.exp(-1.0)) - 50, abs=4)  # taste times a covariate of 1/3
    assert length.points.lower is not None
    assert length.points.lower > 10
    assert report.longer_wins.lower is not None
    assert report.longer_wins.lower > 55


def test_a_judge_without_a_taste_for_length_shows_none() -> None:
    battles, style = judged_by_length(800, taste=0.0)
    points = preference_report(battles, OPTIONS, style, resampler_of(battles)).gains[0].points
    assert points.lower is not None
    assert points.upper is not None
    assert points.lower < 0 < points.upper


def test_unknown_style_is_reported_as_unknown() -> None:
    battles, _ = judged_by_length(20, taste=0.0)
    nothing = StyleCounts((), (), np.empty((0, 0, 4)))
    report = preference_report(battles, OPTIONS, nothing, resampler_of(battles))
    assert report.gains == []
    assert "unknown" in report.note
    assert not report.longer_wins.known


def test_answers_in_another_language_lose_with_the_weight_that_they_were_given() -> None:
    builder = BattleBuilder()
    for number in range(4):
        for game in (1, 2):
            builder.add(f"q{number}", "base", "m", 1.0 if number < 2 else 0.0, strong=float(number < 2), game=game)
    battles = builder.build()
    mismatch = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [np.nan, np.nan]])
    report = language_report(battles, OPTIONS, mismatch, {"m": "en"}, resampler_of(battles))
    (row,) = report.models
    assert (row.answers, row.mismatched, row.other) == (3, 1, "en")
    assert row.score.value == pytest.approx(100 * 12 / 16)
    assert row.score_if_lost.value == pytest.approx(100 * 6 / 16)
    assert row.score_mismatched.value == 100.0
    assert row.score_matched.value == pytest.approx(100 * 6 / 8)
    assert (report.baseline_answers, report.baseline_mismatched, report.undecided) == (3, 1, 2)


def favouring(favour: float) -> Battles:
    """Two judges; one lifts the models of its own family by `favour` logits."""
    rng = np.random.default_rng(3)
    builder = BattleBuilder()
    for number in range(800):
        for model, skill in (("llama-x", 0.3), ("llama-y", -0.5), ("qwen-z", 0.5), ("phi-w", 0.0)):
            for judge in ("llama-judge", "other-judge"):
                lift = favour if judge == "llama-judge" and model.startswith("llama") else 0.0
                won = rng.random() < 1 / (1 + np.exp(-skill - lift))
                builder.add(f"q{number}", "base", model, float(won), game=1, judge=judge)
    return builder.build()


FAMILIES = {"llama-judge": "llama", "other-judge": "other", "llama-x": "llama", "llama-y": "llama", "qwen-z": "qwen"}


@pytest.mark.parametrize(("favour", "found"), [(0.0, False), (0.8, True)])
def test_another_judge_shows_whether_a_family_is_favoured(favour: float, found: bool) -> None:
    battles = favouring(favour)
    report = family_report("llama-judge", battles, OPTIONS, FAMILIES, resampler_of(battles))
    assert report is not None
    assert report.relatives == ["llama-x", "llama-y"]
    assert report.advantage is not None
    assert report.advantage.lower is not None
    assert (report.advantage.lower > 0) is found
    if found:
        assert report.advantage.value == pytest.approx(18, abs=6)


def test_a_single_judge_or_one_without_relatives_has_no_advantage() -> None:
    battles = favouring(0.0)
    alone = battles.where(battles.judge == battles.judges.index("llama-judge"))
    one = type(alone)(**{**vars(alone), "judges": ("llama-judge",), "judge": np.zeros(len(alone), dtype=np.int64)})
    report = family_report("llama-judge", one, OPTIONS, FAMILIES, resampler_of(one))
    assert report is not None
    assert report.advantage is None
    other = family_report("other-judge", battles, OPTIONS, FAMILIES, resampler_of(battles))
    assert other is not None
    assert other.relatives == []
    assert family_report("nobody", battles, OPTIONS, FAMILIES, resampler_of(battles)) is None


def test_verdicts_are_counted_by_kind() -> None:
    builder = BattleBuilder()
    for number, (points, strong) in enumerate([(1.0, 1.0), (0.5, 0.0), (0.0, 0.0), (float("nan"), 0.0)]):
        builder.add(f"q{number}", "base", "m", points, strong=strong, game=1)
    battles = builder.build()
    report = verdict_report(battles, resampler_of(battles), None)
    assert (report.games, report.questions) == (4, 4)
    assert report.unparsed.value == 25.0
    assert report.ties.value == pytest.approx(100 / 3)
    assert report.strong.value == pytest.approx(100 / 3)


def test_answers_that_hold_a_verdict_are_set_apart_from_the_models_others() -> None:
    builder = BattleBuilder()
    for number in range(10):
        builder.add(f"q{number}", "base", "m", float(number < 2), game=1)
    battles = builder.build()
    (found,) = fake_verdicts(
        battles,
        {(q, "m"): {"chat tag": "<|im_end|>"} for q in ("q0", "q1")} | {("q9", "base"): {"chat tag": "x"}},
        resampler_of(battles),
    )
    assert (found.model, found.answers, found.score.value, found.others.value) == ("m", 2, 100.0, 0.0)
    assert (found.kinds, found.questions) == ({"chat tag": 2}, 10)
    assert fake_verdicts(battles, {}, resampler_of(battles)) == []


def test_a_constant_answer_is_scored_from_both_places() -> None:
    result = probe_result("x", "text", ["q1", "q1", "q2", "q2"], [1, 2, 1, 2], ["A>>B", "B>A", "B>A", None])
    assert (result.games, result.unparsed) == (3, 1)
    assert result.points.value == pytest.approx(100 / 3)


def test_repeats_are_the_same_only_if_all_of_them_are() -> None:
    labels = [["A>B", "A>B"], ["A>B", "A>>B"], ["A>B", "B>A"], ["A>B", None]]
    report = repeat_report(["q1", "q2", "q3", "q4"], labels)
    assert (report.games, report.times, report.unparsed) == (4, 2, 1)
    assert report.same_label.value == 25.0
    assert report.same_winner.value == 50.0


def test_a_small_share_has_limits_that_lean_upwards_and_one_question_has_none() -> None:
    resampler = QuestionResampler(100, 50, 1)
    share = resampler.share_of_sums(np.array([3.0] * 4 + [0.0] * 96), np.full(100, 3.0))
    assert share.value == pytest.approx(4.0)
    assert share.lower is not None
    assert share.upper is not None
    assert 0.0 < share.lower < 4.0 < share.upper
    assert share.upper - 4.0 > 4.0 - share.lower
    one = resampler.share_of_sums(np.array([1.0] + [0.0] * 99), np.array([2.0] + [0.0] * 99))
    assert (one.value, one.lower, one.upper, one.questions) == (50.0, None, None, 1)
