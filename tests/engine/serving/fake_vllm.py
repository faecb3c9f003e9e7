"""A stand-in for `vllm`, as real processes: `fake_vllm.py serve MODEL --port N ...` behaves as VLLM does, in no time.

It has a parent that serves HTTP and an engine beside it in the same process group; it tells its stages; while it starts
it loses SIGTERM and takes SIGINT; when its parent is killed the engine lives on; when the engine is killed it says so
and exits with 0. `fake.json` in the model's folder says what else it does:

  stage_seconds   between the lines of a start
  fail            lines that it writes in place of the later stages, then it exits with `code` (1)
  fail_starts     how many starts fail so (all)
  no_template     every chat call is refused as by a model without a chat template
  dies_after      calls, after which the engine is killed as by the system (once: `deaths` counts them)
  latency         seconds of a call
  prefers         whose answer wins, when it judges (else that of place A)
  apart           starts a process in a session of its own ("clean": without its environment, by one that exits)
  stubborn        neither signal ends it
  mixes_up        a call of the base that comes while one of an adapter is in flight gets the adapter's text

With --enable-lora it loads adapters as VLLM does while it runs; a folder with `broken` in it is refused.

`fake_vllm.py run-batch -i FILE -o FILE --model MODEL ...` answers a file of requests as VLLM's batch runner does: all
results at its end, and lines of progress before. `fail` ends it so; `refuse` refuses every request that holds this
text; `batch_seconds` passes between two lines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LONGEST_LIFE = 120.0  # seconds: whatever a test forgets ends by itself

STAGES = (
    "INFO 11-23 18:19:49 [api_utils.py:286] non-default args: {'model': 'x', 'api_key': ['***']}",
    "INFO 11-23 18:19:50 [model.py:733] Resolved architecture: LlamaForCausalLM",
    "INFO 11-23 18:19:50 [model.py:2152] Using max model len 8192",
    "(EngineCore pid=7) INFO 11-23 18:19:52 [core.py:134] Initializing a V1 LLM engine (v0.32.0) with config: ...",
    "(Worker pid=8) INFO 11-23 18:19:53 [cpu_model_runner.py:68] Starting to load model x...",
    "\rLoading safetensors checkpoint shards:   0% Completed | 0/2 [00:00<?, ?it/s]",
    "\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:00<00:00, 4.3it/s]",
    "\rLoading safetensors checkpoint shards: 100% Completed | 2/2 [00:00<00:00, 4.3it/s]",
    "(Worker pid=8) INFO 11-23 18:19:54 [default_loader.py:502] Loading weights took 0.10 seconds",
    "(Worker pid=8) INFO 11-23 18:19:54 [cpu_model_runner.py:87] Warming up model for the compilation...",
    "(EngineCore pid=7) INFO 11-23 18:19:55 [kv_cache_utils.py:2328] CPU KV cache size: 32,768 tokens, Maximum ...",
    "(EngineCore pid=7) INFO 11-23 18:19:56 [core.py:403] init engine (profile, create kv cache) took 1.86 s",
    "INFO 11-23 18:19:57 [entry.py:140] Starting vLLM server on http://127.0.0.1",
)
EARLY = 3  # stages before the engine runs


class Fake:
    """One start of the program."""

    def __init__(self, arguments: list[str]) -> None:
        self.model = arguments[0]
        self.port = int(value_of(arguments, "--port"))
        self.host = value_of(arguments, "--host") if "--host" in arguments else "127.0.0.1"
        self.names = names_of(arguments)
        self.key = os.environ.get("VLLM_API_KEY")
        self.takes_adapters = "--enable-lora" in arguments
        folder = Path(self.model)
        self.behaviour = json.loads((folder / "fake.json").read_text()) if (folder / "fake.json").exists() else {}
        (folder / "environment").write_text(json.dumps(sorted(os.environ)))
        self.starts = folder / "starts"
        with self.starts.open("a") as stream:
            stream.write(f"{os.getpid()} {' '.join(arguments)}\n")
        (folder / "gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        self.ready = False
        self.calls = 0
        self.lock = threading.Lock()
        self.engine: subprocess.Popen[bytes] | None = None
        self.adapters: dict[str, str] = {}
        self.busy: list[str] = []  # adapters with a call in flight
        self.called: list[str] = []  # adapters, one for each call

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self.on_term)
        signal.signal(signal.SIGINT, self.on_int)
        say("(APIServer pid=1) version 0.32.0")
        failing = len(self.starts.read_text().splitlines()) <= self.behaviour.get("fail_starts", 999)
        for number, line in enumerate(STAGES):
            time.sleep(self.behaviour.get("stage_seconds", 0.02))
            if number == EARLY:
                if self.behaviour.get("fail") and failing:
                    say(*self.behaviour["fail"])
                    return self.behaviour.get("code", 1)
                if self.behaviour.get("apart"):
                    self.start_apart(is_clean=self.behaviour["apart"] == "clean")
                self.engine = subprocess.Popen([sys.executable, "-S", __file__, "engine"], stdin=subprocess.DEVNULL)
            say(line)
        if "ray" in arguments_of_backend(sys.argv):
            self.join_ray(int(value_of(sys.argv, "--tensor-parallel-size")))
        server = ThreadingHTTPServer((self.host, self.port), self.handler())
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.ready = True
        say("INFO:     Application startup complete.")
        assert self.engine is not None
        started = time.monotonic()
        while self.engine.poll() is None and time.monotonic() - started < LONGEST_LIFE:
            time.sleep(0.02)
        say("(APIServer pid=1) ERROR 11-23 18:20:00 [async_llm.py:1] EngineDeadError: EngineCore encountered an issue.")
        server.shutdown()
        return 0

    def join_ray(self, size: int) -> None:
        """As vLLM does: a placement group of its own in the cluster, with the first GPU on this node, and workers."""
        import site

        site.main()
        import ray

        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        assert os.environ["VLLM_HOST_IP"]
        ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
        group = ray.util.placement_group([{"GPU": 1}] * size, strategy="PACK")
        ray.get(group.ready(), timeout=60)
        strategy = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group)
        worker = ray.remote(num_gpus=1, num_cpus=0, scheduling_strategy=strategy)(_Worker)
        self.workers = [worker.remote() for _ in range(size)]
        seen = ray.get([each.seen.remote() for each in self.workers])
        (Path(self.model) / "workers").write_text(json.dumps(seen))

    def start_apart(self, *, is_clean: bool) -> None:
        """As Ray does: a process whose session, parent or environment say nothing of this one."""
        sleeper = [sys.executable, "-S", __file__, "engine"]
        if is_clean:
            made = subprocess.run(
                [sys.executable, "-S", __file__, "leave", *sleeper], stdout=subprocess.PIPE, check=True, text=True
            )
            pid = int(made.stdout)
        else:
            pid = subprocess.Popen(sleeper, start_new_session=True, stdin=subprocess.DEVNULL).pid
        with (Path(self.model) / "apart").open("a") as stream:
            stream.write(f"{pid}\n")

    def on_term(self, *_: object) -> None:
        if self.ready and not self.behaviour.get("stubborn"):
            self.end(0)

    def on_int(self, *_: object) -> None:
        if not self.behaviour.get("stubborn"):
            self.end(130)

    def end(self, code: int) -> None:
        if self.engine is not None:
            self.engine.terminate()
        os._exit(code)

    def die_if_due(self) -> None:
        with self.lock:
            self.calls += 1
            number = self.calls
        deaths = Path(self.model) / "deaths"
        if number == self.behaviour.get("dies_after") and self.engine is not None:
            died = int(deaths.read_text()) if deaths.exists() else 0
            if died < self.behaviour.get("deaths", 1):
                deaths.write_text(str(died + 1))
                self.engine.kill()
                self.engine.wait()

    def verdict(self, prompt: str) -> str:
        """A wins, unless the answer of the one that it `prefers` is B's."""
        answer_b = prompt.rpartition("Assistant B's Answer|>\n")[0].rpartition("Start of")[2] or prompt
        return "My final verdict is: " + (
            "[[B>A]]" if self.behaviour.get("prefers", "nobody") in answer_b else "[[A>B]]"
        )

    def content(self, body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        return self.verdict(asked) if "Assistant A" in asked else f"An answer of {body['model']}."

    def handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def reply(self, status: int, body: object) -> None:
                told = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def refused(self) -> bool:
                if fake.key and self.headers.get("Authorization") != f"Bearer {fake.key}":
                    self.reply(401, {"error": "Unauthorized"})
                    return True
                return False

            def do_GET(self) -> None:
                if self.path == "/health":
                    self.reply(200, None)
                elif self.path == "/version":
                    self.reply(200, {"version": "0.32.0"})
                elif self.path == "/v1/models" and not self.refused():
                    entry = {"root": fake.model, "max_model_len": 8192, "object": "model"}
                    base = [entry | {"id": name} for name in fake.names]
                    parent = {"object": "model", "max_model_len": None, "parent": fake.names[0]}
                    loaded = [parent | {"id": name, "root": path} for name, path in fake.adapters.items()]
                    self.reply(200, {"data": base + loaded})
                else:
                    self.reply(404, {"detail": "Not Found"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.refused():
                    return
                if fake.behaviour.get("no_template"):
                    message = "As of transformers v4.44, default chat template is no longer allowed, so you must ..."
                    self.reply(400, {"error": {"message": message, "type": "BadRequestError", "code": 400}})
                    return
                if self.path == "/v1/load_lora_adapter":
                    self.load_adapter(body["lora_name"], body["lora_path"])
                    return
                if body["model"] not in (*fake.names, *fake.adapters):
                    message = f"The model `{body['model']}` does not exist."
                    self.reply(404, {"error": {"message": message, "type": "NotFoundError", "code": 404}})
                    return
                is_adapter = body["model"] in fake.adapters
                beside = list(fake.busy)
                if is_adapter:
                    fake.busy.append(body["model"])
                    fake.called.append(body["model"])
                before = len(fake.called)
                time.sleep(fake.behaviour.get("latency", 0.0))
                beside += fake.called[before:]
                if fake.behaviour.get("mixes_up") and not is_adapter and beside:
                    body["model"] = beside[0]
                if is_adapter:
                    fake.busy.remove(body["model"])
                if body["max_tokens"] > 1:
                    fake.die_if_due()
                if fake.engine is None or fake.engine.poll() is not None:
                    self.reply(500, {"error": {"message": "EngineCore encountered an issue.", "code": 500}})
                    return
                self.reply(200, completion(body["model"], fake.content(body)))

            def load_adapter(self, name: str, path: str) -> None:
                if not os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") or not fake.takes_adapters:
                    self.reply(404, {"detail": "Not Found"})
                elif (Path(path) / "broken").exists():
                    message = "Call to add_lora method failed: size mismatch"
                    self.reply(500, {"error": {"message": message, "type": "InternalServerError", "code": 500}})
                else:
                    fake.adapters[name] = path
                    self.reply(200, f"Success: LoRA adapter '{name}' added successfully.")

        return Handler


class _Worker:
    """A worker of a server over several nodes."""

    def seen(self) -> list[Any]:
        import ray

        return [ray.get_runtime_context().get_node_id(), os.getpid()]


def arguments_of_backend(arguments: list[str]) -> list[str]:
    return (
        [value_of(arguments, "--distributed-executor-backend")] if "--distributed-executor-backend" in arguments else []
    )


def run_batch(arguments: list[str]) -> int:
    """Answer a file of requests."""
    fake = Fake([value_of(arguments, "--model"), "--port", "0", *arguments])
    if fake.behaviour.get("fail"):
        say(*fake.behaviour["fail"])
        return int(fake.behaviour.get("code", 1))
    requests = [json.loads(line) for line in Path(value_of(arguments, "-i")).read_text("utf-8").splitlines()]
    results = []
    for number, request in enumerate(requests):
        body = request["body"]
        result = {"id": "vllm-1", "custom_id": request["custom_id"], "error": None}
        refused = fake.behaviour.get("refuse")
        if body["model"] not in fake.names or (refused and refused in json.dumps(body)):
            error = {"error": {"message": f"no such model: {body['model']}", "type": "NotFoundError", "code": 404}}
            result |= {"response": {"status_code": 404, "request_id": "r", "body": None}, "error": error}
        else:
            reply = completion(body["model"], fake.content(body))
            result["response"] = {"status_code": 200, "request_id": "r", "body": reply}
        results.append(result)
        time.sleep(fake.behaviour.get("batch_seconds", 0.0))
        done = 100 * (number + 1) // len(requests)
        say(f"\rRunning batch: {done:3d}% Completed | {number + 1}/{len(requests)} [00:01<00:00, 4.00req/s]\n")
    Path(value_of(arguments, "-o")).write_text("".join(json.dumps(result) + "\n" for result in results))
    return 0


def completion(model: str, content: str) -> dict[str, Any]:
    """A reply of VLLM."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return {
        "id": "x",
        "object": "chat.completion",
        "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        "model": model,
        "system_fingerprint": "vllm-0.32.0-fake",
    }


def engine() -> int:
    """Does nothing, for as long as it is left alone."""
    time.sleep(LONGEST_LIFE)
    return 0


def value_of(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def names_of(arguments: list[str]) -> list[str]:
    names = []
    for argument in arguments[arguments.index("--served-model-name") + 1 :]:
        if argument.startswith("--"):
            break
        names.append(argument)
    return names


def say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(line if line.startswith("\r") else f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "leave":  # start a program that keeps nothing of this one, and exit
        print(subprocess.Popen(sys.argv[2:], start_new_session=True, env={}, stdout=subprocess.DEVNULL).pid)
        sys.exit(0)
    if sys.argv[1] == "engine":
        sys.exit(engine())
    if "--no-such-flag" in sys.argv:
        say("usage: vllm serve [model_tag] [options]", "vllm: error: unrecognized arguments: --no-such-flag")
        sys.exit(2)
    sys.exit(run_batch(sys.argv[2:]) if sys.argv[1] == "run-batch" else Fake(sys.argv[2:]).run())
