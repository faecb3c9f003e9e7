"""The one queue of events: every event reaches every handler before the next one does, and a broken handler ends it."""

from __future__ import annotations

import asyncio

import pytest
from desk import QUESTIONS

from engine.bench.lock import writer_of
from engine.events import Event, Notice, RecordSaved
from engine.run import EventQueue, Run


def notice(text: str) -> Notice:
    return Notice("info", text, 0.0)


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def ignore() -> None:
    pass


def test_an_event_emitted_during_handling_reaches_every_handler_after_the_current_one() -> None:
    order: list[tuple[str, str]] = []

    def first(event: Event) -> None:
        order.extend(("first", text) for text in texts([event]))
        if texts([event]) == ["cause"]:
            queue.emit(notice("effect"))
            queue.emit(notice("second effect"))

    def second(event: Event) -> None:
        order.extend(("second", text) for text in texts([event]))
        if texts([event]) == ["effect"]:
            queue.emit(notice("effect of the effect"))

    queue = EventQueue([first, second], ignore)
    queue.emit(notice("cause"))
    assert order == [
        (handler, text)
        for text in ("cause", "effect", "second effect", "effect of the effect")
        for handler in ("first", "second")
    ]


def test_a_handler_that_was_added_later_gets_later_events_after_all_others() -> None:
    order: list[str] = []
    queue = EventQueue([lambda _: order.append("first")], ignore)
    queue.emit(notice("early"))
    queue.add(lambda _: order.append("second"))
    queue.emit(notice("late"))
    assert order == ["first", "first", "second"]


def test_what_a_handler_raises_is_kept_reported_once_and_ends_the_delivery() -> None:
    heard: list[Event] = []
    reports: list[int] = []

    def broken(event: Event) -> None:
        if texts([event]) == ["bad"]:
            raise LookupError("a mistake of the handler")

    queue = EventQueue([heard.append, broken], lambda: reports.append(1))
    for text in ("good", "bad", "never delivered"):
        queue.emit(notice(text))
    assert isinstance(queue.failure, LookupError)
    assert texts(heard) == ["good", "bad"]
    assert reports == [1]


async def test_a_listener_sees_the_state_with_its_event_and_events_in_one_order(at_desk):
    async with at_desk() as desk:
        run = Run(desk.config())
        one: list[Event] = []
        other: list[Event] = []
        saved: list[int] = []

        def count(event: Event) -> None:
            one.append(event)
            if isinstance(event, RecordSaved):
                saved.append(sum(task.done for task in run.state.tasks.values()))

        run.listen(count)
        run.listen(other.append)
        async with asyncio.timeout(60):
            await run.execute()
        assert one == other
        assert saved == list(range(1, len(saved) + 1))


async def test_a_listener_that_raises_ends_the_run_with_its_error_and_frees_the_bench(at_desk):
    async with at_desk() as desk:
        run = Run(desk.config())

        def broken(event: Event) -> None:
            if run.state.calls == 1:
                raise LookupError(f"a mistake of the listener at {event}")

        run.listen(broken)
        async with asyncio.timeout(60):
            with pytest.raises(LookupError, match="a mistake of the listener at CallEnded"):
                await run.execute()
        assert writer_of(run.bench.paths) is None
        again = await desk.run()
        assert again.state.phase == "done"
        assert len(desk.answers("good")) == QUESTIONS


async def test_a_listener_that_raises_before_the_work_starts_costs_no_call(at_desk):
    async with at_desk() as desk:
        await desk.run()
        with (desk.bench / "model_answer" / "good.jsonl").open("ab") as file:
            file.write(b'{"question_id": "q0", "torn')
        run = Run(desk.config())

        def broken(event: Event) -> None:
            if not isinstance(event, Notice):
                return
            raise LookupError(f"a mistake of the listener at {event}")

        run.listen(broken)
        before = await desk.calls()
        with pytest.raises(LookupError, match="at Notice"):
            await run.execute()
        assert await desk.calls() == before
