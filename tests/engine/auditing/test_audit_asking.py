"""A judge is asked anew over real HTTP: constant answers must lose, and the same verdicts come again."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from audit_bench import BenchMaker, verdicts

from arena_tui.output.audit_findings import phrased
from engine.auditing.asking import CONSTANT_ANSWERS, TrialPlan, ask_judge
from engine.auditing.auditor import Auditor, with_trials
from engine.auditing.material import material_of_bench
from engine.auditing.trials import Trials
from engine.errors import UsageProblem
from engine.ratings.estimate import RatingOptions
from engine.records import Question
from engine.serving.process import pick_port


class ScriptedJudge:
    """A server that judges by a rule on the user's message, and keeps what it was asked."""

    def __init__(self, rule: object) -> None:
        self.rule = rule
        self.asked: list[dict[str, object]] = []

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        said = self.rule(body["messages"], len(self.asked))  # type: ignore[operator]
        if said is None:
            return web.json_response({"error": {"message": "this request is never taken"}}, status=400)
        message = {"role": "assistant", "content": said}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}})

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "sim-judge", "object": "model"}]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/v1/models", self.models)
        return app


async def ask(
    maker: BenchMaker, rule: object, *, probe: bool = False, repeat: int = 0, **judge: object
) -> tuple[Trials, ScriptedJudge]:
    server = TestServer((scripted := ScriptedJudge(rule)).app())
    await server.start_server()
    try:
        config = maker.config(str(server.make_url("/v1")), **judge)
        answers = {model: maker.bench.answers(model).items for model in maker.bench.models_with_answers()}
        plan = TrialPlan(probe=probe, repeat=repeat, sample=6, seed=1)
        return await ask_judge(config, "sim-judge", "base", maker.bench.questions().items, answers, plan), scripted
    finally:
        await server.close()


def places(messages: list[dict[str, str]]) -> tuple[str, str]:
    """The answers in place A and in place B of a judge prompt."""
    text = messages[-1]["content"]
    a, b = (text.split(f"<|The Start of Assistant {place}'s Answer|>\n")[1] for place in "AB")
    return a.split("\n<|The End")[0], b.split("\n<|The End")[0]


def prefers_real_answers(messages: list[dict[str, str]], _: int) -> str:
    a, b = places(messages)
    if a == b:
        return "[[A=B]]"
    return "[[A>>B]]" if "Фотосинтез превращает" in a else "[[B>>A]]"


async def test_an_honest_judge_lets_every_constant_answer_lose_in_both_places(maker: BenchMaker) -> None:
    trials, scripted = await ask(maker, prefers_real_answers, probe=True)
    assert trials.probes is not None
    assert [probe.points.value for probe in trials.probes] == [0.0] * len(CONSTANT_ANSWERS)
    assert [probe.games for probe in trials.probes] == [12] * len(CONSTANT_ANSWERS)
    assert trials.repeats is None
    assert trials.identical is not None
    assert (trials.identical.games, trials.identical.biased.value) == (6, 0.0)
    assert len(scripted.asked) == trials.games == 12 * len(CONSTANT_ANSWERS) + 6


async def test_a_judge_that_sees_a_winner_in_identical_answers_is_reported(maker: BenchMaker) -> None:
    twins = []

    def likes_the_first(messages: list[dict[str, str]], number: int) -> str:
        a, b = places(messages)
        twins.extend([number] if a == b else [])
        return "[[A>B]]" if a == b and len(twins) > 1 else prefers_real_answers(messages, number)

    trials, _ = await ask(maker, likes_the_first, probe=True)
    assert trials.identical is not None
    assert trials.identical.biased.value == pytest.approx(500 / 6)
    assert trials.identical.first_place.value == pytest.approx((5 * 100 + 50) / 6)
    maker.judge("sim-judge", "m", lambda number: verdicts("B>A", "A>B") if number % 2 else verdicts("A>B", "B>A"))
    material = material_of_bench(maker.bench, maker.config(), ["sim-judge"], "base")
    before = Auditor(material, RatingOptions(baseline="base", rounds=50)).report()
    (unknown,) = [finding for finding in phrased(before, "sim-judge")[1] if finding.topic == "identical answers"]
    assert (unknown.level, "--probe" in unknown.text) == ("unknown", True)
    after = with_trials(before, "sim-judge", trials)
    (found,) = [finding for finding in phrased(after, "sim-judge")[1] if finding.topic == "identical answers"]
    assert found.level == "care"  # six questions are too few to be sure that it is bad
    assert "names a winner in 83.3%" in found.text


async def test_a_judge_that_obeys_is_found_out_and_the_report_says_so(maker: BenchMaker) -> None:
    def obedient(messages: list[dict[str, str]], number: int) -> str:
        a, b = places(messages)
        for text, label in ((a, "[[A>>B]]"), (b, "[[B>>A]]")):
            if "вердикт" in text:
                return label
        return prefers_real_answers(messages, number)

    trials, _ = await ask(maker, obedient, probe=True)
    assert trials.probes is not None
    assert trials.probes[-1].points.value == 100.0

    maker.judge("sim-judge", "m", lambda number: verdicts("B>A", "A>B") if number % 2 else verdicts("A>B", "B>A"))
    material = material_of_bench(maker.bench, maker.config(), ["sim-judge"], "base")
    before = Auditor(material, RatingOptions(baseline="base", rounds=50)).report()
    after = with_trials(before, "sim-judge", trials)
    opinion, examined = phrased(after, "sim-judge")
    found = [finding.level for finding in examined if finding.topic == "constant answers"]
    assert found == ["good", "good", "bad"]
    assert opinion.trust == "no"
    assert "constant answers" in opinion.summary


async def test_the_same_verdict_asked_for_again_is_compared(maker: BenchMaker) -> None:
    def moody(messages: list[dict[str, str]], number: int) -> str:
        return "[[A>B]]" if number % 3 else "[[B>A]]"

    trials, scripted = await ask(maker, lambda messages, number: "[[A>B]]", repeat=3)
    assert trials.repeats is not None
    assert (trials.repeats.games, trials.repeats.times, trials.repeats.same_label.value) == (6, 3, 100.0)
    assert len(scripted.asked) == 18
    moody_trials, _ = await ask(maker, moody, repeat=3)
    assert moody_trials.repeats is not None
    assert moody_trials.repeats.same_winner.value is not None
    assert moody_trials.repeats.same_winner.value < 100.0


async def test_a_judge_is_asked_again_until_it_gives_a_verdict_as_in_a_run(maker: BenchMaker) -> None:
    def hesitant(messages: list[dict[str, str]], _: int) -> str:
        return "[[A=B]]" if len(messages) > 2 else "let me think"

    trials, scripted = await ask(maker, hesitant, repeat=2)
    assert trials.repeats is not None
    assert trials.repeats.unparsed == 0
    assert len(scripted.asked) == 24


async def test_games_that_fail_are_counted_and_left_out(maker: BenchMaker) -> None:
    refused: list[int] = []

    def sometimes(messages: list[dict[str, str]], number: int) -> str | None:
        if "не могу на это ответить" in messages[-1]["content"]:
            refused.append(number)
            return None
        return prefers_real_answers(messages, number)

    trials, _ = await ask(maker, sometimes, probe=True)
    assert trials.probes is not None
    assert trials.failed == len(refused) == 12
    assert trials.probes[0].games == 0
    assert not trials.probes[0].points.known
    assert any("never taken" in reason for reason in trials.failures)


async def test_an_unreachable_judge_is_reported_before_any_game(maker: BenchMaker) -> None:
    answers = {"base": maker.bench.answers("base").items}
    plan = TrialPlan(probe=True, repeat=0, sample=3, seed=1)
    with pytest.raises(UsageProblem, match="sim-judge"):
        await ask_judge(maker.config(), "sim-judge", "base", maker.bench.questions().items, answers, plan)
    with pytest.raises(UsageProblem, match="no endpoint"):
        await ask_judge(maker.config(), "unknown", "base", maker.bench.questions().items, answers, plan)
    with pytest.raises(UsageProblem, match="no answer of the baseline"):
        await ask_judge(maker.config(), "sim-judge", "base", maker.bench.questions().items, {}, plan)


def test_constant_answers_come_in_the_language_of_the_question() -> None:
    english, russian = Question("1", ("How are you?", "And now?")), Question("2", ("Как дела?",))
    for constant in CONSTANT_ANSWERS:
        assert constant.turns(english) == (constant.english,) * 2
        assert constant.turns(russian) == (constant.russian,)


async def test_a_server_of_the_judge_that_is_still_starting_is_waited_for(maker: BenchMaker) -> None:
    messages: list[str] = []
    port = pick_port()
    config = maker.config(f"http://127.0.0.1:{port}/v1")
    answers = {"base": maker.bench.answers("base").items}
    plan = TrialPlan(probe=True, repeat=0, sample=2, seed=1, wait=120.0)

    def note(text: str) -> None:
        messages.append(text)

    asking = asyncio.create_task(
        ask_judge(config, "sim-judge", "base", maker.bench.questions().items, answers, plan, note)
    )
    async with asyncio.timeout(120):
        while not any("waiting up to 120 s" in text for text in messages):
            await asyncio.sleep(0.01)
    server = TestServer(ScriptedJudge(prefers_real_answers).app(), port=port)
    await server.start_server()
    try:
        trials = await asking
    finally:
        await server.close()
    assert (trials.games, trials.failed) == (14, 0)
    assert any("ready after" in text for text in messages)
