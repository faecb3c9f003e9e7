"""The nodes of a Ray cluster: joining it, and how many GPUs each node has. Ray is imported only when that is asked."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from engine.config.servers import ClusterConfig
from engine.errors import ConfigError, ConfigProblem

ResultT = TypeVar("ResultT")
# Ray ends a process at once when its head has been gone for 60 s. This program ends in order before that.
_HEAD_LIMIT = ("RAY_gcs_rpc_server_reconnect_timeout_s", "86400")


@dataclass(frozen=True)
class NodeRoom:
    """A live node of the cluster and its free devices."""

    id: str
    name: str
    free: float


def connect(cluster: ClusterConfig) -> Any:
    """Return Ray, connected to the cluster of the config. Blocks. Raises ConfigError.

    Call it in a thread other than the main one, whose handlers of signals Ray would replace.
    """
    try:
        import ray
    except ImportError:
        raise _unusable("engine", "Ray is not installed", "pip install 'arena-tui[ray]'") from None
    if not ray.is_initialized():
        # Ray prints errors of its nodes on stdout, whatever `log_to_driver` says; stdout is for results.
        ray._private.worker.print_to_stdstream = _print_nothing
        given = os.environ.get(_HEAD_LIMIT[0])
        os.environ[_HEAD_LIMIT[0]] = given or _HEAD_LIMIT[1]
        try:
            ray.init(
                address=cluster.address,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=True,
                include_dashboard=None,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()
            raise _unusable(
                "address",
                f"no Ray cluster at {cluster.address!r}: {reason[0] if reason else type(error).__name__}",
                "start one (`ray start --head`), or correct the address",
            ) from None
        finally:
            if given is None:
                del os.environ[_HEAD_LIMIT[0]]
    return ray


def _print_nothing(*_: object, **__: object) -> None:
    pass


def disconnect() -> None:
    """Leave the cluster: Ray ends the actors of this process. Blocks."""
    import ray

    if ray.is_initialized():
        ray.shutdown()


def node_devices(cluster: ClusterConfig) -> list[int]:
    """Return how many GPUs (or what counts as one) each live node has, largest first. Blocks. Raises ConfigError."""
    ray = connect(cluster)
    counts = [int(node["Resources"].get(cluster.resource, 0)) for node in ray.nodes() if node["Alive"]]
    if not any(counts):
        known = sorted(name for name in ray.cluster_resources() if ":" not in name and "memory" not in name)
        raise _unusable(
            "resource", f"no node of the Ray cluster has {cluster.resource!r}", f"it has: {', '.join(known)}"
        )
    return sorted(filter(None, counts), reverse=True)


def node_rooms(cluster: ClusterConfig) -> list[NodeRoom]:
    """Return the live nodes and what is free there. Blocks, without an end while the head of the cluster is gone."""
    ray = connect(cluster)
    free = import_module("ray._private.state").available_resources_per_node()
    return [
        NodeRoom(node["NodeID"], node["NodeManagerHostname"], free.get(node["NodeID"], {}).get(cluster.resource, 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]


def head_address(cluster: ClusterConfig) -> tuple[str, int]:
    """Return host and port of the head, as this process reaches it."""
    address: str = connect(cluster).get_runtime_context().gcs_address
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def in_thread(call: Callable[[], ResultT]) -> ResultT:
    """Return what a call of Ray returns, made in a thread that the exit of the program does not wait for.

    While the head of the cluster is gone such a call never ends.
    """
    loop = asyncio.get_running_loop()
    made: asyncio.Future[ResultT] = loop.create_future()

    def settle(result: ResultT | None, error: BaseException | None) -> None:
        if made.done():  # cancelled
            return
        if error is not None:
            made.set_exception(error)
        else:
            made.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, daemon=True).start()
    return await made


def _unusable(key: str, message: str, hint: str) -> ConfigError:
    return ConfigError("config", [ConfigProblem(f"cluster.{key}", message, hint)])
