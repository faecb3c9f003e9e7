"""A first set-up: what was found, what is chosen, and the checks of it, as one frozen state. Imports no Textual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from arena_tui.starters import BENCH, STARTERS, first_config_text, starter_questions, write_first_config
from engine.bench.atomic import write_file
from engine.errors import ArenaError

if TYPE_CHECKING:
    from engine.config.model import Config
    from engine.diagnosis import Check
    from engine.setup.benches import FoundBench
    from engine.setup.proposal import Setup, Wishes
    from engine.setup.servers import Address, FoundServer

_SETTLE_SECONDS = 0.2  # without a change, before checks begin


@dataclass(frozen=True)
class SetupState:
    """What the set-up screen shows. `setup` is None until the first look; `calls` are those of a run, once planned."""

    benches: Sequence[FoundBench] = ()
    servers: Sequence[FoundServer] = ()
    setup: Setup | None = None
    checks: Sequence[Check] = ()
    calls: int | None = None
    is_looking: bool = True
    is_checking: bool = False

    @property
    def problems(self) -> list[Check]:
        return [check for check in self.checks if check.status == "problem"]

    @property
    def demo_has_results(self) -> bool:
        return any(bench.name == BENCH and bench.judged for bench in self.benches)


class SetupSession:
    """Finds benches and servers, keeps the choices of the user, checks the result and writes it.

    `on_change` is called whenever `state` is another one. Call all methods in one event loop.
    """

    def __init__(self, config: Path, data: Path | None, ports: Sequence[int] | None = None) -> None:
        """`config` is the file to write, `data` the folder of `--data`, `ports` are the local ports that are asked."""
        self.config_path = config
        self.data = data if data is not None else config.parent / "data"
        self.state = SetupState()
        self.on_change: Callable[[], None] = lambda: None
        self._given_data = data
        self._ports = ports
        self._wishes: Wishes | None = None
        self._addresses: list[Address] = []
        self._found: dict[str, FoundServer] = {}
        self._checking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    # -- finding

    def look(self) -> None:
        """Look for benches and servers again, in the background."""
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.create_task(self._look())

    def add_server(self, text: str, key_variable: str = "") -> Address:
        """Ask one more address, which a user typed. Raises UsageProblem for one that cannot be used."""
        from engine.setup.servers import read_address

        address = read_address(text, key_variable)
        self._addresses = [known for known in self._addresses if known.url != address.url] + [address]
        self.look()
        return address

    def remove_server(self, url: str) -> None:
        """Leave a server out of the set-up; one on a local port comes back when it is looked for again."""
        self._addresses = [known for known in self._addresses if known.url != url]
        self._found.pop(url, None)
        self._propose()

    async def close(self) -> None:
        """Stop looking and checking."""
        tasks = [task for task in (self._looking, self._checking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        self._show(is_looking=True)
        await asyncio.to_thread(_import_engine)
        from engine.setup.servers import PORTS, find_servers

        self._show(benches=await asyncio.to_thread(find_all_benches, self.data))
        self._propose()
        answered: set[str] = set()
        ports = PORTS if self._ports is None else self._ports
        async for server in find_servers(self._addresses, ports):
            answered.add(server.address.url)
            if self._found.get(server.address.url) != server:
                self._found[server.address.url] = server
                self._propose()
        for url in self._found.keys() - answered:
            del self._found[url]
        self._show(is_looking=False)
        self._propose()

    # -- choosing

    def choose(self, **wishes: object) -> None:
        """Take over choices by the names of `Wishes`."""
        import msgspec

        from engine.setup.proposal import Wishes

        self._wishes = msgspec.structs.replace(self._wishes or Wishes(), **wishes)
        self._propose()

    def _propose(self) -> None:
        from engine.setup.proposal import propose

        servers = sorted(self._found.values(), key=lambda server: server.address.url)
        setup = propose(self.state.benches, servers, self._wishes)
        is_other = setup != self.state.setup
        self._show(servers=servers, setup=setup)
        if is_other or not self.state.checks:
            self._check_soon()

    # -- checking

    def _check_soon(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        self._show(is_checking=True)
        self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        from engine.diagnosis import Check

        setup = self.state.setup
        if setup is None:
            return
        checks = [Check("problem", "set-up", what, hint) for what, hint in setup.missing()]
        calls = None
        if checks:
            self._show(checks=checks, calls=None)
        else:
            with TemporaryDirectory(prefix="arena-tui-") as folder:
                config, checks = self._config(setup, Path(folder))
                self._show(checks=list(checks), calls=None)
                if config is not None:
                    calls = await asyncio.to_thread(_count_calls, config)
                    self._show(calls=calls)
                    checks = [self._without(folder, check) for check in await self._examine(config)]
        self._show(checks=checks, calls=calls, is_checking=False)

    async def _examine(self, config: Config) -> list[Check]:
        from engine.diagnosis import examine

        checks: list[Check] = []
        async for check in examine(config):
            checks.append(check)
            self._show(checks=list(checks))
        return checks

    def _without(self, folder: str, check: Check) -> Check:
        """Return a check that names the data folder where it was made in another one."""
        import msgspec

        return msgspec.structs.replace(check, text=check.text.replace(folder, str(self.data)))

    def _config(self, setup: Setup, folder: Path) -> tuple[Config | None, list[Check]]:
        """Return the config that would be written, or what is wrong with it.

        A bench that comes with the program is looked at in `folder`, as it is written only with the config.
        """
        import tomli

        from engine.config.load import examine as examine_config
        from engine.diagnosis import Check

        document = tomli.loads(first_config_text(setup, self._shown_data()))
        config, problems = examine_config(document, self.config_path)
        if config is None or problems:
            wrong = [each.problem for each in problems]
            return None, [Check("problem", each.key, each.message, each.hint) for each in wrong]
        if setup.bench is not None and setup.bench.root is None:
            target = folder / setup.bench.name / "question.jsonl"
            write_file(target, starter_questions(setup.bench.name).read_bytes())
            config = config.model_copy(update={"data": folder})
        return config, []

    # -- writing

    def write(self) -> str:
        """Write the config; one that exists is kept beside it. Return what was done. Raises UsageProblem."""
        return write_first_config(self.config_path, self.state.setup, self._shown_data())

    def _shown_data(self) -> str:
        """Return the data folder as the config names it."""
        return "data" if self._given_data is None else str(self._given_data.resolve())

    def _show(self, **changes: object) -> None:
        state = replace(self.state, **changes)  # type: ignore[arg-type]  # by the names of the fields
        if state != self.state:
            self.state = state
            self.on_change()


def find_all_benches(data: Path) -> list[FoundBench]:
    """Return the benches in `data`, newest first, then the starters (also those not written yet), then the demo."""
    from engine.setup.benches import FoundBench, count_records, find_benches

    found = find_benches(data, (*STARTERS, BENCH))
    names = {bench.name for bench in found}
    missing = []
    for name in STARTERS:
        with suppress(ArenaError):
            if name not in names:
                missing.append(FoundBench(name, None, count_records(starter_questions(name))))
    demo = [bench for bench in found if bench.name == BENCH]
    return [bench for bench in found if bench.name != BENCH] + missing + demo


def _import_engine() -> None:
    import engine.diagnosis
    import engine.setup.proposal
    import engine.setup.servers
    import engine.setup.template  # noqa: F401


def _count_calls(config: Config) -> int | None:
    from engine.bench import Bench
    from engine.work.plan import Scope, make_plan

    try:
        return make_plan(config, Bench.open(config.data, config.bench), Scope()).calls
    except ArenaError:
        return None  # the checks name the problem
