"""A bench on disk that an audit can look at, written record by record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.bench import Bench
from engine.config.load import parse_config
from engine.config.model import Config

QUESTIONS = 40
RUSSIAN = (
    "Фотосинтез превращает свет в энергию, которая нужна растениям для роста. Вопрос {number}, ответ модели {model}."
)
ENGLISH = "Photosynthesis turns light into the energy that plants need to grow. Question {number}, answer of {model}."


class BenchMaker:
    """Writes the files of a bench record by record."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bench = Bench(root)
        self.answers: dict[tuple[str, int], str] = {}
        self._append("question.jsonl", [_question(number) for number in range(QUESTIONS)])

    def answer(self, model: str, text: Callable[[int], str]) -> None:
        """All answers of a model, by the number of the question."""
        for number in range(QUESTIONS):
            self.answers[model, number] = text(number)
        self._append(
            f"model_answer/{model}.jsonl",
            [
                {
                    "question_id": f"q{number:02}",
                    "answer_id": f"{model}{number}",
                    "model_id": model,
                    "choices": [
                        {"index": 0, "turns": [{"content": text(number), "token_len": len(text(number)) // 4}]}
                    ],
                    "tstamp": 1.0,
                }
                for number in range(QUESTIONS)
            ],
        )

    def judge(
        self,
        judge: str,
        model: str,
        replies: Callable[[int], Sequence[tuple[str, str | None]]],
        questions: int = QUESTIONS,
    ) -> None:
        """Both games of the first `questions` as (what the judge wrote, the stored label)."""
        self._append(
            f"model_judgment/{judge}/{model}.jsonl",
            [
                {
                    "question_id": f"q{number:02}",
                    "model": model,
                    "judge": judge,
                    "games": [
                        {"user_prompt": self._prompt(model, number, game), "judgment": said, "score": label}
                        for game, (said, label) in enumerate(replies(number), start=1)
                    ],
                }
                for number in range(questions)
            ],
        )

    def review(self, reviewer: str, lines: Sequence[Mapping[str, Any]]) -> None:
        self._append(f"review/{reviewer}.jsonl", lines)

    def config(self, url: str = "http://127.0.0.1:9/v1", **judge: Any) -> Config:
        return parse_config(
            {
                "bench": self.root.name,
                "data": str(self.root.parent),
                "judge": {"model": "sim-judge", "baseline": "base", **judge},
                "models": {"sim-judge": {"endpoints": [{"base_url": url}], "attempts": 2}},
            },
            self.root.parent / "config.toml",
            {},
        )

    def _prompt(self, model: str, number: int, game: int) -> str:
        texts = [self.answers["base", number], self.answers[model, number]]
        first, second = texts if game == 1 else reversed(texts)
        return f"{_question(number)['turns'][0]['content']}\n{first}\n{second}"

    def _append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _question(number: int) -> dict[str, Any]:
    text = f"Объясни, пожалуйста, простыми словами, как работает фотосинтез. Это вопрос номер {number}."
    return {"question_id": f"q{number:02}", "category": "c", "cluster": "t", "turns": [{"content": text}]}


def verdicts(first: str, second: str) -> list[tuple[str, str]]:
    """Replies that are bare labels."""
    return [(f"[[{first}]]", first), (f"[[{second}]]", second)]
