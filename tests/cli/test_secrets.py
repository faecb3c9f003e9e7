"""Keys are planted wherever keys may stand, at a server that echoes them, and looked for in all that comes out."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from echoing_server import EchoingServer, echoing_server

from arena_tui.cli import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine" / "serving"))

from yard import Yard

IN_ENVIRONMENT, LITERAL, REFUSED, FOR_SERVER, IN_FIELDS = (
    f"planted-{kind}-key/+=0123456789" for kind in ("environment", "literal", "refused", "server", "fields")
)
IN_PATH = "planted-path-key-0123456789"
OF_PROXY, IN_ADDRESS = "planted-proxy-word-0123456789", "sk-planted-address-0123456789"
KEYS = (IN_ENVIRONMENT, LITERAL, REFUSED, FOR_SERVER, IN_FIELDS, IN_PATH, OF_PROXY, IN_ADDRESS)
WEB_TOKEN = {"ARENA_TUI_WEB_TOKEN": "planted-web-token-0123456789"}
FAKE_FILES = ("fake.json", "starts")  # what the fake vLLM does, and how it was started
SHORTEST_LEAK = 14  # characters of a key that must not be seen on their own: "planted-server" is one


def config(url: str) -> str:
    return f"""
bench = "b"
[answers]
models = ["base", "m", "refused"]
extra_body = {{ extra_headers = {{ X-Team = "{IN_FIELDS}", Authorization = "Bearer {IN_FIELDS}" }} }}
[judge]
model = "judge"
baseline = "base"
[models.base]
endpoints = [{{ base_url = "{url}", api_key = "${{PLANTED_KEY}}" }}]
[models.m]
endpoints = [{{ base_url = "{url}", api_key = "{LITERAL}" }}]
[models.refused]
endpoints = [{{ base_url = "{url.replace("/v1", "/${PLANTED_PATH}/v1")}", api_key = "${{PLANTED_REFUSED}}" }}]
extra_body = {{ api_key = "{IN_FIELDS}" }}
[models.echo]
endpoints = [{{ base_url = "{url}", api_key = "{LITERAL}" }}]
[models.not-called]
serve = {{ args = ["--hf-token={FOR_SERVER}"], env = {{ HF_TOKEN = "{FOR_SERVER}" }} }}
[models.judge]
endpoints = [{{ base_url = "{url}", api_key = "${{PLANTED_KEY}}" }}]
"""


def leaks(data: bytes | str) -> set[str]:
    """The keys of which a telling part is in `data`."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return {key for key in KEYS if key[:SHORTEST_LEAK] in text}


def command_lines(session: int) -> str:
    """How all processes of a session were called."""
    lines = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if os.getsid(int(folder.name)) == session:
                    lines.append((folder / "cmdline").read_bytes())
            except OSError:  # it has ended meanwhile
                continue
    return b"\n".join(lines).replace(b"\0", b" ").decode()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[EchoingServer, str]]:
    with echoing_server() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, server: tuple[EchoingServer, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    bench = tmp_path / "data" / "b"
    bench.mkdir(parents=True)
    rows = ({"question_id": f"q{number}", "turns": [{"content": "why?"}]} for number in range(3))
    (bench / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.toml").write_text(config(server[1]))
    monkeypatch.setenv("PLANTED_KEY", IN_ENVIRONMENT)
    monkeypatch.setenv("PLANTED_REFUSED", REFUSED)
    monkeypatch.setenv("PLANTED_PATH", IN_PATH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_key_is_in_anything_that_is_written_printed_or_called(home, server, start, capfd):
    process = start("run")
    assert server[0].asked.wait(60)
    called = command_lines(process.pid)
    server[0].go_on.set()
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == 1, said  # what the server refused
    assert "run" in called
    assert not leaks(called)
    errors = (home / "data" / "b" / "errors.jsonl").read_text()
    assert '"unauthorized"' in errors
    assert "${PLANTED_PATH}/v1" in errors
    (record,) = (home / "data" / "b" / "runs").glob("*.json")
    assert "extra_headers" in record.read_text()
    assert "I was sent" in record.read_text()
    assert "[key]" in (home / "data" / "b" / "settings.jsonl").read_text()
    commands = [
        ["run", "--dry-run"],
        ["doctor"],
        ["doctor", "--repair"],
        *(["leaderboard", "--format", form, "--rounds", "10"] for form in ("table", "json", "csv", "markdown")),
        ["compare", "base", "m", "--rounds", "10"],
        ["plan"],
        ["audit", "--rounds", "10", "--format", "json"],
        *(["export", "--to", form] for form in ("arena-hard-v0.1", "arena-hard-v2", "alpaca-eval", "csv", "html")),
        ["--data", "other", "import", "data/b"],
        ["leaderboard", "--judge", "nobody"],
        ["run", "--models", "nobody"],
    ]
    for command in commands:
        main(command)
        out, err = capfd.readouterr()
        assert out + err
        said += out + err
    assert not leaks(said)
    assert not set("\x1b\x07\x9b\u202e") & set(said)
    files = [path for path in home.rglob("*") if path.is_file() and path.name != "config.toml"]
    assert len(files) > 20
    assert not {path.name: leaks(path.read_bytes()) for path in files if leaks(path.read_bytes())}


def test_a_key_in_an_answer_is_a_warning_with_its_place_and_no_edit(home, arena, server):
    server[0].go_on.set()
    (home / "config.toml").write_text(config(server[1]).replace('"base", "m", "refused"', '"base", "echo"'))
    done = arena("run", cwd=home)
    assert done.returncode == 0, done.stderr
    answers = [
        json.loads(line) for line in (home / "data" / "b" / "model_answer" / "echo.jsonl").read_text().splitlines()
    ]
    assert len(answers) == 3
    assert all(f"Bearer {LITERAL}" in answer["choices"][0]["turns"][0]["content"] for answer in answers)
    assert all(IN_FIELDS in answer["reasoning"] for answer in answers)
    warnings = [line for line in done.stderr.splitlines() if "is in a reply" in line]
    assert len(warnings) == 1
    assert re.search(
        r"echo: the key of http://127.0.0.1:\d+/v1 is in a reply \(answers of echo, question q\d\)", warnings[0]
    )
    assert not leaks(done.stderr + done.stdout)


def test_the_login_of_a_proxy_and_a_key_in_an_address_are_shown_nowhere(home, arena, server):
    server[0].go_on.set()
    text = config(f"http://gateway.invalid/{IN_ADDRESS}/v1").replace("${PLANTED_PATH}/", "")
    (home / "config.toml").write_text(text)
    proxy = server[1].replace("http://", f"http://somebody:{OF_PROXY}@").removesuffix("/v1")
    environment = os.environ | {"http_proxy": proxy, "no_proxy": ""}
    written = ""
    for command in (["run"], ["doctor"], ["run", "--dry-run"]):
        done = arena(*command, cwd=home, env=environment)
        written += done.stdout + done.stderr
    assert "http://gateway.invalid/[key]/v1" in written
    assert (home / "data" / "b" / "model_answer" / "m.jsonl").exists()
    login = base64.b64encode(f"somebody:{OF_PROXY}".encode()).decode()
    files = [path for path in home.rglob("*") if path.is_file() and path.name != "config.toml"]
    texts = [written, *(path.read_bytes().decode("utf-8", "replace") for path in files)]
    assert not [text for text in texts if leaks(text) or login[:20] in text]


@pytest.mark.parametrize("word", ["anything", "ollama", "lm-studio", "sk-no-key-required", "verdict"])
def test_a_placeholder_for_a_key_changes_no_text_and_refuses_no_model(home, arena, server, word):
    server[0].go_on.set()
    text = config(server[1]).replace('"base", "m", "refused"', '"base", "m"').replace(LITERAL, word)
    (home / "config.toml").write_text(text.replace("${PLANTED_KEY}", word))
    done = arena("run", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "is in a reply" not in done.stderr
    judgments = (home / "data" / "b" / "model_judgment" / "judge" / "m.jsonl").read_text()
    assert judgments.count("My final verdict is [[A>B]]") == 6


def test_the_environment_of_a_server_is_in_no_log_record_message_or_command_line(tmp_path, start):
    yard = Yard(tmp_path)
    said = [
        f"ValueError: the token {FOR_SERVER} is not known; HF_TOKEN={FOR_SERVER}, {REFUSED}, {IN_FIELDS}",
        f"ODDLY_NAMED={IN_ENVIRONMENT}",
    ]
    config = yard.written({name: yard.model(name, fail=said, stage_seconds=0.2) for name in ("judge", "base", "good")})
    serve = f'serve = {{ args = ["--api-key", "{LITERAL}"], env = {{ HF_TOKEN = "{FOR_SERVER}" }} }}'
    for_run = serve.replace(f'["--api-key", "{LITERAL}"]', f'["--hf-token={IN_FIELDS}"]')
    text = config.read_text().replace("serve = { args = [] }", for_run)
    text = text.replace("[judge]", '[answers]\nmodels = ["base", "good"]\n[judge]')
    text += '[models.elsewhere]\nendpoints = [{ base_url = "http://127.0.0.1:9/v1", api_key = "${ODDLY_NAMED}" }]\n'
    config.write_text(text)
    keys = {"HUGGING_FACE_HUB_TOKEN": REFUSED, "ODDLY_NAMED": IN_ENVIRONMENT}  # the server inherits both
    process = start("-c", config, "run", env=os.environ | keys | WEB_TOKEN)
    deadline = time.monotonic() + 60
    while not (called := "\n".join(command_lines(int(pid)) for pid in [process.pid, *yard.pids("base")])).count(
        "serve"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    told = "".join(process.communicate(timeout=60))
    assert "is not known" in told
    assert not leaks(told)
    assert leaks(called) == {IN_FIELDS}  # as the config has it: vLLM takes that argument and no variable for it
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != config and path.name not in FAKE_FILES]
    assert any("is not known" in path.read_text("utf-8", "replace") for path in files)
    assert any("ODDLY_NAMED=[key]" in path.read_text("utf-8", "replace") for path in files)
    assert not [path for path in files if leaks(path.read_bytes())]
    inherited = json.loads((tmp_path / "models" / "base" / "environment").read_text())
    assert "HUGGING_FACE_HUB_TOKEN" in inherited
    assert WEB_TOKEN.keys().isdisjoint(inherited)
    config.write_text(text.replace(for_run, serve))
    refused = start("-c", config, "run", "--dry-run", env=os.environ | keys)
    assert not leaks("".join(refused.communicate(timeout=60)))


@pytest.mark.parametrize(
    "endpoint",
    [
        '{ base_url = "http://me:PLANTED@127.0.0.1:9/v1" }',
        '{ base_url = "http://127.0.0.1:9/v1", api_key = ["PLANTED"] }',
        '{ base_url = "http://127.0.0.1:9/v1", api_kye = "PLANTED" }',
        '{ base_url = "PLANTED", api_key = 3 }',
        '{ base_url = "http://127.0.0.1:9/v1", api_key = "PLANTED }',
    ],
    ids=["a password in the address", "a list", "a misspelt name", "at the wrong place", "no end of its quotes"],
)
def test_a_config_that_is_refused_is_told_without_the_key_in_it(home, capfd, endpoint):
    text = f'bench = "b"\n[judge]\nmodel = "m"\nbaseline = "m"\n[models.m]\nendpoints = [{endpoint}]\n'
    (home / "config.toml").write_text(text.replace("PLANTED", LITERAL))
    for command in (["run"], ["doctor"], ["leaderboard"]):
        assert main(command) == 2
        assert not leaks("".join(capfd.readouterr()))


def test_the_web_cannot_be_had_without_its_token_wherever_it_listens(home, start):
    pytest.importorskip("textual_serve", reason="`web` comes with the [web] extra")
    environment = os.environ | {"ARENA_TUI_WEB_TOKEN": FOR_SERVER}
    for host, variables in (("0.0.0.0", environment), ("127.0.0.1", os.environ | {"ARENA_TUI_WEB_TOKEN": ""})):
        process = start("web", "--host", host, "--port", "0", env=variables)
        link = process.stdout.readline().strip()
        assert re.fullmatch(r"http://[\w.]+:\d+/\?token=\S{16,}", link)
        assert not leaks(command_lines(process.pid))
        for path in ("/", "/?token=", "/ws?token=wrong", "/static/js/textual.js"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(re.sub(r"/\?.*", path, link.replace("0.0.0.0", "127.0.0.1")), timeout=30)
            assert refused.value.code in (401, 403)
            refused.value.close()


def test_a_certificate_that_is_not_trusted_is_refused_and_told_what_to_do(home, tmp_path, arena):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not here to make a certificate")
    certificate = tmp_path / "own.pem"
    request = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=own -keyout {certificate} -out {certificate}.crt"
    subprocess.run(
        [openssl, *request.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    public = Path(f"{certificate}.crt")
    certificate.write_bytes(certificate.read_bytes() + public.read_bytes())
    with echoing_server(certificate) as (_, url):
        (home / "config.toml").write_text(config(url))
        refused = arena("doctor")
        assert "does not trust the server's certificate" in refused.stdout
        assert "SSL_CERT_FILE" in refused.stdout
        trusted = arena("doctor", env=os.environ | {"SSL_CERT_FILE": str(public)})
        assert "certificate" not in trusted.stdout
        assert f"endpoint of judge: {url}" in trusted.stdout


def test_nobody_else_can_write_to_what_the_program_makes_whatever_the_umask(tmp_path, arena):
    assert arena("--data", "data", "--demo", "--no-ui", cwd=tmp_path, umask=0).returncode == 0
    (tmp_path / "config.toml").write_text(config("http://127.0.0.1:9/v1").replace('"b"', '"demo"'))
    damaged = tmp_path / "data" / "demo" / "settings.jsonl"
    damaged.write_bytes(damaged.read_bytes() + b"{torn\n")
    environment = os.environ | {"PLANTED_KEY": "k", "PLANTED_REFUSED": "k", "PLANTED_PATH": "p"}
    for command in (
        ("doctor", "--repair"),
        ("export", "--to", "csv"),
        ("export", "--to", "arena-hard-v2", "--out", "a/b"),
        ("--data", "other", "import", "a/b"),
        ("leaderboard", "--judge", "sim-judge", "--baseline", "sim-baseline", "--save-battles", "battles.jsonl"),
    ):
        done = arena(*command, cwd=tmp_path, umask=0, env=environment)
        assert done.returncode == 0, done.stderr
    ours = [path for path in tmp_path.rglob("*") if path.name != "config.toml"]
    assert len(ours) > 30
    assert not [str(path) for path in ours if path.stat().st_mode & 0o022]
