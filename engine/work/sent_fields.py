"""What was sent with every call of a run beside the messages: the whole of the sampling, in the server's own words."""

from __future__ import annotations

from typing import Any

from engine.config.model import Config
from engine.config.sampling import answer_sampling
from engine.work.ask_game import judge_requests
from engine.work.play import answer_requests
from engine.work.survey import Survey


def sent_fields(config: Config, plan: Survey) -> dict[str, dict[str, Any]]:
    """By model: its provider, the fields of its `answers` (by category where they differ), and of its `judgments`."""
    told: dict[str, dict[str, Any]] = {}
    for model in {task.task.model for task in plan.answers} & config.models.keys():
        by_category = {
            category: dict(answer_requests(config, model, answer_sampling(config, model, category)).fixed)
            for category in sorted({question.category for question in plan.questions})
        }
        first = next(iter(by_category.values()), {})
        is_one = all(fields == first for fields in by_category.values())
        told[model] = {"provider": config.provider_name(model), "answers": first if is_one else by_category}
    mode = config.judge.mode
    kinds = {
        "text": mode.kind == "text" or mode.thinks_first,
        "verdict": mode.kind != "text" or mode.constrains_reasks,
    }
    for judge in plan.judging.keys() & config.models.keys():
        requests = judge_requests(config, judge)
        sent = {kind: dict(requests[kind].fixed) for kind, is_used in kinds.items() if is_used}
        told.setdefault(judge, {"provider": config.provider_name(judge)})["judgments"] = sent
    return dict(sorted(told.items()))
