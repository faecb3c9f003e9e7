"""How much of the judge prompts a server's bounded prefix cache finds again, by the order in which calls go out.

    python benchmarks/prefix_hits.py [--data FOLDER] [--blocks 4000] [--parallel 64] [--replicas 1 2 4]

Judge prompts of all models in FOLDER (published answers; $ARENA_TUI_SHARED_DATA/arena-hard-ru by default) go through
the engine's own queue, scheduler, players and endpoint pool. In place of a server stands its prefix cache: whole blocks
of 16 tokens, found from the beginning of a prompt as far as they are known. The blocks of a call are in use while it is
out; of the others, the longest unused are forgotten when room is needed, the end of a prompt before its beginning (as
vLLM does). `share` is the hits in tokens as a share of those of a cache that forgets nothing.

Tokens are those of tiktoken's cl100k_base where its table is here, else 3.3 characters each; the first line says which.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

BLOCK_TOKENS = 16
CHARACTERS_PER_TOKEN = 3.3
HERE = Path(__file__).resolve().parent
Split = Callable[[str], Sequence[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("ARENA_TUI_SHARED_DATA", str(HERE.parent.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(shared) / "arena-hard-ru")
    parser.add_argument("--blocks", type=int, default=4000, help="of the cache of each replica")
    parser.add_argument("--parallel", type=int, default=64, help="calls in flight, over all replicas")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    if not (options.data / "question.jsonl").exists():
        sys.exit(f"{options.data}: no published answers there (--data, or set ARENA_TUI_SHARED_DATA)")
    split, how = tokenizer()
    prompts = Prompts(options.data, options.questions, split)
    print(f"{prompts.count} judge prompts of {len(prompts.models)} models, {how}")
    print(f"cache of {options.blocks} blocks of {BLOCK_TOKENS} tokens a replica, {options.parallel} calls in flight\n")
    unlimited = asyncio.run(prompts.play("question by question", 1, options.parallel, blocks=None))
    print(f"{'order':32}{'replicas':>9}{'hit rate':>10}{'share':>8}")
    print(f"{'a cache that forgets nothing':32}{1:9}{unlimited.rate:10.1%}{1:8.3f}")
    for replicas in options.replicas:
        for order in ("question by question", "model by model"):
            found = asyncio.run(prompts.play(order, replicas, options.parallel, options.blocks))
            name = f"{order}{', the original' if order.startswith('model') else ''}"
            print(f"{name:32}{replicas:9}{found.rate:10.1%}{found.hits / unlimited.hits:8.3f}")
            if replicas > 1 and order.startswith("question"):
                found = asyncio.run(prompts.play(order, replicas, options.parallel, options.blocks, affinity=False))
                name = f"{order}, no affinity"
                print(f"{name:32}{replicas:9}{found.rate:10.1%}{found.hits / unlimited.hits:8.3f}")


def tokenizer() -> tuple[Split, str]:
    """Cuts a text into tokens, real ones if the table is here."""
    from engine.models.tokens import load_counter

    if asyncio.run(load_counter(time_limit=5)) is None:
        return approximate, f"tokens of {CHARACTERS_PER_TOKEN} characters (cl100k_base is not here)"
    import tiktoken

    return tiktoken.get_encoding("cl100k_base").encode_ordinary, "tokens of cl100k_base"


def approximate(text: str) -> list[str]:
    ends = [round(number * CHARACTERS_PER_TOKEN) for number in range(round(len(text) / CHARACTERS_PER_TOKEN) + 1)]
    return [text[start:end] for start, end in pairwise(ends)]


class Found:
    """What came of it: tokens asked for, and tokens that were known."""

    def __init__(self) -> None:
        self.asked = 0
        self.hits = 0

    @property
    def rate(self) -> float:
        return self.hits / self.asked


class BlockCache:
    """The prefix cache of one server. Blocks are known by all that stands before them."""

    def __init__(self, blocks: int | None, found: Found) -> None:
        self._most = blocks
        self._found = found
        self._in_use: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # the longest unused first

    def begin(self, tokens: int, keys: Sequence[int]) -> None:
        """A prompt comes in: what of it is known from its beginning is a hit, and all of it is in use from now on."""
        known = 0
        while known < len(keys) and (keys[known] in self._in_use or keys[known] in self._idle):
            known += 1
        self._found.asked += tokens
        self._found.hits += known * BLOCK_TOKENS
        for key in keys:
            self._idle.pop(key, None)
            self._in_use[key] = self._in_use.get(key, 0) + 1
        while self._most is not None and self._idle and len(self._in_use) + len(self._idle) > self._most:
            self._idle.popitem(last=False)

    def end(self, keys: Sequence[int]) -> None:
        """It is answered: its blocks may be forgotten, the last one first."""
        for key in reversed(keys):
            self._in_use[key] -= 1
            if not self._in_use[key]:
                del self._in_use[key]
                self._idle[key] = None
        while self._most is not None and self._idle and len(self._in_use) + len(self._idle) > self._most:
            self._idle.popitem(last=False)


class Prompts:
    """The judge prompts of published answers, each as the blocks that it is made of."""

    def __init__(self, data: Path, questions: int, split: Split) -> None:
        from engine.bench import Bench
        from engine.judging.prompts import judge_prompt
        from engine.work.plan import seeded_order

        bench = Bench(data)
        self._prompt = judge_prompt("simple")
        self._questions = seeded_order(bench.questions().items)[:questions]
        self.baseline = "Phi-3-medium-128k-instruct"
        answers = {model: bench.answers(model).items for model in bench.models_with_answers()}
        self.models = [model for model in answers if model != self.baseline]
        self._answers = answers
        self._split = split
        self._blocks: dict[tuple[str, str, int], tuple[int, tuple[int, ...]]] = {}
        self._pieces: dict[str, Sequence[Any]] = {}
        self.count = sum(1 for _ in self._jobs(self.models)) * 2

    def _jobs(self, models: Iterable[str]) -> Iterable[Any]:
        from engine.events import TaskKey
        from engine.work.jobs import JudgeJob

        for model in models:
            for question in self._questions:
                theirs, ours = self._answers[self.baseline].get(question.id), self._answers[model].get(question.id)
                if theirs and ours:
                    key = TaskKey("judgments", model, "judge")
                    yield JudgeJob(key, question, self.baseline, theirs.turns, ours.turns, "s", "i", asks=1)

    def blocks_of(self, job: Any, number: int) -> tuple[int, tuple[int, ...]]:
        """Tokens of the prompt of a game, and its whole blocks."""
        name = job.task.model, job.question.id, number
        if name not in self._blocks:
            from engine.judging.prompts import game_messages

            messages = game_messages(self._prompt, job.question, job.baseline_turns, job.model_turns, number)
            # Cut at the end of the first answer, so that tokens there do not depend on what comes after it.
            head, mark, tail = messages[-1]["content"].partition("<|The Start of Assistant B's Answer|>")
            tokens = [token for text in (messages[0]["content"], head, mark + tail) for token in self._tokens(text)]
            keys, key = [], 0
            for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
                key = hash((key, *tokens[start : start + BLOCK_TOKENS]))
                keys.append(key)
            self._blocks[name] = len(tokens), tuple(keys)
        return self._blocks[name]

    def _tokens(self, text: str) -> Sequence[Any]:
        if text not in self._pieces:
            if len(self._pieces) > 200:
                self._pieces.clear()
            self._pieces[text] = self._split(text)
        return self._pieces[text]

    async def play(
        self, order: str, replicas: int, parallel: int, blocks: int | None, *, affinity: bool = True
    ) -> Found:
        """All prompts in this order, from `parallel` slots over so many replicas."""
        from engine.models.limits import EndpointPool
        from engine.work.queue import Gate, WorkQueue, listed, question_major
        from engine.work.worker import Worker

        found = Found()
        caches = {name: BlockCache(blocks, found) for name in (f"http://replica-{n}/v1" for n in range(replicas))}
        pool = EndpointPool(list(caches), parallel=parallel // replicas)
        dice = random.Random(42)

        async def call(part: Any) -> None:
            tokens, keys = self.blocks_of(part.job, part.number)
            pooled = await pool.acquire(part.job.question.id if affinity else "")
            caches[pooled.target].begin(tokens, keys)
            await asyncio.sleep(dice.uniform(0.0005, 0.0025))
            caches[pooled.target].end(keys)
            pool.succeeded(pooled)
            pool.release(pooled)

        if order == "model by model":
            parts: Any = listed(part for job in self._jobs(self.models) for part in job.open_parts())
        else:
            parts = WorkQueue(order=question_major(self._questions, self.models))
            parts.put(part for job in self._jobs(self.models) for part in job.open_parts())
            parts.finish()
        await Worker(parts, pool, call, lambda part, error: None, Gate()).run()
        pool.close()
        return found


if __name__ == "__main__":
    main()
