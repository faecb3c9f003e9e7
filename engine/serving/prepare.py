"""From a config to the plan of its servers on this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine.config.model import Config
from engine.errors import ConfigError
from engine.serving.gpus import gpu_indices
from engine.serving.layout import ServerPlan, plan_servers
from engine.serving.specs import server_specs, spec_problems


def server_plan(config: Config, names: Iterable[str], judging: Collection[str]) -> ServerPlan:
    """The servers that the entries `names` need, with those of `judging` behind the others.

    Asks the driver which GPUs there are: not for the event loop. Raises ConfigError for what can never be served here.
    """
    specs = server_specs(config, names)
    if not specs:
        return ServerPlan()
    gpus = gpu_indices()
    problems = spec_problems(config, specs, gpus)
    if problems:
        raise ConfigError(str(config.file or "config"), problems)
    return plan_servers(specs, judging, gpus, config.vllm.gpus)
