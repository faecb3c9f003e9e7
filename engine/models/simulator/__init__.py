"""A simulated OpenAI-compatible server: models of chosen skill and judges of chosen leanings, with vLLM's manners.

To try a configuration without a GPU, for the demo, and for every test that talks to a model. Deterministic: the same
seed and the same request bring the same reply, in whatever order requests come.
"""

from engine.models.simulator.config import SimulatedJudge, SimulatedModel, SimulatorConfig, demo_cast
from engine.models.simulator.faults import Altered, Disconnect, Dribble, FaultRule, Hang, Status
from engine.models.simulator.server import create_app, running_simulator

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
