"""A judged bench of both generations whose texts and names are as nasty as texts and names get."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from engine.bench.layout import BenchPaths

JUDGE, BASE = "org/the judge", "base"
NASTY = (
    '=HYPERLINK("http://x")\r\n\x1b[31m {braces} %s </script><script>alert(1)</script> \u2028 \U0001f600 [[A>>B]] \x00'
)
QUESTIONS = {
    "q1": ("science", ("Why? {question_1} <b>",)),
    "q2": ("poetry", ("Напиши стих.",)),
    "q3": ("chat", ("First turn", "and a second")),
    "7": ("", ("+1 = ?",)),
}
MODELS = ("=cmd|' /C calc'!A0", "../../x", "plain-model")
LABELS = {"q1": ("B>>A", "A>B"), "q2": ("A=B", "A=B"), "q3": ("A>B", None), "7": ("A>>B", "B>>A")}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.writelines(json.dumps(record).encode() + b"\n" for record in records)
    return path


def text_of_cell(cell: str) -> str:
    """Return the text that an export to CSV made a cell of."""
    return re.sub(r"""(;[\s"]*)'('*[=+\-@＝＋－＠])""", r"\1\2", cell.removeprefix("'"))


def answer_turns(model: str, question_id: str) -> list[str]:
    count = len(QUESTIONS[question_id][1])
    return [f"# Answer {number} of {model}\n\n- **bold** item\n{NASTY}" for number in range(count)]


def make_bench(data: Path) -> BenchPaths:
    """`plain-model` stands in generation 2, the others in generation 1."""
    paths = BenchPaths(data / "nasty")
    for key, (category, turns) in QUESTIONS.items():
        question = {"question_id": int(key) if key == "7" else key, "category": category, "cluster": f"c-{key}"}
        write(paths.questions, {**question, "turns": [{"content": turn} for turn in turns]})
    for model in (BASE, *MODELS):
        for key in QUESTIONS:
            texts = answer_turns(model, key)
            if model == "plain-model":
                said = [{"role": "assistant", "content": {"answer": text}} for text in texts]
                write(paths.answers(model), {"uid": key, "model": model, "ans_id": "x", "messages": said})
            else:
                turns = [{"content": text, "token_len": 11} for text in texts]
                choices = [{"index": 0, "turns": turns}]
                write(
                    paths.answers(model), {"question_id": key, "answer_id": "a", "model_id": model, "choices": choices}
                )
    for model in MODELS:
        for key, labels in LABELS.items():
            write(paths.judgments(JUDGE, model), judgment(model, key, labels))
    return paths


def judgment(model: str, key: str, labels: tuple[str | None, ...]) -> dict[str, Any]:
    asked = "\n".join(QUESTIONS[key][1])
    ours, theirs = "\n".join(answer_turns(model, key)), "\n".join(answer_turns(BASE, key))
    prompts = [f"{asked}\n{a}\n{b}" for a, b in ((theirs, ours), (ours, theirs))]
    if model == "plain-model":
        games: list[Any] = [
            {"score": label, "judgment": {"answer": f"So: {label}"}, "prompt": [{"role": "user", "content": prompt}]}
            for label, prompt in zip(labels, prompts, strict=True)
        ]
        return {"uid": key, "category": "c", "judge": JUDGE, "model": model, "baseline": BASE, "games": games}
    games = [
        {"user_prompt": prompt, "judgment": f"{NASTY} So: {label}", "score": label}
        for label, prompt in zip(labels, prompts, strict=True)
    ]
    return {"question_id": key, "model": model, "judge": JUDGE, "games": games}
