"""The gate passes what is shown not to be worse, fails the rest, and refuses to compare what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from engine.errors import GateRefused, UsageProblem
from engine.ratings.evidence import Evidence, ModelEvidence, Result
from engine.ratings.gate import GateOptions, gate, least_margin

COUNT = 100


def model(share: float, **changes: object) -> ModelEvidence:
    """A model that wins about `share` of the questions, spread evenly."""
    won = [2.0 if int((n + 1) * share) > int(n * share) else 0.0 for n in range(COUNT)]
    base = ModelEvidence(won=list(won), total=[2.0] * COUNT, settings={"judge": ["s1"]}, sampling=["t1"])
    return msgspec.structs.replace(base, **changes)


def result(**models: ModelEvidence) -> Result:
    found = Evidence(
        soft=False,
        questions=[f"q{n}" for n in range(COUNT)],
        compared_with=[f"text {n}" for n in range(COUNT)],
        models=models,
    )
    return Result(bench="bench", judges=["judge"], baseline="base", weight=3, evidence=found)


def changed(one: Result, **evidence: object) -> Result:
    return msgspec.structs.replace(one, evidence=msgspec.structs.replace(one.evidence, **evidence))


def without(one: ModelEvidence, count: int) -> ModelEvidence:
    """The same, the first questions never judged."""
    return msgspec.structs.replace(one, won=[None] * count + one.won[count:], total=[None] * count + one.total[count:])


def refusal(*arguments: object, **options: object) -> str:
    with pytest.raises(GateRefused) as refused:
        gate(*arguments, GateOptions(**options))  # type: ignore[arg-type]
    return str(refused.value)


def test_a_model_that_is_as_good_passes_and_one_that_is_far_worse_fails() -> None:
    now = result(old=model(0.6), same=model(0.6), worse=model(0.2))
    report = gate(now, ["same"], "old", GateOptions(margin=12.0))
    assert (report.passed, report.checks[0].finding) == (True, "not worse")
    report = gate(now, ["same", "worse"], "old", GateOptions(margin=12.0))
    assert (report.passed, [check.finding for check in report.checks]) == (False, ["not worse", "worse"])


def test_what_is_not_shown_fails_and_says_how_many_questions_it_takes() -> None:
    now = result(old=model(0.50), new=model(0.51))
    (check,) = gate(now, ["new"], "old", GateOptions(margin=1.0)).checks
    assert check.finding == "not shown"
    assert check.lower < -1.0 < check.difference
    assert check.questions_needed is not None
    assert check.questions_needed > COUNT
    assert gate(now, ["new"], "old", GateOptions(margin=20.0)).passed


def test_the_default_is_every_model_against_the_baseline() -> None:
    report = gate(result(good=model(0.9), bad=model(0.1)), (), None, GateOptions(margin=2.0))
    assert [(check.model, check.reference, check.finding) for check in report.checks] == [
        ("good", "base", "not worse"),
        ("bad", "base", "worse"),
    ]
    assert report.checks[0].reference_score == 50.0
    assert report.checks[0].difference == pytest.approx(40.0)


def test_a_stored_result_is_the_reference_of_the_same_name_or_of_the_one_that_is_named() -> None:
    stored, now = result(m=model(0.7), other=model(0.1)), result(m=model(0.7))
    assert gate(now, (), None, GateOptions(margin=5.0), stored).passed
    (check,) = gate(now, ["m"], "other", GateOptions(margin=5.0), stored).checks
    assert check.difference == pytest.approx(60.0)
    with pytest.raises(UsageProblem, match="no judgments of new"):
        gate(result(new=model(0.5)), (), None, GateOptions(), stored)


def test_a_model_whose_judgments_are_the_stored_ones_has_not_changed() -> None:
    report = gate(result(m=model(0.7)), (), None, GateOptions(margin=0.0), result(m=model(0.7)))
    assert (report.passed, report.checks[0].lower, report.checks[0].upper) == (True, 0.0, 0.0)
    other = gate(result(n=model(0.7)), (), "m", GateOptions(margin=2.0), result(m=model(0.7)))
    assert not other.passed, "another model with the same points is another model"


def test_the_least_margin_is_the_one_from_which_on_a_model_passes() -> None:
    now = result(old=model(0.5), new=model(0.45))
    least = least_margin(now, "new", "old")
    assert least > 5.0
    assert gate(now, ["new"], "old", GateOptions(margin=least + 0.01)).passed
    assert not gate(now, ["new"], "old", GateOptions(margin=least - 0.01)).passed
    assert least_margin(result(good=model(0.99)), "good", "base") == 0.0


def test_a_report_can_be_the_stored_result_of_the_next_gate() -> None:
    report = gate(result(old=model(0.6), new=model(0.6)), ["new"], "old", GateOptions(margin=5.0))
    stored = msgspec.json.decode(msgspec.json.encode(report), type=Result)
    assert gate(result(new=model(0.6)), (), None, GateOptions(margin=5.0), stored).passed


def test_missing_judgments_are_refused_unless_so_many_are_allowed() -> None:
    now = result(old=model(0.6), new=without(model(0.6), 3))
    assert "missing coverage: of 100 questions new has no judgment on 3" in refusal(now, ["new"], "old", margin=9.0)
    assert gate(now, ["new"], "old", GateOptions(margin=9.0, allow_missing=3)).checks[0].questions == 97
    turned = result(old=without(model(0.6), 2), new=model(0.6))
    assert "old has no judgment on 2" in refusal(turned, ["new"], "old")
    assert "new has no judgment on 3" in refusal(now, ["new"], "base"), "the baseline was compared on all of them"


def test_questions_without_a_verdict_are_left_out_and_refused_where_they_are_many() -> None:
    silent = model(0.6)
    few = msgspec.structs.replace(silent, won=[0.0] * 5 + silent.won[5:], total=[0.0] * 5 + silent.total[5:])
    many = msgspec.structs.replace(silent, won=[0.0] * 6 + silent.won[6:], total=[0.0] * 6 + silent.total[6:])
    assert gate(result(old=silent, new=few), ["new"], "old", GateOptions(margin=9.0)).checks[0].questions == 95
    assert "new has no label on 6 of 100" in refusal(result(old=silent, new=many), ["new"], "old")


def test_too_few_questions_are_refused() -> None:
    now = result(old=without(model(0.6), 75), new=without(model(0.6), 75))
    assert "have 25 in common, at least 30" in refusal(now, ["new"], "old", margin=9.0)
    assert gate(now, ["new"], "old", GateOptions(margin=30.0, min_questions=25)).checks[0].questions == 25


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda r: msgspec.structs.replace(r, judges=["other"]),
            "another judge: other in the stored result, judge here",
        ),
        (lambda r: msgspec.structs.replace(r, baseline="m2"), "another baseline: m2 in the stored result, base here"),
        (lambda r: msgspec.structs.replace(r, weight=1), "another weight of a strong label: 1"),
        (lambda r: msgspec.structs.replace(r, first_game_only=True), "another games: first game only"),
        (lambda r: changed(r, soft=True), "another kind of points: expected"),
        (lambda r: changed(r, compared_with=["new text", *r.evidence.compared_with[1:]]), "other texts: 1 questions"),
        (
            lambda r: changed(r, models={"m": model(0.6, settings={"judge": ["s2"]})}),
            "another prompt or other settings",
        ),
        (lambda r: changed(r, models={"m": model(0.6, sampling=["t2"])}), "answers of m were made with other settings"),
        (lambda r: changed(r, models={"m": model(0.6, settings={"judge": ["s1", "s2"]})}), "with different settings"),
    ],
)
def test_a_stored_result_of_another_contest_is_refused(change: Callable[[Result], Result], reason: str) -> None:
    now = result(m=model(0.6))
    stored = change(now)
    with pytest.raises(GateRefused) as refused:
        gate(now, ["m"], "m", GateOptions(margin=20.0), stored)
    assert reason in str(refused.value)


def test_all_reasons_are_reported_at_once_and_settings_in_words() -> None:
    now = result(m=model(0.6))
    other = result(m=without(model(0.6, settings={"judge": ["s0"]}), 1))
    stored = msgspec.structs.replace(other, weight=1)
    with pytest.raises(GateRefused) as refused:
        gate(now, (), None, GateOptions(), stored, lambda old, new: f"from {old} to {new}")
    assert len(refused.value.reasons) == 3
    assert any("from s0 to s1" in reason for reason in refused.value.reasons)


def test_other_answer_settings_can_be_allowed_and_unknown_ones_are_warned_of() -> None:
    now, stored = result(m=model(0.6)), result(m=model(0.6, sampling=["t2"]))
    assert gate(now, (), None, GateOptions(margin=9.0, any_sampling=True), stored).passed
    unknown = changed(result(m=model(0.6, settings={"judge": [None]})), compared_with=[None] * COUNT)
    report = gate(now, (), None, GateOptions(margin=9.0), unknown)
    assert [warning.split(" whether ")[1][:10] for warning in report.warnings] == ["all judgme", "the questi"]


@pytest.mark.parametrize(
    ("models", "reference", "reason"),
    [
        (["nobody"], "old", "nobody has no judgments to check"),
        (["old"], "old", "cannot be checked against itself"),
        (["old"], "nobody", "no judgments of the reference nobody"),
    ],
)
def test_unknown_models_are_reported(models: list[str], reference: str, reason: str) -> None:
    with pytest.raises(UsageProblem, match=reason):
        gate(result(old=model(0.6), new=model(0.6)), models, reference, GateOptions())


def test_damaged_evidence_is_reported() -> None:
    good = result(m=model(0.6)).evidence
    assert good.problem() == ""
    for broken in (
        msgspec.structs.replace(good, compared_with=[]),
        msgspec.structs.replace(good, questions=["q"] * COUNT),
        msgspec.structs.replace(good, models={"m": msgspec.structs.replace(model(0.6), won=[1.0])}),
        msgspec.structs.replace(good, models={"m": msgspec.structs.replace(model(0.6), won=[9.0] * COUNT)}),
        msgspec.structs.replace(good, models={"m": msgspec.structs.replace(model(0.6), won=[None] * COUNT)}),
    ):
        assert broken.problem() != ""
