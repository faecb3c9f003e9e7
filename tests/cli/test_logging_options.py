"""Logging: what -v, --log-file and --log-format write, where, and what they never write."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from arena_program import SIMULATED, Open

from arena_tui.log_output import KEPT, MOST_BYTES, _FileHandler
from engine.errors import Advice, AdviceKind
from engine.event_log import event_logger, level_of, message_of
from engine.events import CallStarted, Notice, RecordFailed, RunEnded, TaskKey, notice

Arena = Callable[..., "CompletedProcess[str]"]
SECRET = "sk-planted-0123456789abcdef"


def demo(arena: Arena, folder: Path, *more: object) -> CompletedProcess[str]:
    done = arena("--demo", "run", "--limit", "2", "--json", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bench"] == "demo"  # stdout has the result alone
    return done


def test_without_options_nothing_is_logged_and_no_file_is_made(arena: Arena, tmp_path: Path):
    done = demo(arena, tmp_path)
    assert "RunStarted" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_v_logs_what_happens_to_stderr_and_vv_each_call(arena: Arena, tmp_path: Path):
    once = demo(arena, tmp_path, "-v")
    assert "INFO    arena_tui.run: RunStarted" in once.stderr
    assert "RunEnded outcome=done" in once.stderr
    assert "CallStarted" not in once.stderr
    (tmp_path / "again").mkdir()
    twice = demo(arena, tmp_path / "again", "-vv")
    assert "DEBUG   arena_tui.run: CallStarted model=" in twice.stderr
    assert "RecordSaved task.stage=answers" in twice.stderr


def test_a_file_has_json_lines_with_the_events_of_the_run(arena: Arena, tmp_path: Path):
    done = demo(arena, tmp_path, "--log-file", tmp_path / "logs" / "run.jsonl", "--log-format", "json", "-vv")
    records = [json.loads(line) for line in (tmp_path / "logs" / "run.jsonl").read_text("utf-8").splitlines()]
    assert records[0]["message"].startswith("arena-tui ")
    events = [record["event"] for record in records if "event" in record]
    assert (events[0]["type"], events[-1]["type"]) == ("RunStarted", "RunEnded")
    saved = [event for event in events if event["type"] == "RecordSaved" and event["task"]["stage"] == "judgments"]
    assert saved
    assert all(event["labels"] for event in saved)
    assert len({(event["run"], event["bench"]) for event in events}) == 1
    assert {record["level"] for record in records} >= {"info", "debug"}
    assert all(record["time"].endswith("Z") for record in records)
    assert "RunStarted" in done.stderr


def test_options_may_stand_before_the_command_and_in_variables(arena: Arena, tmp_path: Path):
    done = arena("--log-file", tmp_path / "a.log", "--demo", "run", "--limit", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RunEnded" in (tmp_path / "a.log").read_text("utf-8")
    assert "RunEnded" not in done.stderr
    variables = {"ARENA_TUI_LOG_FILE": str(tmp_path / "b.log"), "ARENA_TUI_LOG_FORMAT": "json"}
    assert arena("--demo", "run", "--limit", "1", cwd=tmp_path, env=os.environ | variables).returncode == 0
    assert json.loads((tmp_path / "b.log").read_text("utf-8").splitlines()[0])["logger"] == "arena_tui"


def test_secrets_are_replaced_also_in_the_command_line(arena: Arena, tmp_path: Path):
    """A refused connection puts the address into messages; its path holds a key, and so does the command line."""
    entries = "".join(
        f'[models.{name}]\nattempts = 1\nendpoints = [{{ base_url = "http://127.0.0.1:9/{SECRET}/v1" }}]\n'
        for name in ("sim-baseline", "sim-strong", "sim-weak", "sim-judge")
    )
    (tmp_path / "config.toml").write_text(SIMULATED + entries, "utf-8")
    bench = tmp_path / "data" / "small"
    bench.mkdir(parents=True)
    (bench / "question.jsonl").write_text('{"question_id": "q", "turns": [{"content": "?"}]}\n')
    set_key = f"models.sim-weak.endpoints[0].api_key={SECRET}x"
    arguments = ("run", "--wait", "0", "-vv", "--set", set_key, "--log-file", "a.log")
    done = arena(*arguments, cwd=tmp_path, env=os.environ | {"SOME_API_KEY": SECRET})
    log = (tmp_path / "a.log").read_text("utf-8")
    assert "EndpointChanged" in log
    assert "127.0.0.1:9" in log
    assert "planted" not in log + done.stderr + done.stdout


def test_a_log_that_cannot_be_written_ends_the_command_before_it_starts(arena: Arena, tmp_path: Path):
    (tmp_path / "folder").write_text("")
    done = arena("--demo", "run", "--log-file", tmp_path / "folder" / "a.log", cwd=tmp_path)
    assert done.returncode == 2
    assert "a.log" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_under_the_ui_records_go_to_the_state_folder_and_the_screen_stays_clean(terminal: Open, tmp_path: Path):
    ui = terminal("--demo", "-vv", XDG_STATE_HOME=str(tmp_path / "state"))
    ui.wait_for("s start")
    ui.press("s")
    log = tmp_path / "state" / "arena-tui" / "arena-tui.log"
    ui.wait(lambda _: log.exists() and "CallStarted" in log.read_text("utf-8"), "calls in the log")
    assert "arena_tui.run:" not in ui.text


def test_a_file_is_bounded_by_rotation(tmp_path: Path):
    handler = _FileHandler(tmp_path / "a.log")
    assert (handler.maxBytes, handler.backupCount) == (MOST_BYTES, KEPT)
    handler.maxBytes = 1000
    logger = logging.Logger("test")
    logger.addHandler(handler)
    for number in range(200):
        logger.warning("line %d %s", number, "x" * 50)
    handler.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_program_that_uses_the_engine_reads_events_by_its_own_handler(caplog: pytest.LogCaptureFixture):
    assert event_logger("id", "bench") is not None  # pytest's own handler reads
    with caplog.at_level(logging.DEBUG, "arena_tui.run"):
        listener = event_logger("id", "bench")
        assert listener is not None
        listener(CallStarted("m", "http://h/v1"))
    assert caplog.records[-1].event == {
        "type": "CallStarted",
        "model": "m",
        "endpoint": "http://h/v1",
        "run": "id",
        "bench": "bench",
    }


def test_levels_and_messages_follow_what_happened():
    assert level_of(Notice("error", "x", 0.0)) == logging.ERROR
    assert level_of(RunEnded("failed", 0.0)) == logging.WARNING
    assert level_of(RunEnded("done", 0.0)) == logging.INFO
    assert level_of(RecordFailed(TaskKey("answers", "m"), "q", "timeout", "late")) == logging.WARNING
    assert message_of({"type": "Notice", "text": 'a "b"\nc', "at": 1.0, "none": None}) == 'Notice text="a \\"b\\"\\nc"'


def test_a_notice_with_advice_is_logged_as_its_text(caplog: pytest.LogCaptureFixture):
    log = event_logger("r", "b")
    assert log is not None
    log(notice("warning", Advice("2 records are stale: make them again", AdviceKind.REFRESH_STALE)))
    assert "make them again" in caplog.text
