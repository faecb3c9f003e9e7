"""Runs with `stream = true` against the simulated server, in every mode of verdicts: the records are those without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("verdict", ["text", "constrained", "soft"])
async def test_streamed_replies_make_the_same_records(at_desk: Callable[..., Any], verdict: str) -> None:
    async with at_desk() as desk:
        made = []
        for stream in (False, True):
            entry = {"endpoints": [{"base_url": f"{desk.url}/v1"}], "parallel": 4, "attempts": 2, "stream": stream}
            document = {
                "bench": "small",
                "data": str(desk.data),
                "judge": {"model": "judge", "baseline": "base", "verdict": verdict},
                "models": dict.fromkeys(("base", "good", "poor", "judge"), entry),
            }
            run = await desk.run_document(document)
            assert run.state.phase == "done", run.state.notices
            made.append(
                [
                    (record["question_id"], game["score"], game["judgment"], game.get("probabilities"), game["usage"])
                    for record in sorted(desk.judgments("good"), key=lambda each: str(each["question_id"]))
                    for game in record["games"]
                ]
                + [
                    (record["question_id"], record["choices"], record["finish_reason"])
                    for record in sorted(desk.answers("good"), key=lambda each: str(each["question_id"]))
                ]
            )
            for folder in ("model_answer", "model_judgment"):
                shutil.rmtree(desk.bench / folder)
        assert made[0] == made[1]
