"""A simulated OpenAI-compatible server with the manners of vLLM: models of chosen skill, judges of chosen bias.

Used to try a configuration without a GPU, by the demo, and by every test that calls a model. Deterministic: the same
seed and the same request give the same reply, whatever the order of requests.

    server    the aiohttp application: routes, API key, models, tokens, metrics
    chat      one chat call: queue, prefix cache, faults, reply
    requests  what a client sends, its checks, and vLLM's error bodies
    replies   JSON, server-sent events and broken replies on the wire
    cast      the models and judges by name; turns a request into text
    verdicts  how a judge weighs two answers, words its verdict, and obeys constraints
    faults    which requests fail and how
    metrics   Prometheus text with vLLM's names
    config    the settings of models, judges and the server; the cast of the demo
    wording   the sentences, in Russian and English (wording.toml)
    text      token counts, language and topics of a text
    draws     random draws that depend only on a key
"""

from engine.simulator.config import SimulatedJudge, SimulatedModel, SimulatorConfig, demo_cast
from engine.simulator.faults import Altered, Disconnect, Dribble, FaultRule, Hang, Status
from engine.simulator.server import create_app, running_simulator

__all__ = [
    "Altered",
    "Disconnect",
    "Dribble",
    "FaultRule",
    "Hang",
    "SimulatedJudge",
    "SimulatedModel",
    "SimulatorConfig",
    "Status",
    "create_app",
    "demo_cast",
    "running_simulator",
]
