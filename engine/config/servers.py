"""The tables of `config.toml` about servers: where they are, and how arena-tui starts its own."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag

from engine.config import fields


class ConfigTable(BaseModel):
    """A table of the config: frozen, without unknown keys or conversions."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )


class VllmConfig(ConfigTable):
    """`[vllm]`: how vLLM is called when arena-tui starts a server itself."""

    command: fields.Command = Field(default_factory=lambda: ["vllm"])
    """The program and its first arguments; it may live in another environment or a container."""
    gpus: fields.GpuList | None = None
    """The GPUs that servers may be started on; None means all that nvidia-smi lists."""
    start_timeout: fields.Seconds = 1800.0
    """Seconds after which a start that is not through counts as failed."""
    restarts: Annotated[int, Field(ge=0, le=100)] = 3
    """How often a server that died is started again within one run."""
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    """How far servers stand back where others want the CPU."""
    lock: fields.DataFolder | None = None
    """A file that other programs lock (`flock`): while one does, no server is started."""


class ClusterConfig(ConfigTable):
    """`[cluster]`: where the servers of [models.X.serve] run, if not on this machine."""

    engine: Literal["none", "ray"] = "none"
    address: str = Field(default="auto", min_length=1)
    """As Ray takes it; "auto" is the cluster of this machine."""
    resource: str = Field(default="GPU", min_length=1)  # of Ray, stands for one GPU


class EndpointConfig(ConfigTable):
    """A server that speaks OpenAI's chat API."""

    base_url: fields.BaseUrl
    """The address above /chat/completions, without a trailing slash."""
    api_key: fields.ApiKey | None = None


class EndpointFolder(ConfigTable):
    """`endpoints = { folder = "..." }`: the servers that register themselves in a folder."""

    folder: fields.DataFolder
    api_key: fields.ApiKey | None = None
    """The key of all of them."""


def _distinct(endpoints: list[EndpointConfig]) -> list[EndpointConfig]:
    addresses = [endpoint.base_url for endpoint in endpoints]
    if len(set(addresses)) < len(addresses):
        raise ValueError("must not hold one address twice: raise `parallel` instead")
    return endpoints


def _kind_of_endpoints(endpoints: object) -> str | None:
    is_folder = isinstance(endpoints, dict) and "base_url" not in endpoints
    is_folder = is_folder or isinstance(endpoints, EndpointFolder)
    return "list" if isinstance(endpoints, list) else "registry" if is_folder else None


EndpointsConfig: TypeAlias = Annotated[
    Annotated[list[EndpointConfig], AfterValidator(_distinct), Tag("list")]
    | Annotated[EndpointFolder, Tag("registry")],
    Discriminator(
        _kind_of_endpoints,
        custom_error_type="endpoints",
        custom_error_message='must be [{ base_url = "..." }, ...] or { folder = "..." }',
    ),
]


class ServeConfig(ConfigTable):
    """`[models.X.serve]`: arena-tui runs `vllm serve` for this model."""

    args: fields.ServeArguments = Field(default_factory=list)
    """Arguments of `vllm serve` behind the model's name."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Variables for the server's environment, such as HF_HUB_OFFLINE."""
    gpus: fields.GpuList | None = None
    """The GPUs for this model; None means any. Several replicas share them out."""
    tensor_parallel: fields.Parallel | None = None
    """GPUs that one copy of the model is split over; None means as `args` say, else what `gpus` give."""
    data_parallel: fields.Parallel | None = None
    """Copies of the model behind one port; None means as `args` say, else one."""
    replicas: fields.Replicas = 1
    """Servers of this model, each on its own GPUs and port; calls go to all of them. "max": as many as fit."""
    memory: fields.MemoryShare | None = None
    """The share of a GPU's memory that a server takes; None means as `args` say, else vLLM's own 0.92. Two servers run
    beside each other on a GPU if their shares are at most 1 together."""


class PriceConfig(ConfigTable):
    """`price` of a hosted model, per million tokens, in any currency."""

    input: fields.Price
    output: fields.Price
    cached: fields.Price | None = None
    """Of prompt tokens that the server had cached; None means as `input`."""
    batch: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Prices in a batch, relative to these."""
