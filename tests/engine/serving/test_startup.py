"""What is read from a vLLM log: its lines, the stages of a start, and the cause of a failure."""

from __future__ import annotations

import pytest
from fake_vllm import STAGES
from hypothesis import given
from hypothesis import strategies as st

from engine.serving.server_log import FIRST_STAGE, LineSplitter, Startup, exit_cause, find_cause, follow

USELESS = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


def followed(*lines: str) -> list[Startup]:
    states, state = [], Startup()
    for line in lines:
        state = follow(state, line)
        states.append(state)
    return states


def test_the_stages_of_a_start_are_told_in_their_order_with_what_is_done_of_the_weights():
    states = followed(*(line.strip() for line in STAGES))
    assert list(dict.fromkeys(state.stage for state in states)) == [
        "reading the model's config",
        "starting the engine",
        "loading weights",
        "profiling memory",
        "compiling",
        "making the KV cache",
        "warming up",
        "opening the port",
    ]
    assert [state.share for state in states if state.stage == "loading weights"] == [None, 0.0, 0.5, 1.0]
    assert (states[-1].max_model_len, states[-1].kv_cache_tokens) == (8192, 32768)


def test_a_gpu_tells_its_graphs_and_a_second_rank_does_not_turn_the_clock_back():
    states = followed(
        "(Worker_TP0 pid=9) INFO Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  40%|####      | 2/5",
        "(Worker_TP1 pid=10) INFO Starting to load model x...",
        "(EngineCore pid=7) INFO GPU KV cache size: 1,234,567 tokens",
    )
    assert {(state.stage, state.share) for state in states} == {("capturing CUDA graphs", 0.4)}
    assert states[-1].kv_cache_tokens == 1_234_567


@given(st.text(max_size=200))
def test_no_line_breaks_the_reading_of_a_start(line):
    assert follow(Startup(), line).stage
    find_cause([line])


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 7))
def test_lines_are_the_same_however_the_stream_is_cut(parts, size):
    stream = b"\n".join(parts)
    whole, pieces = LineSplitter(), LineSplitter()
    expected = [*whole.feed(stream), *whole.rest()]
    cut = [line for at in range(0, len(stream), size) for line in pieces.feed(stream[at : at + size])]
    assert [*cut, *pieces.rest()] == expected
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for line in expected for character in line)


def test_a_redrawn_bar_is_several_lines_and_colours_are_none_of_it():
    lines = LineSplitter().feed(b"\rLoading:  0%\rLoading: 50%\n\x1b[36m(APIServer pid=1)\x1b[0;0m INFO x\n")
    assert lines == ["Loading:  0%", "Loading: 50%", "(APIServer pid=1) INFO x"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("vllm: error: unrecognized arguments: --no-such-flag", "does not know --no-such-flag"),
        ("vllm serve: error: argument --port: invalid int value: 'x'", "rejects its arguments: argument --port"),
        ("OSError: [Errno 98] Address already in use", "the port is in use"),
        (
            "pydantic_core.ValidationError: Value error, User-specified max_model_len (20000) is greater "
            "than the derived max_model_len (max_position_embeddings=8192.0 or model_max_length=8192)",
            "--max-model-len 20000 exceeds the model's context of 8192 tokens",
        ),
        (
            "ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache is "
            "needed ... the estimated maximum model length is 1920. Try ... decreasing max_model_len",
            "cannot hold one request of 8192 tokens; at most 1920 fit",
        ),
        (
            "ValueError: Free memory on device cuda:0 (19.77/22.05 GiB) on startup is less than desired GPU memory "
            "utilization (0.9, 19.84 GiB). Decrease GPU memory utilization",
            "only 19.77 of 22.05 GiB are free on cuda:0",
        ),
        (
            "ValueError: Available memory on node 0 (8.24/9.84 GiB) on kv cache allocation is less than requested ...",
            "only 8.24 of 9.84 GiB of memory are free",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "out of GPU memory"),
        (
            "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully "
            "covered",
            "cannot read the weights: Error while deserializing header",
        ),
        ("huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name'", "model not found"),
        ("LocalEntryNotFoundError: Cannot find the requested files in the disk cache", "model not found"),
        (
            "OSError: You are trying to access a gated repo. GatedRepoError: 401",
            "access to this model on the hub is restricted",
        ),
        ("ValueError: Model architectures ['NewForCausalLM'] are not supported for now", "['NewForCausalLM']"),
        ("(Worker pid=9) ERROR 11-23 18:19:50 [core.py:1] KeyError: 'lm_head.weight'", "KeyError: 'lm_head.weight'"),
    ],
)
def test_the_cause_is_the_first_real_error_and_never_the_last_line(line, told):
    log = ["INFO fine", f"(EngineCore pid=7) ERROR [core.py:700] {line}", "Traceback (most recent call last):", USELESS]
    cause = find_cause(log)
    assert cause is not None
    assert told in cause.title


def test_only_what_may_pass_by_itself_is_tried_again():
    assert find_cause(
        ["ValueError: Free memory on device cuda:0 (1.0/2.0 GiB) on startup is less than desired"]
    ).is_transient
    assert not find_cause(["SafetensorError: incomplete metadata"]).is_transient


def test_an_end_without_a_word_is_told_by_its_exit_code():
    assert "killed" in exit_cause(-9, ["INFO all is well"]).title
    assert (
        "engine exited without an error message"
        in exit_cause(0, ["ERROR [async_llm.py:1] EngineDeadError: EngineCore encountered"]).title
    )
    assert "exit code 3" in exit_cause(3, [USELESS]).title
    assert Startup().stage == FIRST_STAGE
