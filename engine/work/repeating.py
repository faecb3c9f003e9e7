"""What keeps repeated answers and judgments from showing any noise: reported by the plan, before they are paid for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from engine.bench.stored import ListedAnswer
from engine.config.model import Config
from engine.config.sampling import answer_sampling, judge_sampling
from engine.errors import Advice, AdviceKind
from engine.records import Question
from engine.repeats import Repeats
from engine.work.participants import Participants, has_endpoint


def repeat_cautions(
    config: Config,
    participants: Participants,
    repeats: Repeats,
    questions: Sequence[Question],
    stored: Mapping[str, Mapping[str, ListedAnswer]],
    coming: Mapping[str, Collection[str]],
) -> Iterator[str]:
    """Yield why the repeats of a model or a judge will be alike, or will not be made.

    `stored` are the answers on disk and `coming` the questions that get answers in this run, both by model.
    """
    models = dict.fromkeys((*participants.baselines, *participants.judged))
    if repeats.answers > 1:
        for model in models:
            yield from _single_answers(config, model, repeats, questions, stored.get(model, {}), coming.get(model, ()))
        greedy = [model for model in models if coming.get(model) and _is_greedy(config, model, questions)]
        if greedy:
            yield (
                f"{', '.join(greedy)}: answers at temperature 0 are the same text each time, so their repeats show no "
                "noise; set a temperature in [answers] or the model's table"
            )
    if repeats.judgments > 1:
        for judge in participants.judges:
            if why := _same_verdicts(config, judge):
                yield f"{judge}: {why}, so repeats show no noise of the judge"


def _single_answers(
    config: Config,
    model: str,
    repeats: Repeats,
    questions: Sequence[Question],
    stored: Mapping[str, ListedAnswer],
    coming: Collection[str],
) -> Iterator[str]:
    """Report answers on disk that get no further choices."""
    few = [
        answer
        for question in questions
        if question.id not in coming and (answer := stored.get(question.id)) and answer.count < repeats.answers
    ]
    if not few:
        return
    text = f"{model}: {len(few)} of {len(questions)} answers are not repeated"
    if not has_endpoint(config, model):
        yield f"{text}: the model has no endpoint; judgments of the answers on disk are"
    elif foreign := sum(answer.settings is None for answer in few):
        yield f"{text}: {foreign} were made by another program, with unknown settings"
    else:
        yield Advice(
            f"{text}: they were made with other settings than today's; recreate them", AdviceKind.REFRESH_STALE
        )


def _is_greedy(config: Config, model: str, questions: Sequence[Question]) -> bool:
    categories = {question.category for question in questions}
    return all(answer_sampling(config, model, category).temperature == 0 for category in categories)


def _same_verdicts(config: Config, judge: str) -> str:
    mode = config.judge.mode
    if mode.kind == "soft" and not mode.thinks_first:
        return "soft verdicts are read before anything is sampled"
    if judge_sampling(config, judge).temperature == 0:
        return "verdicts at temperature 0 are the same each time (set temperature in [judge] or the judge's table)"
    return ""
