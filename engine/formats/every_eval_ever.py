"""Records of Every Eval Ever (schema 0.2.2): `data/<bench>/<developer>/<model>/<uuid>.json`, and its games as `.jsonl`.

The schema has no comparisons of two models yet. What this module writes in its place, and proposes, is described in
docs/formats.md: the aggregate is a `win_rate` whose `metric_parameters` name the opponent; an instance is one game, the
opponent's answer its reference, `score` what the model won (1, 0.5, 0), and `pairwise_*` keys of its metadata hold the
opponent, the judge, the order of the answers and the label.

Schemas: eval.schema.json and instance_level_eval.schema.json of evaleval/every_eval_ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from engine.bench.lines import encode_json
from engine.bench.names import file_stem
from engine.formats.published import LEVEL, TOOL, PublishedBench, document
from engine.formats.selection import RawRecord
from engine.labels import points_of_model
from engine.ratings.leaderboard import Row

SCHEMA = "0.2.2"
_UNKNOWN = "unknown"  # developer of a model whose name does not say it


class _Evaluation(NamedTuple):
    """What identifies the record of a model."""

    id: str
    file: UUID
    folder: Path
    now: str


def every_eval_ever_files(published: PublishedBench) -> Iterator[tuple[Path, Iterator[RawRecord] | bytes]]:
    """Yield the games and then the record of each rated model, which names the checksum of its games."""
    now = f"{time.time():.3f}"
    published.selection.note(
        "before you submit: set source_organization_name and evaluator_relationship, and model ids as developer/model"
    )
    for row in published.rows:
        developer, _, short = row.model.rpartition("/")
        folder = Path("data", file_stem(published.name), file_stem(developer or _UNKNOWN), file_stem(short))
        name = f"{published.name}/{row.model}/{now}"
        digest = bytearray(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        evaluation = _Evaluation(name, UUID(bytes=bytes(digest), version=4), folder, now)
        counted = _Counted(_instances(published, row, evaluation))
        yield folder / f"{evaluation.file}.jsonl", iter(counted)
        yield folder / f"{evaluation.file}.json", document(_aggregate(published, row, evaluation, counted))


class _Counted:
    """Passes records on, and keeps their number and the SHA-256 of their lines."""

    def __init__(self, records: Iterator[RawRecord]) -> None:
        self._records = records
        self._digest = sha256()
        self.rows = 0

    def __iter__(self) -> Iterator[RawRecord]:
        for record in self._records:
            self._digest.update(encode_json(record) + b"\n")
            self.rows += 1
            yield record

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()


def _aggregate(published: PublishedBench, row: Row, evaluation: _Evaluation, games: _Counted) -> RawRecord:
    judged_at = published.judged_at.get(row.model)
    record: RawRecord = {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation.id,
        "retrieved_timestamp": evaluation.now,
        "source_metadata": {
            "source_name": TOOL,
            "source_type": "evaluation_run",
            "source_organization_name": _UNKNOWN,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": TOOL, "version": published.version},
        "model_info": _model(row.model),
        "evaluation_results": [_result(published, row)],
    }
    if games.rows:
        record["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": f"{evaluation.file}.jsonl",
            "hash_algorithm": "sha256",
            "checksum": games.checksum,
            "total_rows": games.rows,
        }
    if judged_at is not None:
        record["evaluation_timestamp"] = f"{judged_at.timestamp():.3f}"
    return record


def _result(published: PublishedBench, row: Row) -> RawRecord:
    board = published.board
    return {
        "evaluation_result_id": _result_id(published),
        "evaluation_name": published.name,
        "source_data": _source(published),
        "metric_config": {
            "evaluation_description": f"Bradley-Terry win rate against {published.opponent}: each answer is compared "
            "with the opponent's in both orders",
            "metric_id": "arena_hard.win_rate",
            "metric_name": "Win rate",
            "metric_kind": "win_rate",
            "metric_unit": "percent",
            "metric_parameters": {
                "pairwise_opponent": published.opponent,
                "pairwise_orders": 1 if board.first_game_only is True else 2,
                "pairwise_estimator": "bradley_terry",
                "pairwise_strong_weight": board.weight,
            },
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 100.0,
            "llm_scoring": _scoring(published),
        },
        "score_details": {
            "score": round(row.score, 6),
            "details": {"games": str(row.games), "games_without_a_label": str(row.unparsed)},
            "uncertainty": {
                "confidence_interval": {
                    "lower": round(row.lower, 6),
                    "upper": round(row.upper, 6),
                    "confidence_level": LEVEL,
                    "method": published.limits,
                },
                "num_samples": row.questions,
                **({"num_bootstrap_samples": board.rounds} if board.ci != "sandwich" else {}),
            },
        },
        **_generation(published, row.model),
    }


def _scoring(published: PublishedBench) -> RawRecord:
    judges = []
    for judge in published.board.judges:
        settings = published.judge_settings(judge)
        config: RawRecord = {"model_info": _model(judge)}
        if isinstance(settings.get("temperature"), int | float):
            config["temperature"] = settings["temperature"]
        judges.append(config)
    prompts = {str(published.judge_settings(judge).get("prompt", _UNKNOWN)) for judge in published.board.judges}
    pooled = {"aggregation_method": "average"} if len(judges) > 1 else {}
    return {"judges": judges, "input_prompt": ", ".join(sorted(prompts)), **pooled}


def _generation(published: PublishedBench, model: str) -> RawRecord:
    sampling = published.sampling(model)
    known = {key: sampling[key] for key in ("temperature", "top_p", "max_tokens") if sampling.get(key) is not None}
    return {"generation_config": {"generation_args": known}} if known else {}


def _model(name: str) -> RawRecord:
    developer, _, _ = name.rpartition("/")
    return {"name": name, "id": name, **({"developer": developer} if developer else {})}


def _source(published: PublishedBench) -> RawRecord:
    source, count = published.source, len(published.selection.questions)
    if source is None or not source.revision:
        return {"dataset_name": published.name, "source_type": "other"}
    chosen = {"hf_config": source.subset, "hf_split": source.split, "hf_revision": source.revision}
    return {
        "dataset_name": published.name,
        "source_type": "hf_dataset",
        "hf_repo": published.hub_data_set,
        "samples_number": count,
        **{key: value for key, value in chosen.items() if value},
    }


def _result_id(published: PublishedBench) -> str:
    return f"{published.name}/win_rate"


def _instances(published: PublishedBench, row: Row, evaluation: _Evaluation) -> Iterator[RawRecord]:
    selection = published.selection
    for judge, model in selection.judged():
        if model != row.model:
            continue
        for question, judgment, _ in selection.judgments(judge, model):
            opponent = judgment.baseline or published.board.baseline
            answer = selection.answer(model, question.id)
            reference = selection.answer(opponent, question.id)
            turns = answer.turns if answer is not None else ()
            asked = "\n\n".join(question.shown)
            for number, game in enumerate(judgment.games, start=1):
                if game is None or game.label is None:
                    continue
                points = points_of_model(game.label, 1 if number % 2 else 2)
                opposing = ["\n\n".join(reference.turns)] if reference is not None else []
                yield {
                    "schema_version": f"instance_level_eval_{SCHEMA}",
                    "evaluation_id": evaluation.id,
                    "model_id": model,
                    "evaluation_name": published.name,
                    "evaluation_result_id": _result_id(published),
                    "sample_id": question.id,
                    "sample_hash": sha256((asked + "".join(opposing)).encode("utf-8", "surrogatepass")).hexdigest(),
                    "input": {"raw": asked, "reference": opposing},
                    **_interaction(question.turns, turns),
                    "answer_attribution": [
                        {
                            "turn_idx": max(0, 2 * len(turns) - 1) if len(turns) > 1 else 0,
                            "source": "messages[turn_idx].content" if len(turns) > 1 else "output.raw",
                            "extracted_value": game.label,
                            "extraction_method": "llm_judge",
                            "is_terminal": True,
                        }
                    ],
                    "evaluation": {
                        "score": points,
                        "is_correct": points > 0.5,
                        **({"num_turns": len(turns)} if len(turns) > 1 else {}),
                    },
                    "metadata": _metadata(question.category, opponent, judge, number, game.label, game.probabilities),
                }


def _interaction(asked: tuple[str, ...], answered: tuple[str, ...]) -> RawRecord:
    if len(answered) <= 1:
        return {"interaction_type": "single_turn", "output": {"raw": list(answered)}, "messages": None}
    messages = []
    for question, answer in zip(asked, answered, strict=False):
        messages += [("user", question), ("assistant", answer)]
    rows = [{"turn_idx": at, "role": role, "content": text} for at, (role, text) in enumerate(messages)]
    return {"interaction_type": "multi_turn", "output": None, "messages": rows}


def _metadata(
    category: str, opponent: str, judge: str, number: int, label: str, probabilities: dict[Any, float] | None
) -> dict[str, str]:
    found = {
        "pairwise_opponent": opponent,
        "pairwise_judge": judge,
        "pairwise_order": "opponent_first" if number % 2 else "model_first",
        "pairwise_label": label,
    }
    if category:
        found["category"] = category
    if probabilities is not None:
        found |= {f"pairwise_probability {each}": f"{value:.6g}" for each, value in probabilities.items()}
    return found
