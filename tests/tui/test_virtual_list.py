"""The list behind every table of the UI: ten thousand rows, one cursor, and no more painting than what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region

from arena_tui.theme import THEMES
from arena_tui.widgets.columns import Column, Columns
from arena_tui.widgets.virtual_list import VirtualList

Row = tuple[str, int]


class RecordingList(VirtualList[Row]):
    """Remembers which regions it asked to be painted again."""

    painted: tuple[Region, ...] = ()

    def refresh(self, *regions: Region, **options: bool) -> Self:
        self.painted = (*self.painted, *regions)
        return super().refresh(*regions, **options)


class ListApp(App[None]):
    """One list with a header, and what it told."""

    def __init__(self, rows: Sequence[Row] = (), *, follow_top: bool = False) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        self._first_rows = rows
        self.rendered = 0
        self.told: list[tuple[str, int]] = []
        self.list = RecordingList(
            self._row,
            key=lambda row: row[0],
            header=lambda width: Text("NAME  VALUE"[:width]),
            empty="nothing here",
            follow_top=follow_top,
        )

    def _row(self, row: Row, width: int) -> Text:
        self.rendered += 1
        return Text(f"{row[0]:<12}{row[1]:>8}"[:width])

    def compose(self) -> ComposeResult:
        yield self.list

    def on_mount(self) -> None:
        self.list.set_rows(self._first_rows)
        self.list.focus()

    def on_virtual_list_highlighted(self, message: VirtualList.Highlighted) -> None:
        self.told.append(("highlighted", message.index))

    def on_virtual_list_selected(self, message: VirtualList.Selected) -> None:
        self.told.append(("selected", message.index))

    def lines(self) -> list[str]:
        return [self.list.render_line(y).text.rstrip() for y in range(self.list.size.height)]


def rows(count: int) -> list[Row]:
    return [(f"row-{number}", number) for number in range(count)]


async def test_a_header_the_rows_and_the_cursor_are_shown():
    app = ListApp(rows(3))
    async with app.run_test(size=(40, 6)):
        assert app.lines()[0].split() == ["NAME", "VALUE"]
        assert app.lines()[1].startswith("❯ row-0")
        assert app.lines()[2].startswith("  row-1")


async def test_keys_move_the_cursor_and_enter_opens():
    app = ListApp(rows(100))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.press("down", "j", "k", "enter")
        assert app.told[-1] == ("selected", 1)
        await pilot.press("pagedown")
        assert app.list.cursor == 10
        await pilot.press("end")
        assert app.list.cursor == 99
        assert app.lines()[-1].startswith("❯ row-99")
        await pilot.press("home")
        assert app.lines()[1].startswith("❯ row-0")


async def test_a_click_moves_the_cursor_and_a_second_one_opens():
    app = ListApp(rows(10))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.click(VirtualList, offset=(5, 4))
        assert app.list.cursor == 3
        await pilot.click(VirtualList, offset=(5, 4))
        assert app.told[-1] == ("selected", 3)


async def test_the_cursor_stays_with_its_row_when_rows_come_go_and_move():
    app = ListApp(rows(50))
    async with app.run_test(size=(40, 11)) as pilot:
        app.list.move_to_key("row-7")
        app.list.set_rows([("new", 0), *reversed(rows(50))])
        await pilot.pause()
        assert app.list.row == ("row-7", 7)
        app.list.set_rows([("only", 1)])
        await pilot.pause()
        assert app.list.row == ("only", 1)
        app.list.set_rows([])
        await pilot.pause()
        assert app.list.row is None
        assert app.lines()[1] == "  nothing here"
        await pilot.press("down", "end", "enter")


async def test_a_cursor_at_the_top_of_a_growing_log_stays_at_the_top():
    app = ListApp(rows(5), follow_top=True)
    async with app.run_test(size=(40, 11)) as pilot:
        app.list.set_rows([("newest", 1), *rows(5)])
        await pilot.pause()
        assert app.list.row == ("newest", 1)
        await pilot.press("down")
        app.list.set_rows([("newer still", 1), ("newest", 1), *rows(5)])
        await pilot.pause()
        assert app.list.row == ("row-0", 0)


async def test_only_the_columns_that_changed_are_painted_again():
    app = ListApp(rows(20))
    async with app.run_test(size=(40, 24)) as pilot:
        await pilot.pause()
        app.list.painted = ()
        app.list.set_rows([(name, value + (100 if value == 4 else 0)) for name, value in rows(20)])
        assert app.list.painted == (Region(19, 5, 2, 1),)  # "  4" became "104"
        app.list.set_rows([(name, value + (100 if value == 4 else 0)) for name, value in rows(20)])
        assert app.list.painted == (Region(19, 5, 2, 1),)


async def test_ten_thousand_rows_are_there_at_once_and_cost_no_more_than_what_is_seen():
    app = ListApp()
    many = rows(10_000)
    async with app.run_test(size=(80, 40)) as pilot:
        app.list.set_rows(many)
        app.lines()
        assert 0 < app.rendered < 200
        app.rendered = 0
        app.list.action_move_to_end(-1)
        app.lines()
        assert 0 < app.rendered < 200
        await pilot.pause()
        assert app.lines()[-1].startswith("❯ row-9999")


def table() -> Columns[Row]:
    return Columns(
        [
            Column("model", lambda row, _: row[0], width=None, least=8, most=20, middle=True, need=9),
            Column("calls/s", lambda row, _: str(row[1]), width=7, right=True, need=1),
            Column("done", lambda row, _: Text(f"{row[1]}%", "bold"), width=5, right=True, need=5),
        ]
    )


def test_columns_stand_under_their_titles():
    columns = table()
    header, line = columns.header(40).plain, columns.row(("aya", 7), 40).plain
    assert header.split() == ["model", "calls/s", "done"]
    assert line.index("7%") + 2 == header.index("done") + 4
    assert line.index("7 ") + 1 == header.index("calls/s") + 7


def test_the_least_needed_columns_go_first_when_room_is_short():
    columns = table()
    assert columns.header(22).plain.split() == ["model", "done"]
    assert columns.header(9).plain.split() == ["model"]
    assert columns.header(3).cell_len <= 3


def test_a_long_name_is_cut_in_its_middle():
    assert table().row(("meta-llama-3-8b-instruct-q4_k_m", 7), 40).plain.startswith("meta-llama")
    assert "q4_k_m" in table().row(("meta-llama-3-8b-instruct-q4_k_m", 7), 40).plain
