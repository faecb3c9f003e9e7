"""The engine of arena-tui: runs, judges and rates language models, without any user interface.

Public API; each name is imported when it is first used:

    load_config, Config       read a config file, with an Assignment for each value that replaces one of it
    Bench                     read a bench folder
    Run, Scope, RunState      make the missing calls of a config: `await Run(config).execute()`
    Event                     what `Run.listen` reports
    leaderboard, compare, plan, audit, curves, noise, plan_repeats
                              results of a bench, a config or a published file of battles
    open_source, JudgedSource read a source once, for several results
    Leaderboard, Row, Comparison, PairComparison, StudyPlan, DifferencePlan, AuditReport, JudgeAudit,
    CurveReport, Curve, NoiseReport, MixPlan
                              those results; `msgspec.json.encode` serializes them
    ArenaError ...            the errors that all of these raise, see `engine.errors`

Every other module is private and may change at any time.
"""

from importlib import import_module

from engine.version import __version__ as __version__

TYPE_CHECKING = False  # type checkers take it for true; typing itself would take 10 ms to import

if TYPE_CHECKING:
    from engine.api import JudgedSource as JudgedSource
    from engine.api import audit as audit
    from engine.api import compare as compare
    from engine.api import leaderboard as leaderboard
    from engine.api import open_source as open_source
    from engine.api import plan as plan
    from engine.auditing.report import AuditReport as AuditReport
    from engine.auditing.report import JudgeAudit as JudgeAudit
    from engine.bench import Bench as Bench
    from engine.config.load import load_config as load_config
    from engine.config.model import Config as Config
    from engine.config.overrides import Assignment as Assignment
    from engine.errors import Advice as Advice
    from engine.errors import AdviceKind as AdviceKind
    from engine.errors import ArenaError as ArenaError
    from engine.errors import BenchError as BenchError
    from engine.errors import ConfigError as ConfigError
    from engine.errors import RatingError as RatingError
    from engine.errors import UsageProblem as UsageProblem
    from engine.events import Event as Event
    from engine.noise_sources import noise as noise
    from engine.noise_sources import plan_repeats as plan_repeats
    from engine.ratings.compare import Comparison as Comparison
    from engine.ratings.compare import PairComparison as PairComparison
    from engine.ratings.curve_result import Curve as Curve
    from engine.ratings.curve_result import CurveReport as CurveReport
    from engine.ratings.leaderboard import Leaderboard as Leaderboard
    from engine.ratings.leaderboard import Row as Row
    from engine.ratings.mix import MixPlan as MixPlan
    from engine.ratings.noise import NoiseReport as NoiseReport
    from engine.ratings.power import DifferencePlan as DifferencePlan
    from engine.ratings.power import StudyPlan as StudyPlan
    from engine.run import Run as Run
    from engine.training_curves import curves as curves
    from engine.work.plan import Scope as Scope
    from engine.work.progress import RunState as RunState

_MODULES = {
    "JudgedSource": "engine.api",
    "audit": "engine.api",
    "compare": "engine.api",
    "leaderboard": "engine.api",
    "open_source": "engine.api",
    "plan": "engine.api",
    "AuditReport": "engine.auditing.report",
    "JudgeAudit": "engine.auditing.report",
    "Bench": "engine.bench",
    "load_config": "engine.config.load",
    "Config": "engine.config.model",
    "Assignment": "engine.config.overrides",
    "Advice": "engine.errors",
    "AdviceKind": "engine.errors",
    "ArenaError": "engine.errors",
    "BenchError": "engine.errors",
    "ConfigError": "engine.errors",
    "RatingError": "engine.errors",
    "UsageProblem": "engine.errors",
    "Event": "engine.events",
    "noise": "engine.noise_sources",
    "plan_repeats": "engine.noise_sources",
    "Comparison": "engine.ratings.compare",
    "PairComparison": "engine.ratings.compare",
    "Curve": "engine.ratings.curve_result",
    "CurveReport": "engine.ratings.curve_result",
    "Leaderboard": "engine.ratings.leaderboard",
    "Row": "engine.ratings.leaderboard",
    "MixPlan": "engine.ratings.mix",
    "NoiseReport": "engine.ratings.noise",
    "DifferencePlan": "engine.ratings.power",
    "StudyPlan": "engine.ratings.power",
    "Run": "engine.run",
    "curves": "engine.training_curves",
    "Scope": "engine.work.plan",
    "RunState": "engine.work.progress",
}
__all__ = list(_MODULES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'engine' has no attribute {name!r}")
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})
