"""One batch on a Ray cluster by Ray Data: a program of its own, run by the Python in which vLLM and Ray are installed.

    python ray_job.py JOB.json

The job names files of requests and where results go (see `engine.batch.cluster`, which writes it). Each request becomes
the prompt that vLLM's chat endpoint would make of it, engines on the nodes answer, and results are written in OpenAI's
format in parts, as they come: a job that is killed loses what came since the last part. It imports nothing of the
`engine` package, which need not be installed beside vLLM; what runs on the nodes is sent there by Ray.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

LINES_A_BLOCK = 500  # requests that are handed to Ray together
ROWS_A_BATCH = 64  # requests that an engine takes together
PART_ROWS, PART_SECONDS = 500, 10.0  # after which a part is written
SAMPLING = {"temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"}
SAMPLING |= {"seed", "stop", "min_tokens"}  # fields that are parameters of vLLM by the same name
KNOWN = {*SAMPLING, "model", "messages", "max_tokens", "max_completion_tokens", "structured_outputs"}
KNOWN |= {"logprobs", "top_logprobs", "chat_template_kwargs"}
ERROR = "__inference_error__"  # the column that Ray Data has for it
_tokenizers: dict[str, Any] = {}


def sampling_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return vLLM's sampling parameters for a request. Raises ValueError for a field that has no such parameter."""
    given = {name: value for name, value in body.items() if value is not None}
    if unknown := sorted(given.keys() - KNOWN):
        raise ValueError(f"Ray Data has no parameter for {', '.join(unknown)}")
    found = {name: value for name, value in given.items() if name in SAMPLING or name == "structured_outputs"}
    found["max_tokens"] = given.get("max_tokens") or given.get("max_completion_tokens")
    if given.get("logprobs"):
        found["logprobs"] = given.get("top_logprobs", 0)
    return found


def prepared(row: dict[str, Any], model: str, template: str | None) -> dict[str, Any]:
    """Return the columns of a request that the engine reads. What is wrong with it goes to the column for errors."""
    request = json.loads(row["line"])
    columns: dict[str, Any] = {"custom_id": request["custom_id"], "sampling_params": {}, "tokenized_prompt": [0]}
    columns["as_objects"] = 0j  # Arrow has no type for it: rows stay objects, where a column of 1 and None has floats
    body = request["body"]
    try:
        columns["sampling_params"] = sampling_of(body)
        arguments = body.get("chat_template_kwargs") or {}
        columns["tokenized_prompt"] = list(
            tokenizer_of(model).apply_chat_template(
                body["messages"],
                chat_template=template,
                tokenize=True,
                add_generation_prompt=True,
                return_dict=False,
                **arguments,
            )
        )
    except Exception as error:  # a template may raise anything
        columns[ERROR] = f"{type(error).__name__}: {error}"
    else:
        columns[ERROR] = ""
    columns["limit"] = columns["sampling_params"].get("max_tokens")
    return columns


def tokenizer_of(model: str) -> Any:
    """Return the tokenizer of a model, loaded once in each process."""
    if model not in _tokenizers:
        _tokenizers[model] = import_module("transformers").AutoTokenizer.from_pretrained(model)
    return _tokenizers[model]


def finished(row: dict[str, Any], ends: list[int], context: int | None) -> dict[str, Any]:
    """Return custom id and reply of a row that an engine answered."""
    tokens = [int(token) for token in row["generated_tokens"]]
    prompt = int(row["num_input_tokens"])
    limit = row.get("limit")
    at_limit = limit is not None and len(tokens) >= int(limit)
    is_cut = at_limit or (context is not None and prompt + len(tokens) >= context)
    if tokens and tokens[-1] in ends:
        is_cut = False
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": row["generated_text"]},
        "finish_reason": "length" if is_cut else "stop",
    }
    if (logprobs := row.get("logprobs")) is not None and len(logprobs):
        ranked = [each for each in dict(logprobs[0]).values() if each is not None]
        first = [{"token": each["decoded_token"], "logprob": float(each["logprob"])} for each in ranked]
        first.sort(key=lambda each: -each["logprob"])
        choice["logprobs"] = {"content": [{"token": row["generated_text"][:1], "top_logprobs": first}]}
    usage = {"prompt_tokens": prompt, "completion_tokens": len(tokens), "total_tokens": prompt + len(tokens)}
    reply = {"object": "chat.completion", "choices": [choice], "usage": usage}
    return {"custom_id": row["custom_id"], "reply": json.dumps(reply)}


def result_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the line of results for a row as it comes out."""
    result = {"id": "ray-data", "custom_id": row["custom_id"], "response": None, "error": None}
    if error := row.get(ERROR):
        return result | {"error": {"message": error, "code": 400 if error.startswith("ValueError") else 500}}
    return result | {"response": {"status_code": 200, "body": json.loads(row["reply"])}}


class Parts:
    """Files of results, each written whole; `rows` says how many results they hold."""

    def __init__(self, stem: str) -> None:
        self.rows = 0
        self._stem = stem
        self._number = 0
        self._lines: list[str] = []
        self._since = time.monotonic()

    def add(self, result: dict[str, Any]) -> None:
        """Take a result; write a part if it is time for one."""
        self._lines.append(json.dumps(result) + "\n")
        self.rows += 1
        if len(self._lines) >= PART_ROWS or time.monotonic() - self._since >= PART_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what has come since the last part."""
        self._since = time.monotonic()
        if not self._lines:
            return
        self._number += 1
        path = Path(f"{self._stem}.part-{self._number:04}.results.jsonl")
        unfinished = path.with_name(f".{path.name}")
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.writelines(self._lines)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
        self._lines.clear()


def engine_arguments(arguments: list[str]) -> dict[str, Any]:
    """Return the arguments of `vllm serve` as those of its engine. Raises ValueError for one that is no engine's."""
    args: Any = import_module("vllm.engine.arg_utils").AsyncEngineArgs
    parser: Any = args.add_cli_args(import_module("vllm.utils.argparse_utils").FlexibleArgumentParser())
    given, rest = parser.parse_known_args(arguments)
    if rest:
        raise ValueError(f"not an argument of vLLM's engine, which Ray Data runs: {' '.join(rest)}")
    usual = vars(parser.parse_args([]))
    return {name: value for name, value in vars(given).items() if value != usual[name] and name != "model"}


def blocks_of(files: list[str]) -> Iterator[Any]:
    """Yield the requests of files as references to blocks of Ray Data."""
    pyarrow, ray = import_module("pyarrow"), import_module("ray")
    lines: list[str] = []
    for file in files:
        with Path(file).open(encoding="utf-8") as stream:
            for line in stream:
                lines.append(line)
                if len(lines) == LINES_A_BLOCK:
                    yield ray.put(pyarrow.table({"line": lines}))
                    lines = []
    if lines:
        yield ray.put(pyarrow.table({"line": lines}))


def run(job: dict[str, Any]) -> None:
    """Make a whole job."""
    try:
        ray, data, llm = map(import_module, ("ray", "ray.data", "ray.data.llm"))
    except ImportError as error:
        raise RuntimeError(f"Ray Data cannot be used beside vLLM in {sys.executable}: {error}") from None
    environment = {name: os.environ[name] for name in job["variables"] if name in os.environ}
    ray.init(
        address=job["address"],
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": environment} if environment else None,
    )
    data.DataContext.get_current().enable_progress_bars = False
    model, template = job["model"], job["chat_template"]
    arguments = engine_arguments(job["arguments"])
    ends = tokenizer_of(model).eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    context = arguments.get("max_model_len")
    if not isinstance(context, int):
        text = import_module("transformers").AutoConfig.from_pretrained(model).get_text_config()
        context = getattr(text, "max_position_embeddings", None)
    bundle = {job["resource"]: 1}
    config = llm.vLLMEngineProcessorConfig(
        model_source=model,
        engine_kwargs=arguments,
        batch_size=ROWS_A_BATCH,
        concurrency=job["replicas"],
        should_continue_on_error=True,  # a request that fails is a result, too
        log_engine_metrics=False,
        placement_group_config=None if job["resource"] == "GPU" else {"bundles": [bundle] * job["devices"]},
        chat_template_stage=False,  # `prepared` makes the tokens as vLLM's chat endpoint does, without a second BOS
        tokenize_stage=False,
        detokenize_stage=False,
    )
    processor = llm.build_processor(
        config,
        preprocess=lambda row: prepared(row, model, template),
        postprocess=lambda row: finished(row, ends, context),
        preprocess_map_kwargs={"num_cpus": 0.1},
        postprocess_map_kwargs={"num_cpus": 0.1},
    )
    parts = Parts(job["results"])
    said = -1
    try:
        for row in processor(data.from_arrow_refs(list(blocks_of(job["requests"])))).iter_rows():
            parts.add(result_of(row))
            if (percent := 100 * parts.rows // job["count"]) != said:
                said = percent
                print(f"Running batch: {percent:3d}% Completed | {parts.rows}/{job['count']}", flush=True)
    finally:
        parts.write()
    ray.shutdown()
    if parts.rows < job["count"]:
        raise RuntimeError(f"{parts.rows} of {job['count']} requests came back")


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text("utf-8")))
