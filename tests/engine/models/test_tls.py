"""The certificates of the machine: loaded for the first https connection, and trusted as ever."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

CALL = """
import asyncio, ssl, sys

loads = []
load = ssl.SSLContext.load_default_certs
ssl.SSLContext.load_default_certs = lambda self, *given: (loads.append(self), load(self, *given))[1]

from engine.models.tls import certificates_on_first_use

with certificates_on_first_use():
    import aiohttp

async def call(loop_is):
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(sys.argv[1]) as reply:
                print(loop_is, await reply.text(), len(loads))
        except aiohttp.ClientConnectorCertificateError:
            print(loop_is, "not trusted", len(loads))

import uvloop

print("imported", len(loads))
asyncio.run(call("asyncio"))
uvloop.run(call("uvloop"))
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not here")
    file = tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", f"{file}.key", "-out", file], capture_output=True, check=True)
    return file


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_certificates_are_loaded_once_and_for_https_only(
    serve: Callable[..., Awaitable[str]], certificate: Path, tmp_path: Path, is_trusted: bool
):
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, f"{certificate}.key")
    trusted = certificate if is_trusted else tmp_path / "none.pem"
    arguments = (sys.executable, "-c", CALL)
    environment = {**os.environ, "SSL_CERT_FILE": str(trusted), "SSL_CERT_DIR": str(tmp_path)}

    async def printed(url: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(*arguments, url, env=environment, stdout=subprocess.PIPE)
        return (await process.communicate())[0].decode().splitlines()

    said = "hello" if is_trusted else "not trusted"
    assert await printed(await serve(handler, ssl=context)) == ["imported 0", f"asyncio {said} 1", f"uvloop {said} 1"]
    assert await printed(await serve(handler)) == ["imported 0", "asyncio hello 0", "uvloop hello 0"]
