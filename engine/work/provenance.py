"""What `runs/<id>.json` holds of a run, from its config, plan, servers and state; and what each call sent. Pure."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from engine.config.model import Config
from engine.config.resolved import shown_config
from engine.config.sampling import answer_sampling
from engine.models.discover import EndpointReport
from engine.redaction import masked, without_secrets
from engine.version import __version__
from engine.work.calls import answer_requests, judge_requests
from engine.work.costs import spent_by
from engine.work.plan import Plan, Scope
from engine.work.progress import RunState

if TYPE_CHECKING:
    from engine.serving.server import VllmServer


def sent_fields(config: Config, plan: Plan) -> dict[str, dict[str, Any]]:
    """Return by model its provider and the fields sent for `answers` (by category if they differ) and `judgments`."""
    sent: dict[str, dict[str, Any]] = {}
    for model in {task.key.model for task in plan.answers} & config.models.keys():
        by_category = {
            category: dict(answer_requests(config, model, answer_sampling(config, model, category)).fixed)
            for category in sorted({question.category for question in plan.questions})
        }
        first = next(iter(by_category.values()), {})
        is_one = all(fields == first for fields in by_category.values())
        sent[model] = {"provider": config.provider_name(model), "answers": first if is_one else by_category}
    mode = config.judge.mode
    kinds = {
        "text": mode.kind == "text" or mode.thinks_first,
        "verdict": mode.kind != "text" or mode.constrains_reasks,
    }
    for judge in plan.judging.keys() & config.models.keys():
        requests = judge_requests(config, judge)
        by_kind = {kind: dict(requests[kind].fixed) for kind, is_used in kinds.items() if is_used}
        sent.setdefault(judge, {"provider": config.provider_name(judge)})["judgments"] = by_kind
    return {name: without_secrets(fields) for name, fields in sorted(sent.items())}


def run_record(
    config: Config,
    scope: Scope,
    plan: Plan,
    reports: Mapping[str, Sequence[EndpointReport]],
    servers: Iterable[VllmServer],
    state: RunState,
) -> dict[str, Any]:
    """Return the record as plain JSON. `reports` are those of the endpoints of each model when it was found."""
    return {
        "started": state.started_at or None,
        "ended": state.ended_at or None,
        "outcome": state.phase,
        "arena_tui": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "bench": config.bench,
        "questions": len(plan.questions),
        "scope": {
            **vars(scope),
            "refresh": sorted(scope.refresh),
            "until": str(scope.until) if scope.until else None,
            "repeats": str(scope.repeats),
        },
        "config": shown_config(config),
        "resolved": shown_config(config, defaults=True),
        "set": dict(sorted(config.origins.items())),
        "settings": dict(plan.settings),
        "sent": sent_fields(config, plan),
        "models": {
            name: [_endpoint(config, name, report, state) for report in found] for name, found in reports.items()
        },
        "servers": [_server(server, state) for server in servers],
        "tasks": [{**asdict(key), **asdict(task)} for key, task in state.tasks.items()],
        "error_control": asdict(state.error_control) if state.stop_rule else None,
        "standings": {model: asdict(known) for model, known in state.standings.items()},
        "calls": state.calls,
        "cost": spent_by(config, state.endpoints),
        "device_hours": round(state.device_seconds / 3600, 4),
        "prompt_tokens": state.prompt_tokens,
        "completion_tokens": state.completion_tokens,
    }


def _endpoint(config: Config, name: str, report: EndpointReport, state: RunState) -> dict[str, Any]:
    served = next((model for model in report.models if model.id == config.served_name(name)), None)
    traffic = state.endpoints.get((name, report.url))
    return {
        "address": report.url,
        "served_name": config.served_name(name),
        "root": served.root if served else None,
        "max_model_len": report.max_model_len,
        "vllm": report.version,
        "system_fingerprints": list(traffic.fingerprints) if traffic else [],
        "calls": traffic.calls if traffic else 0,
        "errors": traffic.errors if traffic else 0,
    }


def _server(server: VllmServer, state: RunState) -> dict[str, Any]:
    seen = state.servers.get(server.name)
    return {
        "name": server.name,
        "models": list(server.spec.entries),
        "model": server.spec.model,
        "command": masked(server.command),
        "environment": sorted(server.spec.environment),
        "gpus": seen.devices if seen else "",
        "starts": seen.starts if seen else 0,
        "started_in": round(seen.started_in, 2) if seen and seen.started_in is not None else None,
        "kv_cache_tokens": server.startup.kv_cache_tokens,
    }
