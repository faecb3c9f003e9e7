"""Export for AlpacaEval: `<model>/model_outputs.json`, and `<model>/<judge>/annotations.json` for each judge.

An annotation always has the baseline as its first output, as AlpacaEval's win rate expects, whatever the order of the
answers in the game. There is one for each game with a label; `game` and `label` give its number and the label.

`preference` is 1, 2 or, for a tie, 0. Where the judge gave probabilities it is soft, as AlpacaEval 2 has it: 1 + P, in
which P is the probability that the second output is better (of a tie one half).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.bench.names import file_stem
from engine.formats.selection import FileRecords, RawRecord, Selection
from engine.formats.tables import expected_points
from engine.labels import points_of_model

_PREFERENCES = {0.0: 1, 0.5: 0, 1.0: 2}  # by the points of the model, the second output


def alpaca_eval_files(selection: Selection) -> Iterator[FileRecords]:
    """Yield the files of every model of the selection, the baseline (AlpacaEval's reference) among them."""
    selection.drop_questions_of_several_turns("AlpacaEval")
    if selection.pairing.is_split:
        selection.note(
            "the reference of an annotation depends on the category: AlpacaEval's win rate is over all of them"
        )
    for model in selection.models:
        yield Path(file_stem(model), "model_outputs.json"), _outputs(selection, model)
    for judge, model in selection.judged():
        yield Path(file_stem(model), file_stem(judge), "annotations.json"), _annotations(selection, judge, model)


def _outputs(selection: Selection, model: str) -> Iterator[RawRecord]:
    for question, answer, _ in selection.answers(model):
        yield {
            "dataset": selection.bench.name,
            "instruction": question.shown[0],
            "output": answer.turns[-1],
            "generator": model,
        }


def _annotations(selection: Selection, judge: str, model: str) -> Iterator[RawRecord]:
    for question, judgment, _ in selection.judgments(judge, model):
        baseline = selection.baseline_of(question.id)
        baseline_answer = selection.answer(baseline, question.id)
        answer = selection.answer(model, question.id)
        for number, game in enumerate(judgment.games, start=1):
            if game is None or game.label is None:
                continue
            order, odds = 1 if number % 2 else 2, game.probabilities
            hard = _PREFERENCES[points_of_model(game.label, order)]
            yield {
                "dataset": selection.bench.name,
                "instruction": question.shown[0],
                "output_1": baseline_answer.turns[-1] if baseline_answer else None,
                "generator_1": baseline,
                "output_2": answer.turns[-1] if answer else None,
                "generator_2": model,
                "annotator": judge,
                "preference": hard if odds is None else 1.0 + expected_points(odds, order),
                "game": number,
                "label": game.label,
                **({"probabilities": odds} if odds is not None else {}),
            }
