"""Export for AlpacaEval: `<model>/model_outputs.json`, and `<model>/<judge>/annotations.json` for each judge.

An annotation always has the baseline as its first output, as AlpacaEval's win rate expects, whatever place the answers
had in the game; there is one for each game with a verdict, and `game` and `label` tell which and how strong.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.bench.names import file_stem
from engine.exporting.output import Output
from engine.exporting.selection import RawRecord, Selection
from engine.labels import points_of_model
from engine.records import Question

_PREFERENCES = {0.0: 1, 0.5: 0, 1.0: 2}  # by the points of the model, the second output


def export_alpaca_eval(selection: Selection, output: Output) -> None:
    """Write the files of every model of the selection, the baseline (AlpacaEval's reference) among them."""
    selection.only_single_turns("AlpacaEval")
    for model in selection.models:
        output.array(output.root / file_stem(model) / "model_outputs.json", _outputs(selection, model))
    for judge in selection.judges:
        for model in selection.judged_models(judge):
            place = output.root / file_stem(model) / file_stem(judge) / "annotations.json"
            output.array(place, _annotations(selection, judge, model))


def _outputs(selection: Selection, model: str) -> Iterator[RawRecord]:
    for question, answer, _ in selection.answers(model):
        yield {
            "dataset": selection.bench.name,
            "instruction": _instruction(question),
            "output": answer.turns[-1],
            "generator": model,
        }


def _annotations(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    for question, judgment, _ in selection.judgments(judge, model):
        theirs = selection.answer(selection.baseline, question.id)
        ours = selection.answer(model, question.id)
        for number, game in enumerate(judgment.games, start=1):
            if game is None or game.label is None:
                continue
            yield {
                "dataset": selection.bench.name,
                "instruction": _instruction(question),
                "output_1": theirs.turns[-1] if theirs else None,
                "generator_1": selection.baseline,
                "output_2": ours.turns[-1] if ours else None,
                "generator_2": model,
                "annotator": judge,
                "preference": _PREFERENCES[points_of_model(game.label, number)],
                "game": number,
                "label": game.label,
            }


def _instruction(question: Question) -> str:
    return question.turns[0]
