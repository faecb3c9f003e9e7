"""Curves as words, plot, table, CSV and SVG."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_tui.output.curve import format_curves
from arena_tui.output.curve_plot import ASCII_MARKS, curve_plot
from arena_tui.output.curve_words import curve_words, short_step
from arena_tui.safe_text import text_width
from engine.ratings.curve_result import Curve, CurvePoint, CurveReport, Keep, Plateau, StepGain

HOSTILE = "=cmd()|'x'\x1b[31m</text><script>alert(1)</script>$\\frac{1}{2}$\n&amp;"


def gain(difference: float, over: int = 6000) -> StepGain:
    verdict = "better" if difference > 3.0 else "undecided"
    return StepGain(
        over=over,
        difference=difference,
        lower=difference - 3.1,
        upper=difference + 3.1,
        p_value=0.012,
        verdict=verdict,  # type: ignore[arg-type]
        questions=500,
    )


def point(step: int, score: float, *, name: str = "", over: int = 6000, possible: bool = True) -> CurvePoint:
    return CurvePoint(
        step=step,
        model=name or f"run-step{step}",
        score=score,
        lower=score - 5.0,
        upper=score + 4.0,
        questions=500,
        limits="fixed",
        gain=None if step == over else gain(score - 57.0, over),
        can_be_best=possible,
        first_share=0.71 if score == 61.2 else 0.1,
    )


POINTS = (point(6000, 57.0, possible=False), point(12000, 61.2), point(48000, 60.1))
PLATEAU = Plateau(since=12000, margin=2.0, upper=1.4, later_steps=1, more_questions=None)
KEEP = Keep(step=12000, model="run-step12000", loss=1.3, candidates=[12000, 48000])
CURVE = Curve(
    series="run",
    points=list(POINTS),
    best=12000,
    gain=POINTS[1].gain,
    plateau=PLATEAU,
    keep=KEEP,
    questions=500,
    warnings=["careful"],
)


def report(*curves: Curve, bench: str = "bench") -> CurveReport:
    return CurveReport(
        bench=bench,
        judges=["judge-x"],
        baseline="base",
        margin=2.0,
        weight=3,
        seed=42,
        curves=list(curves) or [CURVE],
        warnings=[],
    )


def with_plateau(curve: Curve = CURVE, **fields: object) -> Curve:
    return msgspec.structs.replace(curve, plateau=msgspec.structs.replace(curve.plateau, **fields))


def test_words_name_the_best_step_the_plateau_and_the_step_to_keep() -> None:
    assert curve_words(CURVE) == [
        "best so far: step 12,000, score 61.2 [56.2, 65.2] (+4.2 points [1.1, 7.3] over step 6,000)",
        "no further improvement since step 12,000 beyond 2 points: the one later step is better by at most 1.4",
        "keep step 12,000: it loses at most 1.3 points against the best of these steps with 95% confidence; the best "
        "is step 12,000 or 48,000 (highest in 71% of resampled question sets)",
    ]


def test_words_of_a_training_without_a_plateau_say_what_is_missing() -> None:
    open_one = with_plateau(since=None, upper=4.14, more_questions=3400)
    assert curve_words(open_one)[1] == (
        "no plateau shown: a later step may be better than step 12,000 by up to 4.1 points; about 3,400 more questions "
        "to exclude 2 points"
    )
    assert curve_words(with_plateau(since=None, later_steps=0))[1] == "no plateau shown: step 12,000 is the last one"
    assert "surely not better" in curve_words(with_plateau(upper=-0.4))[1]
    assert "the 3 later steps are better by at most 1.4" in curve_words(with_plateau(later_steps=3))[1]
    assert "beyond 1 point:" in curve_words(with_plateau(margin=1.0))[1]


def test_words_of_a_sure_best_step_have_no_number() -> None:
    sure = msgspec.structs.replace(CURVE, keep=msgspec.structs.replace(KEEP, candidates=[12000]), gain=None)
    words = curve_words(sure)
    assert words[0].endswith("the first step")
    assert words[2] == "keep step 12,000: the best of these steps with 95% confidence"


@pytest.mark.parametrize(
    ("step", "text"), [(0, "0"), (999, "999"), (1500, "1.5k"), (1234, "1234"), (12000, "12k"), (2_000_000, "2M")]
)
def test_steps_are_short_where_that_says_them_exactly(step: int, text: str) -> None:
    assert short_step(step) == text


def test_the_table_begins_with_words_and_fits_80_columns() -> None:
    text = format_curves(report(), "table", width=80)
    assert text.startswith("Best so far: step 12,000, score 61.2")
    assert max(map(text_width, text.splitlines())) <= 80
    assert "[56.2, 65.2]" in text
    assert "keep" in text
    assert "◆" in text
    assert "careful" not in text
    plain = format_curves(report(), "table", width=80, ascii_only=True)
    assert plain.isascii()
    assert "run-step12000" in format_curves(report(), "table", width=140)


def test_limits_of_a_step_that_was_stopped_early_are_marked() -> None:
    early = msgspec.structs.replace(POINTS[2], limits="any time")
    text = format_curves(report(msgspec.structs.replace(CURVE, points=[*POINTS[:2], early])), "table")
    assert "[55.1, 64.1]*" in text


def test_csv_has_a_line_for_each_checkpoint_of_every_training() -> None:
    other = msgspec.structs.replace(CURVE, series="other")
    rows = list(csv.DictReader(io.StringIO(format_curves(report(CURVE, other), "csv"))))
    assert [row["series"] for row in rows] == ["run"] * 3 + ["other"] * 3
    first, best, _ = rows[:3]
    assert (first["step"], first["gain_difference"], first["can_be_best"]) == ("6000", "", "false")
    assert (best["score"], best["gain_lower"], best["keep"], best["plateau_since"]) == ("61.2", "1.1", "true", "12000")


def test_hostile_names_stay_text_in_every_format() -> None:
    points = [point(step, 50.0 + step / 1e5, name=f"{HOSTILE}{step}", over=1) for step in (1, 2)]
    keep = Keep(step=2, model=points[1].model, loss=0.0, candidates=[2])
    hostile = msgspec.structs.replace(CURVE, series=HOSTILE, points=points, best=2, keep=keep)
    whole = report(hostile, bench=HOSTILE)
    for form in ("table", "json", "csv", "svg"):
        text = format_curves(msgspec.structs.replace(whole, baseline=HOSTILE), form, width=300)  # type: ignore[arg-type]
        assert "\x1b" not in text
    assert len(format_curves(whole, "csv").splitlines()) == 3
    assert all(not line.split(",")[0].startswith('"=') for line in format_curves(whole, "csv").splitlines()[1:])
    assert not any(line.startswith("=") for line in format_curves(whole, "csv").splitlines())
    root = ElementTree.fromstring(format_curves(whole, "svg"))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    drawn = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))
    assert "$\\frac{1}{2}$" in drawn
    assert "<script>" in drawn


def test_the_picture_is_the_same_for_the_same_report_and_says_the_words() -> None:
    text = format_curves(report(), "svg")
    assert text == format_curves(report(), "svg")
    root = ElementTree.fromstring(text)
    drawn = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))
    assert "keep step 12,000" in drawn
    assert "no further improvement since step 12,000 beyond 2 points" in drawn
    assert "/" not in [element.get("href", "") for element in root.iter()]


def lines(curve: Curve, width: int, rows: int, **options: object) -> list[str]:
    return ["".join(text for text, _ in line) for line in curve_plot(curve, width, rows, **options)]  # type: ignore[arg-type]


def test_the_plot_is_to_scale_with_the_baseline_and_the_steps_below() -> None:
    drawn = lines(CURVE, 60, 11, cursor="run-step48000")
    assert len(drawn) == 11 + 3
    assert all(len(line) <= 60 for line in drawn)
    best_row = next(row for row, line in enumerate(drawn) if "◆" in line)
    excluded_row = next(row for row, line in enumerate(drawn) if "○" in line)
    assert best_row < excluded_row
    assert any("┄" in line and line.lstrip().startswith("50") for line in drawn)
    assert drawn[-2].split() == ["6k", "12k", "48k"]
    ticks = [at for at, stroke in enumerate(drawn[-3]) if stroke == "┬"]
    assert (ticks[1] - ticks[0]) * 6 == pytest.approx(ticks[2] - ticks[1], rel=0.1)
    assert drawn[-1].index("▲") == ticks[2]


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.floats(5.0, 95.0), min_size=1, max_size=60),
    width=st.integers(10, 200),
    rows=st.integers(1, 40),
    stride=st.integers(0, 10**9),
)
def test_a_plot_of_any_size_keeps_its_width(scores: Sequence[float], width: int, rows: int, stride: int) -> None:
    points = [point(at * stride, score, name=f"m{at}") for at, score in enumerate(scores)]
    curve = msgspec.structs.replace(CURVE, points=points, keep=msgspec.structs.replace(KEEP, model="m0"))
    for marks in (ASCII_MARKS, None):
        options = {} if marks is None else {"marks": marks}
        drawn = lines(curve, width, rows, **options)
        assert len(drawn) == max(5, rows) + 2
        assert len({len(line) for line in drawn[:-2]}) == 1
        assert all(len(line) <= max(15, width) for line in drawn)
        assert sum(line.count("◆") + line.count("#") for line in drawn) == 1
