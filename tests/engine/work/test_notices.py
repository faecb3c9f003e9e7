"""`[notify]`: commands and webhooks hear of decisions and ends, and cannot hold up a run or learn a secret."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from desk import Desk

from engine.config.load import parse_config
from engine.config.secrets import secrets_of
from engine.errors import ConfigError
from engine.events import Notice
from engine.ratings.stop_rule import parse_stop_rule
from engine.reporting.notifier import Notifier
from engine.run import Run
from engine.work.plan import Scope

SECRET = "T0SECRET123/B0SECRET456"


class Hook:
    """A webhook that answers with the statuses in turn, then with 200."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.bodies: list[dict[str, Any]] = []
        self.calls = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            await asyncio.sleep(3600)
        if status == 200:
            self.bodies.append(await request.json())
        return web.Response(status=status)


@asynccontextmanager
async def hook(*statuses: int) -> AsyncIterator[Hook]:
    found = Hook(list(statuses))
    app = web.Application()
    app.router.add_post("/{path:.*}", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/services/{SECRET}"
    try:
        yield found
    finally:
        await runner.cleanup()


def with_notify(desk: Desk, **notify: Any) -> Any:
    document = desk.config().model_dump(mode="json", exclude_unset=True)
    return desk.parsed(document | {"notify": notify})


async def run_to_end(config: Any, scope: Scope | None = None) -> tuple[Run, list[str]]:
    run = Run(config, scope)
    texts: list[str] = []
    run.listen(lambda event: texts.append(event.text) if isinstance(event, Notice) else None)
    async with asyncio.timeout(120):
        await run.execute()
    return run, texts


def writer(folder: Path, *, then: str = "") -> tuple[list[str], Path]:
    """A command that appends what it gets on stdin to a file."""
    file = folder / "notices.jsonl"
    code = f"import sys; open({str(file)!r}, 'a').write(sys.stdin.read() + '\\n'); {then}"
    return [sys.executable, "-c", code], file


def notices(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


async def test_a_decision_and_the_end_reach_a_command_and_a_webhook(at_desk, tmp_path):
    async with at_desk() as desk, hook() as target:
        desk.write(
            "question.jsonl", [{"question_id": f"q{n}", "turns": [{"content": f"{n} + {n}?"}]} for n in range(60)]
        )
        command, file = writer(tmp_path)
        config = with_notify(desk, command=command, webhook=target.url)
        run, _ = await run_to_end(config, Scope(until=parse_stop_rule("decided")))
        found = notices(file)
        assert sorted(each["text"] for each in target.bodies) == sorted(each["text"] for each in found)
        decided = {each["model"]: each for each in found if each["kind"] == "decided"}
        assert {model: each["standing"]["verdict"] for model, each in decided.items()} == {
            "good": "better",
            "poor": "worse",
        }
        assert decided["good"]["text"].startswith("good is better than base after ")
        (ended,) = (each for each in found if each["kind"] == "ended")
        assert (ended["outcome"], ended["bench"], ended["run"], ended["v"]) == ("done", "small", run.id, 1)


async def test_only_the_wanted_kinds_are_sent_and_a_failed_run_is_one_notice(at_desk, tmp_path):
    async with at_desk() as desk:
        command, file = writer(tmp_path)
        document = desk.config().model_dump(mode="json", exclude_unset=True)
        document["models"]["good"]["endpoints"] = [{"base_url": "http://127.0.0.1:9/v1"}]
        document["notify"] = {"command": command, "on": ["failed", "ended"]}
        run, _ = await run_to_end(desk.parsed(document), Scope(wait=0.0))
        assert run.state.phase == "failed"
        assert [(each["kind"], each["outcome"]) for each in notices(file)] == [("failed", "failed")]


async def test_refusals_that_may_pass_are_tried_again_and_others_are_not(at_desk):
    async with at_desk() as desk, hook(503, 429) as passing, hook(404) as final:
        _, texts = await run_to_end(with_notify(desk, webhook=passing.url))
        assert (passing.calls, len(passing.bodies)) == (3, 1)
        assert not any("[notify]" in text for text in texts)
        _, texts = await run_to_end(with_notify(desk, webhook=final.url))
        assert final.calls == 1
        (text,) = (text for text in texts if "[notify]" in text)
        assert "webhook: answered 404" in text
        assert not any(part in text for part in (SECRET, *SECRET.split("/")))


async def test_a_webhook_and_a_command_that_hang_end_with_their_time(at_desk, tmp_path):
    async with at_desk() as desk, hook(0, 0) as silent:
        command, file = writer(tmp_path, then="import time; time.sleep(3600)")
        config = with_notify(desk, webhook=silent.url, command=command, timeout=0.5, attempts=1)
        run, texts = await run_to_end(config)
        assert run.state.phase == "done"
        assert time.time() - run.state.ended_at < 20
        assert sorted(text.split(":")[0] for text in texts if "[notify]" in text) == [
            "[notify] command",
            "[notify] webhook",
        ]
        assert len(notices(file)) == 1


async def test_a_command_that_fails_or_is_missing_is_reported_once_with_its_last_words(at_desk, tmp_path):
    async with at_desk() as desk:
        failing = [sys.executable, "-c", "import sys; sys.exit('no such channel')"]
        _, texts = await run_to_end(with_notify(desk, command=failing, attempts=2))
        (text,) = (text for text in texts if "[notify]" in text)
        assert "ended with 1: no such channel (2 tries)" in text
        _, texts = await run_to_end(with_notify(desk, command=[str(tmp_path / "missing")]))
        assert any("[notify] command: cannot start" in text for text in texts)


async def test_the_address_is_a_secret_of_the_config_and_in_no_record(at_desk):
    async with at_desk() as desk, hook() as target:
        config = with_notify(desk, webhook=target.url, command=["true", "--token", "planted-token-0123456789"])
        assert {target.url, "T0SECRET123", "B0SECRET456", "planted-token-0123456789"} <= set(secrets_of(config))
        assert "services" not in set(secrets_of(config))
        assert target.url not in repr(config)
        await run_to_end(config)
        text = b"".join(path.read_bytes() for path in desk.bench.rglob("*") if path.is_file()).decode(
            "utf-8", "replace"
        )
        assert not any(word in text for word in ("T0SECRET123", "B0SECRET456", "planted-token-0123456789"))


async def test_a_plateau_is_sent_and_too_many_notices_drop_the_oldest(at_desk, tmp_path):
    async with at_desk() as desk:
        command, file = writer(tmp_path)
        warned: list[str] = []
        notifier = Notifier(with_notify(desk, command=command), "small", "watch", warned.append)
        notifier.plateaued("no step after 6000 is better by 1 point", 6000)
        await notifier.close()
        (found,) = notices(file)
        assert (found["kind"], found["step"], found["run"]) == ("plateaued", 6000, "watch")
        for number in range(300):
            notifier.send("ended", str(number))
        await notifier.close(0.0)
        assert any("the oldest was dropped" in text for text in warned)


@pytest.mark.parametrize(
    ("notify", "place"),
    [
        ({"on": ["decide"]}, "notify.on"),
        ({"on": ["ended", "ended"]}, "notify.on"),
        ({"webhook": "ftp://x"}, "notify.webhook"),
        ({"command": "notify-send"}, "notify.command"),
        ({"url": "http://x"}, "notify.url"),
    ],
)
def test_a_wrong_table_is_reported(notify: dict[str, Any], place: str):
    document = {"bench": "b", "judge": {"model": "j", "baseline": "b"}, "models": {"j": {}, "b": {}}, "notify": notify}
    with pytest.raises(ConfigError) as problem:
        parse_config(document, None, {})
    assert any(place in each.key for each in problem.value.problems)
