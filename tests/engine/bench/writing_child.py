"""Writes records through a BenchWriter until it is killed, and says on stdout which of them were announced.

Run as a process of its own by the crash tests: `python writing_child.py BENCH FIRST_NUMBER`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.bench.layout import BenchPaths
from engine.bench.lock import BenchLock
from engine.bench.repair import recover
from engine.bench.writer import BenchWriter
from engine.records import AnswerPart, AnswerRecord, Choice, Turn, Usage

MODELS = ("one", "two", "org/three")


def text_of(number: int) -> str:
    """A text of its own for every number, from a few bytes to more than a pipe or a page takes."""
    return f"{number} " + "слово\n" * (number * 37 % 600)


async def write(paths: BenchPaths, number: int) -> None:
    def announce(tokens: Sequence[object]) -> None:
        print(*tokens, flush=True)

    async with BenchWriter(paths, announce) as writer:
        print("ready", flush=True)
        while True:
            model = MODELS[number % len(MODELS)]
            choice = Choice(0, (Turn(text_of(number), number),))
            writer.append(paths.journal, AnswerPart(str(number), model, "s", choice, "stop", None, None, Usage()))
            writer.append(paths.answers(model), AnswerRecord(str(number), "a", model, (choice,)), number)
            number += 1
            if number % 10 == 0:
                await writer.flush()
            else:
                await asyncio.sleep(0)


if __name__ == "__main__":
    bench = BenchPaths(Path(sys.argv[1]))
    with BenchLock(bench):
        recover(bench)
        asyncio.run(write(bench, int(sys.argv[2])))
