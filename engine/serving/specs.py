"""What a server is, told from the config: which model, for which entries, with which flags, on how many GPUs. Pure.

Entries that name the same model with the same [serve] table (they differ in sampling or system prompt) share a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.model import Config, ServeConfig
from engine.errors import ConfigProblem

VLLM_SHARE = 0.92  # of a GPU's memory, where nobody says otherwise
_SECRET_FLAG = re.compile(r"--\S*(token|key|secret|password)$", re.IGNORECASE)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, eq=False)
class ServerSpec:
    """One model that is to be served, in `replicas` servers of `gpus_each` GPUs.

    `share` is the part of each GPU's memory that a server takes. `pinned` are the GPUs that the config names, if it
    does. `arguments` are those of `vllm serve` behind the model, but for host, port and names.
    """

    name: str
    entries: tuple[str, ...]
    model: str
    is_folder: bool
    served_names: tuple[str, ...]
    arguments: tuple[str, ...]
    serve: ServeConfig
    gpus_each: int
    replicas: int
    share: float
    pinned: tuple[int, ...] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the config adds. They may be secrets."""
        return {name: value.get_secret_value() for name, value in self.serve.env.items()}


def server_specs(config: Config, names: Iterable[str]) -> list[ServerSpec]:
    """The servers for those of the entries `names` that arena-tui serves itself, in that order."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name in names:
        serve = config.models[name].serve
        if serve is not None:
            what = serve.model_dump_json() + repr(sorted((k, v.get_secret_value()) for k, v in serve.env.items()))
            alone = name if config.models[name].endpoints else ""  # its port is its own
            grouped.setdefault((config.served_name(name), what + alone), []).append(name)
    return [_spec(config, tuple(entries)) for entries in grouped.values()]


def _spec(config: Config, entries: tuple[str, ...]) -> ServerSpec:
    serve = config.models[entries[0]].serve
    assert serve is not None
    model = config.served_name(entries[0])
    folder = model_folder(config, model)
    arguments = list(serve.args)
    tensor = serve.tensor_parallel or _number(serve.args, "--tensor-parallel-size", "-tp")
    data = serve.data_parallel or _number(serve.args, "--data-parallel-size", "-dp") or 1
    pipeline = _number(serve.args, "--pipeline-parallel-size", "-pp") or 1
    if tensor is None:  # the GPUs that are named are meant to be used
        tensor = max(1, len(serve.gpus or ()) // (serve.replicas * data * pipeline))
    for flag, value in (("--tensor-parallel-size", tensor), ("--data-parallel-size", data)):
        short = "-tp" if flag.startswith("--t") else "-dp"
        if value > 1 and _text(serve.args, flag, short) is None:
            arguments += [flag, str(value)]
    told = _text(serve.args, "--gpu-memory-utilization")
    if serve.memory is not None and told is None:
        arguments += ["--gpu-memory-utilization", f"{serve.memory:g}"]
    return ServerSpec(
        name=entries[0],
        entries=entries,
        model=str(folder) if folder else model,
        is_folder=folder is not None,
        served_names=(model,),
        arguments=tuple(arguments),
        serve=serve,
        gpus_each=tensor * data * pipeline,
        replicas=serve.replicas,
        share=serve.memory or _share(told),
        pinned=tuple(serve.gpus) if serve.gpus is not None else None,
    )


def model_folder(config: Config, model: str) -> Path | None:
    """The folder that a model's name is the path of; None for a name of the hub.

    What looks like a path is one, also if nothing is there; else it is one if there is such a folder beside the config.
    """
    beside = config.file.parent if config.file else Path()
    path = beside / Path(model).expanduser()
    looks_like_path = model.startswith(("/", "./", "../", "~")) or not _HUB_NAME.fullmatch(model)
    return path.resolve() if looks_like_path or path.is_dir() else None


def spec_problems(config: Config, specs: Sequence[ServerSpec], gpus: Sequence[int] | None) -> list[ConfigProblem]:
    """What keeps a server from ever starting on this machine, whose GPUs are `gpus` (None: it has none)."""
    problems = []
    for spec in specs:
        at = f"models.{spec.name}"
        if spec.is_folder and not Path(spec.model).exists():
            problems.append(ConfigProblem(f"{at}.model", f"there is no {spec.model}", "check the path of the model"))
        elif spec.is_folder and not (Path(spec.model) / "config.json").exists() and Path(spec.model).is_dir():
            problems.append(
                ConfigProblem(f"{at}.model", f"{spec.model} holds no config.json", "name the folder of a saved model")
            )
        need = spec.gpus_each * spec.replicas
        allowed = config.vllm.gpus if config.vllm.gpus is not None else gpus
        usable = spec.pinned or allowed
        if spec.pinned and allowed is not None and (strange := sorted(set(spec.pinned) - set(allowed))):
            problems.append(
                ConfigProblem(f"{at}.serve.gpus", f"there is no GPU {strange[0]} to use", f"there are {list(allowed)}")
            )
        if usable is not None and need > len(usable):
            problems.append(
                ConfigProblem(
                    f"{at}.serve",
                    f"needs {need} GPUs ({spec.replicas} servers of {spec.gpus_each}), and {len(usable)} may be used",
                    "lower `replicas`, `tensor_parallel` or `data_parallel`, or name more `gpus`",
                )
            )
    return problems


def masked(arguments: Sequence[str]) -> list[str]:
    """Arguments as they may be shown and kept: without the values of flags that name a secret."""
    shown: list[str] = []
    hide = False
    for argument in arguments:
        flag, equals, _ = argument.partition("=")
        is_secret = bool(_SECRET_FLAG.match(flag))
        shown.append(
            "***" if hide and not argument.startswith("-") else f"{flag}=***" if is_secret and equals else argument
        )
        hide = is_secret and not equals
    return shown


def _text(arguments: Sequence[str], *flags: str) -> str | None:
    """The value of a flag, written `--flag value` or `--flag=value`; underscores count as dashes, as vLLM has it."""
    value = None
    for at, argument in enumerate(arguments):
        flag, equals, rest = argument.partition("=")
        if flag.replace("_", "-") in flags:
            value = rest if equals else (arguments[at + 1] if at + 1 < len(arguments) else None)
    return value


def _number(arguments: Sequence[str], *flags: str) -> int | None:
    told = _text(arguments, *flags)
    return int(told) if told is not None and told.isdecimal() and int(told) > 0 else None


def _share(told: str | None) -> float:
    try:
        share = float(told) if told is not None else VLLM_SHARE
    except ValueError:
        return VLLM_SHARE
    return min(1.0, share) if share > 0 else VLLM_SHARE
