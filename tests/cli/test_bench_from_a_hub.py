"""`arena-tui bench add hub:OWNER/NAME`, against a server on loopback that speaks what the hub's own library asks."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from arena_program import ARENA
from hub_server import TOKEN, HubRepository, HubServer, hub_server

Add = Callable[..., subprocess.CompletedProcess[str]]


def parquet(*rows: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(list(rows)).write_parquet(stream)
    return stream.getvalue()


def turns(text: str) -> dict[str, object]:
    return {"question_id": f"id-{text}", "category": "c", "cluster": "k", "turns": [{"content": text}]}


CARD = b"""---
configs:
- config_name: ru
  data_files:
  - split: test
    path: ru/test-*
- config_name: de
  data_files: [{split: test, path: "de/test-*"}]
---
About it.
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    prompt = b'{"prompt": "Why?"}\n'
    converted = {"default/test/0000.parquet": parquet({"prompt": "Why?"})}
    repositories = {
        "Vikhrmodels/arena_hard_ru": HubRepository(
            {"README.md": b"no head", "data/train-00000-of-00002.parquet": parquet(turns("one"), turns("two")),
             "data/train-00001-of-00002.parquet": parquet(turns("three"))}
        ),
        "CohereLabs/m-ArenaHard": HubRepository(
            {"README.md": CARD, "ru/test-0.parquet": parquet({"question_id": "1", "cluster": "x", "prompt": "Что?"}),
             "de/test-0.parquet": parquet({"question_id": "1", "cluster": "x", "prompt": "Was?"})}
        ),
        "some/columns": HubRepository({"eval.csv.gz": b"", "eval.csv": b"question,reply\nWhy?,Because\n"}),
        "some/gated": HubRepository({"a.jsonl": prompt}, gated=True),
        "some/private": HubRepository({"a.jsonl": prompt}, private=True),
        "some/script": HubRepository({"script.py": b""}, more={"refs/convert/parquet": converted}),
        "some/tagged": HubRepository({"a.jsonl": b'{"prompt": "new"}'}, more={"v1": {"a.jsonl": b'{"prompt": "old"}'}}),
        "some/splits": HubRepository({"data/train.jsonl": prompt, "data/test.jsonl": prompt, "more.txt": b""}),
        "some/pictures": HubRepository({"a.png": b""}),
    }  # fmt: skip
    with hub_server(repositories) as server:
        yield server


@pytest.fixture
def add(hub: HubServer, tmp_path: Path) -> Add:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        environment = {**clean, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), **more}
        command = [*ARENA, "--data", str(tmp_path / "data"), "bench", "add", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False
        )

    return run


def asked(tmp_path: Path, bench: str) -> list[str]:
    lines = (tmp_path / "data" / bench / "question.jsonl").read_text().splitlines()
    return [json.loads(line)["turns"][0]["content"] for line in lines]


def source(tmp_path: Path, bench: str) -> dict[str, object]:
    return json.loads((tmp_path / "data" / bench / "source.json").read_text())


def test_a_data_set_is_added_and_its_revision_recorded(add, hub, tmp_path):
    done = add("hub:Vikhrmodels/arena_hard_ru", "--yes")
    assert done.returncode == 0, done.stderr
    assert asked(tmp_path, "arena_hard_ru") == ["one", "two", "three"]
    commit = hub.repositories["Vikhrmodels/arena_hard_ru"].at("main")[0]
    recorded = source(tmp_path, "arena_hard_ru")
    assert recorded["revision"] == commit
    assert recorded["endpoint"] == hub.url
    assert [file["rows"] for file in recorded["files"]] == [2, 1]
    assert commit[:10] in done.stderr


def test_a_subset_must_be_chosen_where_there_are_several(add, tmp_path):
    refused = add("hub:CohereLabs/m-ArenaHard", "--yes")
    assert refused.returncode == 2
    assert "2 subsets: ru, de" in refused.stderr
    assert "--subset" in refused.stderr
    assert add("hub:CohereLabs/m-ArenaHard", "--subset", "ru", "--yes").returncode == 0
    assert asked(tmp_path, "m-ArenaHard-ru") == ["Что?"]


def test_columns_are_mapped_and_a_file_can_be_named(add, tmp_path):
    done = add("hub:some/columns", "--file", "eval.csv", "--map", "question=prompt", "--yes")
    assert done.returncode == 0, done.stderr
    assert asked(tmp_path, "columns") == ["Why?"]


def test_a_split_must_be_chosen_where_there_are_several(add):
    refused = add("hub:some/splits", "--yes")
    assert "2 splits" in refused.stderr or "3 splits" in refused.stderr
    assert "--split" in refused.stderr
    assert add("hub:some/splits", "--split", "test", "--yes").returncode == 0


def test_a_revision_is_pinned_by_its_tag(add, tmp_path):
    assert add("hub:some/tagged@v1", "--yes", "--name", "old").returncode == 0
    assert add("hub:some/tagged", "--yes").returncode == 0
    assert (asked(tmp_path, "old"), asked(tmp_path, "tagged")) == (["old"], ["new"])
    assert source(tmp_path, "old")["revision"] != source(tmp_path, "tagged")["revision"]
    assert "no such revision" in add("hub:some/tagged@v2", "--yes").stderr


def test_a_data_set_that_is_a_script_is_read_from_its_parquet_copy(add, tmp_path):
    assert add("hub:some/script", "--yes").returncode == 0
    assert asked(tmp_path, "script") == ["Why?"]


@pytest.mark.parametrize(
    ("name", "says", "do"),
    [
        ("some/gated", "gated, its authors must grant access", "set HF_TOKEN"),
        ("some/private", "no such data set", "if it is private, set HF_TOKEN"),
        ("some/nothing", "no such data set", "check its name"),
        ("some/pictures", "no file with rows in it", "look at its files"),
        ("nothing", "is no data set of a hub", "hub:OWNER/NAME"),
    ],
)
def test_what_cannot_be_had_is_one_message(add, name, says, do):
    done = add(f"hub:{name}", "--yes")
    assert done.returncode == 2
    assert says in done.stderr
    assert do in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_with_a_token_a_gated_set_is_read_and_the_token_stays_secret(add, tmp_path):
    done = add("hub:some/gated", "--yes", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert asked(tmp_path, "gated") == ["Why?"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert TOKEN not in done.stdout + done.stderr
    assert TOKEN.encode() not in written


def test_the_cache_serves_without_a_connection(add, hub, tmp_path):
    assert add("hub:Vikhrmodels/arena_hard_ru", "--yes").returncode == 0
    downloads = len(hub.asked)
    offline = add("hub:Vikhrmodels/arena_hard_ru", "--yes", "--name", "again", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    assert "HF_HUB_OFFLINE is set: the copy in the cache is used" in offline.stderr
    assert len(hub.asked) == downloads
    assert asked(tmp_path, "again") == ["one", "two", "three"]
    hub.failing = True
    failing = add("hub:Vikhrmodels/arena_hard_ru", "--yes", "--name", "third")
    assert failing.returncode == 0, failing.stderr
    assert "answered 503: the copy in the cache is used" in failing.stderr
    assert source(tmp_path, "third")["revision"] == source(tmp_path, "again")["revision"]
    missing = add("hub:some/tagged", "--yes")
    assert missing.returncode == 2
    assert "is not in the cache" in missing.stderr
    unreachable = add("hub:some/tagged", "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert unreachable.returncode == 2
    assert "cannot be reached" in unreachable.stderr


def test_without_the_library_it_is_said_what_to_install(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['huggingface_hub'] = None  # as where it is not installed\n"
        "from arena_tui.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [ARENA[0], "-c", script, "--data", str(tmp_path), "bench", "add", "hub:some/set", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "arena-tui[hub]" in done.stderr
