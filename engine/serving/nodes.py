"""The nodes of a Ray cluster: joining it, and how many GPUs each node has. Ray is imported only when that is asked."""

from __future__ import annotations

import logging
from typing import Any

from engine.config.servers import ClusterConfig
from engine.errors import ConfigError, ConfigProblem


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


def _unusable(key: str, message: str, hint: str) -> ConfigError:
    return ConfigError("config", [ConfigProblem(f"cluster.{key}", message, hint)])
