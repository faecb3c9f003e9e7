"""Counting tokens as the original does, and going on without where its table cannot be had."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiktoken

from engine.models.tokens import TokenCounter, load_counter

BYTES = {bytes([number]): number for number in range(256)}
MERGED = {b"he": 256, b"ll": 257, b"hell": 258, b"hello": 259}

LOAD = """
import asyncio, time
from engine.models.tokens import load_counter
began = time.monotonic()
counter = asyncio.run(load_counter(0.5))
print(counter and counter.name, time.monotonic() - began < 25)
"""


@pytest.fixture
def encoding() -> tiktoken.Encoding:
    """An encoding like cl100k_base, small enough to stand here."""
    return tiktoken.Encoding(
        "small", pat_str=r"\w+|\W+", mergeable_ranks=BYTES | MERGED, special_tokens={"<|endoftext|>": 260}
    )


def test_tokens_are_counted(encoding: tiktoken.Encoding):
    assert TokenCounter("small", encoding).count("hello hell") == 3


def test_what_looks_like_a_special_token_counts_as_the_text_that_it_is(encoding: tiktoken.Encoding):
    assert TokenCounter("small", encoding).count("<|endoftext|>") == len("<|endoftext|>")


def load_elsewhere(**environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()


def test_a_network_that_swallows_everything_delays_nothing(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, and never says a word
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        before = time.monotonic()
        assert load_elsewhere(TIKTOKEN_CACHE_DIR=str(tmp_path), HTTPS_PROXY=proxy) == "None True"
        assert time.monotonic() - before < 60


def test_a_network_that_refuses_means_no_counter(tmp_path: Path, unused_tcp_port: int):
    proxy = f"http://127.0.0.1:{unused_tcp_port}"
    assert load_elsewhere(TIKTOKEN_CACHE_DIR=str(tmp_path), HTTPS_PROXY=proxy) == "None True"


@pytest.mark.realdata
async def test_the_published_lengths_are_ours(shared_data: Path):
    counter = await load_counter(2.0)
    if counter is None:
        pytest.skip("the table of cl100k_base is not here and cannot be fetched")
    file = next((shared_data / "arena-hard-ru" / "model_answer").glob("*.jsonl"))
    for line in file.read_bytes().split(b"\n")[:50]:
        for turn in json.loads(line)["choices"][0]["turns"]:
            assert counter.count(turn["content"]) == turn["token_len"]


def test_the_table_is_kept_in_the_users_cache_unless_tiktoken_has_it_or_a_variable_says_where(tmp_path: Path):
    script = "from engine.models.tokens import _folder; print(_folder())"

    def folder(**environment: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_CACHE_DIR")}
        kept |= {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, env=kept | environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert folder() == str(tmp_path / "cache" / "arena-tui" / "tiktoken")
    assert folder(TIKTOKEN_CACHE_DIR="/elsewhere") == "/elsewhere"
    assert folder(TIKTOKEN_CACHE_DIR="") == "None"
    (tmp_path / "data-gym-cache").mkdir()
    (tmp_path / "data-gym-cache" / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").touch()
    assert folder() == str(tmp_path / "data-gym-cache")
