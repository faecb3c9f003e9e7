"""What the small bench of these tests holds: three models, four questions, one of them in two turns."""

from __future__ import annotations

from typing import Any

from engine.bench.digest import inputs_digest

QUESTIONS = {
    "q1": ["Why is the sky blue? Explain it in a few words to a child of five."],
    "q2": ["Напиши короткое стихотворение о море и о ветре, без рифмы."],
    "q3": ["Write a function that adds.", "Now one that subtracts."],
    "q4": ["What is rarer than gold, and why is it so hard to find any?"],
}
ANSWERS = {"base": "The base answer to {}.", "good": "A very good answer to {}!", "bad": "Hm, {}?"}
LABELS = {
    ("good", "q1"): ("B>>A", "A>B"),
    ("good", "q2"): ("B>A", "B>A"),
    ("good", "q3"): ("A=B", None),
    ("good", "q4"): ("A=B", "A=B"),
    ("bad", "q1"): ("A>>B", "B>>A"),
    ("bad", "q2"): (None, None),
}


def answer_record(model: str, question_id: str, text: str, turns: int = 1) -> dict[str, Any]:
    told = [{"content": f"{text} (turn {turn})" if turn else text, "token_len": 7} for turn in range(turns)]
    return {"question_id": question_id, "answer_id": "x", "model_id": model, "choices": [{"index": 0, "turns": told}]}


def turns_of(model: str, question_id: str) -> tuple[str, ...]:
    record = answer_record(model, question_id, ANSWERS[model].format(question_id), len(QUESTIONS[question_id]))
    return tuple(turn["content"] for turn in record["choices"][0]["turns"])


def judgment_record(model: str, question_id: str) -> dict[str, Any]:
    games = [
        {"user_prompt": f"prompt {number}", "judgment": f"Judged {model} on {question_id}.", "score": label}
        for number, label in enumerate(LABELS[model, question_id], start=1)
    ]
    inputs = inputs_digest(QUESTIONS[question_id], turns_of("base", question_id), turns_of(model, question_id))
    return {"question_id": question_id, "model": model, "judge": "judge", "games": games, "inputs": inputs} | {
        "baseline": "base"
    }
