"""Checks of config, bench, endpoints, vLLM, GPUs and disk: what was examined, what was found, what to do."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal, TypeAlias

import aiohttp
import msgspec

from engine.bench import Bench
from engine.bench.repair import examine_bench
from engine.config.model import Config
from engine.config.requests import read_choice
from engine.errors import Advice, AdviceKind, ArenaError, CallFailed, ConfigError, StorageError, listed
from engine.judging.influence import influences
from engine.judging.verdicts import LEAST_LABEL_MASS, choices, read_first_token
from engine.models.connection import FAULTS, LARGEST_ERROR, fetch, open_session
from engine.models.discover import probe
from engine.models.endpoint import Endpoint
from engine.models.refusal import readable
from engine.models.reply import read_reply
from engine.models.tokens import load_counter
from engine.records import Completion
from engine.serving.gpus import GpuQueryFailed, has_driver, query_gpus
from engine.serving.listing import EndpointListing, endpoints_of
from engine.serving.model_folder import folder_problems
from engine.serving.plan import server_plan, server_specs
from engine.work.calls import judge_requests
from engine.work.plan import Scope, make_plan

BOUND_MASS = 0.98
BINDING_SECONDS = 60.0  # for the call that shows whether labels are enforced
Status: TypeAlias = Literal["ok", "note", "problem"]
LOOKED_AT = 300  # answers
LITTLE_DISK = 2 * 2**30  # bytes: a bench of 500 questions and 20 models takes about 0.2 GiB


class Check(msgspec.Struct, frozen=True):
    """One finding. A `note` does not stop a run, a `problem` does (or will)."""

    status: Status
    subject: str
    text: str
    hint: str = ""


async def examine(config: Config) -> AsyncIterator[Check]:
    """Yield every check of a loaded config, in the order in which a run needs its parts. Blocks no event loop."""
    yield Check("ok", "config", f"{config.file or 'the config'} is valid")
    for check in await asyncio.to_thread(lambda: list(_bench_checks(config))):
        yield check
    for check in _verdict_checks(config):
        yield check
    async with open_session() as session:
        for check in await _endpoint_checks(config, session):
            yield check
        for check in await _binding_checks(config, session):
            yield check
    for check in await asyncio.to_thread(lambda: list(_machine_checks(config))):
        yield check
    counter = await load_counter()
    if counter is not None:
        yield Check("ok", "tokens", f"answer lengths are counted with {counter.name}, as the original does")
    else:
        yield Check(
            "note",
            "tokens",
            "the cl100k_base table is missing and cannot be downloaded; token counts of the servers are used",
            "to count as the original does, set TIKTOKEN_CACHE_DIR to a folder with the table",
        )
    yield _disk_check(config)


def _bench_checks(config: Config) -> Iterator[Check]:
    try:
        bench = Bench.open(config.data, config.bench)
        found = make_plan(config, bench, Scope())
    except ArenaError as error:
        yield Check("problem", "bench", error.title, error.hint)
        return
    yield Check("ok", "bench", f"{bench.paths.root}: {len(found.questions)} questions")
    for warning in found.warnings:
        yield Check("note", "bench", warning)
    yield from _damage_checks(bench)
    if config.judge.fence == "none":
        yield from _influence_checks(bench)
    for task in (*found.answers, *found.judgments):
        missing = task.total - task.cached
        who = f"{task.key.stage} of {task.key.model}" + (f" by {task.key.judge}" if task.key.judge else "")
        stale = f", {task.stale} made with other settings" if task.stale else ""
        yield Check("ok", "bench", f"{who}: {task.cached} of {task.total} cached{stale}, {missing} missing")


def _influence_checks(bench: Bench) -> Iterator[Check]:
    """Yield a note if some answers, of a sample, seem to influence the judge."""
    models = bench.models_with_answers()
    each = max(1, LOOKED_AT // max(1, len(models)))
    kinds: Counter[str] = Counter()
    suspects: Counter[str] = Counter()
    looked_at = 0
    for model in models:
        answers = list(bench.answers(model).items.values())
        for answer in answers[:: max(1, len(answers) // each)][:each]:
            looked_at += 1
            found = {kind for turn in answer.turns for kind in influences(turn)}
            kinds.update(found)
            suspects[model] += bool(found)
    if count := suspects.total():
        what = ", ".join(f"{kind}: {number}" for kind, number in kinds.most_common())
        who = listed([f"{model} ({number})" for model, number in suspects.most_common() if number])
        yield Check(
            "note",
            "influence",
            f"{count} of {looked_at} answers looked at may address the judge ({what}): {who}",
            'see them in an audit; `fence = "nonce"` in [judge] keeps what they write from ending their section',
        )


def _damage_checks(bench: Bench) -> Iterator[Check]:
    """Yield a note for each damaged file; the warnings, or the repair, list its lines."""
    for repair in examine_bench(bench.paths):
        hint = Advice("repair it; the original is kept beside it", AdviceKind.REPAIR)
        first = str(repair.damage[0])
        more = f", and {len(repair.damage) - 1} more" if len(repair.damage) > 1 else ""
        yield Check("note", "damage", f"{first}{more}", hint if repair.mendable else "save it as UTF-8")


def _verdict_checks(config: Config) -> Iterator[Check]:
    """Yield how the verdicts of each judge are obtained; an impossible kind is an error of the config."""
    kind = config.judge.verdict
    for judge in config.judge.model:
        provider, name = config.provider(judge), config.provider_name(judge)
        how = {
            "text": f"a label is read by the rule {config.judge.labels!r}",
            "constrained": f"a label and nothing else, enforced by {name}'s {provider.constraint}",
            "soft": f"probabilities of all labels, by {name}'s log-probabilities",
        }[kind]
        before = ", after a free text" if config.judge.mode.thinks_first else ""
        yield Check("ok", f"verdicts of {judge}", f"{kind}: {how}{before}")


async def _endpoint_checks(config: Config, session: aiohttp.ClientSession) -> list[Check]:
    """Probe all endpoints at once: a host that is down takes seconds to time out."""
    checks, probes = [], []
    for name in config.models:
        listing = EndpointListing(config, name)
        try:
            found = await listing.read()
        except StorageError as error:
            checks.append(Check("problem", f"endpoint of {name}", error.title, error.hint))
            continue
        if listing.folder is not None and not found:
            hint = Advice("start one that registers there", AdviceKind.REGISTER, values=(name, "FOLDER"))
            checks.append(
                Check("note", f"endpoint of {name}", f"no server is registered in {listing.folder}; a run waits", hint)
            )
        limit_field = config.provider(name).max_tokens
        probes += [(name, probe(session, each, config.served_name(name), limit_field=limit_field)) for each in found]
    reports = await asyncio.gather(*(coming for _, coming in probes))
    for (name, _), report in zip(probes, reports, strict=True):
        subject = f"endpoint of {name}"
        if report.ok:
            version = f"vLLM {report.version}, " if report.version else ""
            context = f", context {report.max_model_len} tokens" if report.max_model_len else ""
            checks.append(Check("ok", subject, f"{report.url}: {version}{report.seconds * 1000:.0f} ms{context}"))
            if report.warning:
                checks.append(Check("note", subject, report.warning))
            if not report.version and config.provider_name(name) == "vllm" and not config.models[name].provider:
                checks.append(_unsaid_provider(subject))
        elif report.may_pass and config.models[name].serve is not None:
            checks.append(Check("ok", subject, f"{report.url}: nothing answers yet; a run starts the server there"))
        else:
            checks.append(Check("problem", subject, f"{report.url}: {report.error}", report.hint))
    return checks


async def _binding_checks(config: Config, session: aiohttp.ClientSession) -> list[Check]:
    """Request something else of each judge that must reply with a label: one that is bound to labels cannot obey."""
    if config.judge.mode.kind == "text":
        return []
    return await asyncio.gather(
        *(
            _binding_check(config, session, judge, endpoint)
            for judge in config.judge.model
            for endpoint in endpoints_of(config, judge)
        )
    )


async def _binding_check(config: Config, session: aiohttp.ClientSession, judge: str, endpoint: Endpoint) -> Check:
    subject = f"verdicts of {judge}"
    body = judge_requests(config, judge)["verdict"].body([{"role": "user", "content": "Reply with the word hello."}])
    url = endpoint.url("chat/completions")
    data = msgspec.json.encode(body)
    try:
        status, reply = await fetch(
            session, endpoint, url, time_limit=BINDING_SECONDS, largest=LARGEST_ERROR, body=data
        )
        completion = read_reply(status, endpoint.redact.body(reply))
    except (CallFailed, *FAULTS) as error:
        return Check(
            "note", subject, f"{endpoint.address}: not tried whether labels are enforced: {readable(str(error))}"
        )
    if config.judge.mode.kind == "soft":
        return _soft_check(config, judge, subject, endpoint, completion)
    text = read_choice(completion.content)
    if text in choices(config.judge.mode):
        return Check("ok", subject, f"{endpoint.address}: replies are bound to the labels")
    return Check(
        "problem",
        subject,
        f"{endpoint.address} ignores {config.provider(judge).constraint}: it replied {readable(text)[:40]!r}",
        'name the right `provider` of the judge, or set verdict = "text" in [judge]',
    )


def _soft_check(config: Config, judge: str, subject: str, endpoint: Endpoint, completion: Completion) -> Check:
    """Return what the first token of a reply to another request shows: how much of its probability the labels have."""
    provider = config.provider(judge)
    if not completion.first_token:
        return Check(
            "problem",
            subject,
            f"{endpoint.address} sends no log-probabilities, which soft verdicts need",
            'use verdict = "constrained" or "text" in [judge], or name the right `provider` of the judge',
        )
    mass = read_first_token(completion.first_token)[2]
    share = f"the five labels have {mass:.0%} of the probability of a reply to another request"
    if mass >= BOUND_MASS:
        return Check("ok", subject, f"{endpoint.address}: probabilities are bound to the labels ({share})")
    if provider.masked or provider.soft_fields:
        return Check(
            "problem",
            subject,
            f"{endpoint.address} ignores {provider.constraint} in its probabilities: {share}",
            f"games in which they have less than {LEAST_LABEL_MASS:.0%} are unparsed; name the right `provider` of the "
            'judge, or set verdict = "constrained" or "text" in [judge]',
        )
    return Check(
        "note",
        subject,
        f"{endpoint.address}: probabilities are those among all tokens, not bound to the labels ({share})",
        f"games where the labels have less than {LEAST_LABEL_MASS:.0%} are unparsed; records have it as `label_mass`",
    )


def _unsaid_provider(subject: str) -> Check:
    return Check(
        "note",
        subject,
        "it does not identify itself as vLLM, but gets requests with vLLM's fields",
        'if it is another server, name it: provider = "sglang", "llama.cpp", "generic", ...; see docs/servers.md',
    )


def _machine_checks(config: Config) -> Iterator[Check]:
    """Yield what the machines lack that run the servers: this one, or the nodes of the cluster."""
    served = [name for name, entry in config.models.items() if entry.serve is not None]
    if config.cluster.engine == "none" or not served:
        yield from _vllm_checks(config, served)
        yield from _gpu_checks()
        yield from _server_checks(config, served)
        return
    from engine.serving.nodes import disconnect

    try:
        yield from _server_checks(config, served)
        yield from _node_checks(config, served)
    finally:
        disconnect()


def _node_checks(config: Config, served: Sequence[str]) -> Iterator[Check]:
    from engine.serving.node_checks import examine_nodes

    try:
        reports = examine_nodes(config.cluster, server_specs(config, served), config.vllm.command[0])
    except ConfigError:
        return  # the servers of the plan have the same problem
    for report in reports:
        where = f"node {report.node} ({report.address})"
        for entry, causes in report.problems.items():
            for cause in causes:
                yield Check(
                    "problem", f"models.{entry}.model" if entry else "vLLM", f"{where}: {cause.title}", cause.hint
                )
        if not report.problems[""]:
            yield Check("ok", where, f"{report.devices} {config.cluster.resource}, {report.program}")


def _vllm_checks(config: Config, served: Sequence[str]) -> Iterator[Check]:
    program = shutil.which(config.vllm.command[0])
    if program:
        yield Check("ok", "vLLM", f"{program}")
    elif served:
        yield Check(
            "problem",
            "vLLM",
            f"{config.vllm.command[0]!r} not on the PATH, but needed to serve {', '.join(served)}",
            "pip install 'arena-tui[vllm]', or name the program of another environment in [vllm] command",
        )
    else:
        yield Check("note", "vLLM", "not on the PATH; not needed if every model has an endpoint")


def _server_checks(config: Config, served: Sequence[str]) -> Iterator[Check]:
    """Yield the servers that arena-tui would start, and the problems that prevent it, as far as this machine knows."""
    is_here = config.cluster.engine == "none"
    try:
        plan = server_plan(config, served, config.judge.model)
    except ConfigError as error:
        for wrong in error.problems:
            yield Check("problem", wrong.key, wrong.message, wrong.hint)
        return
    for server in plan.servers:
        gpus = f" on GPU {','.join(map(str, server.gpus))}" if server.gpus and is_here else ""
        if server.replica == 0:
            for cause in folder_problems(server.spec) if is_here else ():
                yield Check("problem", f"models.{server.spec.name}.model", cause.title, cause.hint)
            for adapter in server.spec.adapters:
                if adapter.problem:
                    hint = "the other models of its server can be used"
                    yield Check("problem", f"models.{adapter.entry}.adapter", adapter.problem, hint)
        yield Check("ok", f"server of {server.name}", f"vllm serve {server.spec.model}{gpus}")


def _gpu_checks() -> Iterator[Check]:
    if not has_driver():
        yield Check("note", "GPU", "no nvidia-smi on this machine; not needed if the servers run elsewhere")
        return
    try:
        gpus = query_gpus()
    except GpuQueryFailed as error:
        yield Check("problem", "GPU", error.title, error.hint)
        return
    for gpu in gpus:
        used, total = ("?" if value is None else f"{value:.0f}" for value in (gpu.used, gpu.total))
        yield Check("ok", f"GPU {gpu.index}", f"{gpu.name}: {used} of {total} MiB in use")


def _disk_check(config: Config) -> Check:
    folder = config.data
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free for {config.data}"
    if free < LITTLE_DISK:
        return Check(
            "problem", "disk", text, "free some space: a run stops when the disk is full (saved results stay intact)"
        )
    return Check("ok", "disk", text)
