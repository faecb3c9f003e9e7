"""Question sets of a hub: which files of a data set hold the questions, pinned to one commit, downloaded once.

Downloads go through `huggingface_hub`, so its cache, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN` and the stored log-in
hold here as everywhere. Without a connection the copy in the cache is used, and reported.

The files of a data set are chosen as `datasets` does: by the `configs` in the head of its README.md where there are
any, else by their names, in which a folder names the subset and `train`, `validation` or `test` the split. A data set
that is a script is read from the Parquet copy that the hub keeps of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from engine.errors import Advice, AdviceKind, BenchError, ConfigError, UsageProblem, listed
from engine.formats.bounded_yaml import parse_yaml
from engine.formats.hub_access import endpoint, hub_library, quiet, refusal
from engine.formats.row_files import is_row_file

PREFIX = "hub:"
_CONVERTED = "refs/convert/parquet"  # where the hub keeps a Parquet copy of a data set
_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip
_NO_SUBSET = {"data", "default", ""}
_MOST_SHARDS = 200


class HubName(NamedTuple):
    """A data set of a hub; `revision` "" is its main branch."""

    repository: str
    revision: str = ""


class DataFile(NamedTuple):
    """A file of a data set with the subset and the split that it belongs to ("" where there is only one)."""

    path: str
    subset: str
    split: str


class HubDownload(NamedTuple):
    """The chosen files of a data set on this machine, in their order, by their paths in the repository."""

    files: tuple[tuple[str, Path], ...]
    revision: str
    endpoint: str
    subset: str
    split: str
    notes: tuple[str, ...] = ()


def parse_name(text: str) -> HubName:
    """Return what `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION` names. Raises UsageProblem."""
    found = _NAME.fullmatch(text.removeprefix(PREFIX))
    if found is None:
        raise UsageProblem(f"{text}: is no data set of a hub", "write hub:OWNER/NAME, or hub:OWNER/NAME@REVISION")
    return HubName(found["repository"], found["revision"] or "")


def download(name: HubName, *, subset: str = "", split: str = "", file: str = "") -> HubDownload:
    """Fetch the files of a data set that hold its questions.

    Raises BenchError if the data set is absent, gated, not reachable or has no such files, UsageProblem if `subset`,
    `split` or `file` must be chosen or is none of it.
    """
    hub = _Hub(name.repository, hub_library(f"{PREFIX}{name.repository}"))
    found = hub.listing(name.revision or "main")
    candidates = data_files(found.paths, hub.card(found))
    if not candidates and not file and not name.revision:
        found = hub.converted() or found
        candidates = data_files(found.paths, {})
    if file:
        if file not in found.paths:
            near = [path for path in found.paths if is_row_file(Path(path))]
            raise UsageProblem(f"{name.repository}: no file {file!r}", _choices(near, AdviceKind.HUB_FILE))
        chosen = [DataFile(file, subset, split)]
    else:
        chosen = _chosen(name.repository, candidates, subset, split)
    files = tuple((each.path, hub.fetch(found, each.path)) for each in chosen)
    return HubDownload(files, found.commit, hub.endpoint, chosen[0].subset, chosen[0].split, tuple(hub.notes))


def data_files(paths: Sequence[str], card: Mapping[str, Any]) -> list[DataFile]:
    """Return the files with rows among the paths of a repository, by the head of its README.md, else by their names."""
    rows = sorted(path for path in paths if is_row_file(Path(path)) and not _is_hidden(path))
    found = [each for config in _configs(card) for each in _files_of_config(config, rows)]
    if found:
        return found
    named = [DataFile(path, _subset_of(path), _split_of(path)) for path in rows]
    # Beside Parquet, other files of rows (statistics, examples) are not the data.
    parquet = [each for each in named if each.path.endswith(".parquet")]
    return parquet or named


def _configs(card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    configs = card.get("configs")
    return [each for each in configs if isinstance(each, dict)] if isinstance(configs, list) else []


def _files_of_config(config: Mapping[str, Any], rows: Sequence[str]) -> Iterator[DataFile]:
    name, given = str(config.get("config_name", "default")), config.get("data_files")
    for each in given if isinstance(given, list) else [given]:
        split, patterns = (each.get("split", ""), each.get("path")) if isinstance(each, dict) else ("", each)
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            for path in rows:
                if isinstance(pattern, str) and fnmatch(path, pattern.removeprefix("./")):
                    yield DataFile(path, name, str(split or _split_of(path)))


def _is_hidden(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(part.startswith((".", "_")) for part in parts) or parts[-1] in (
        "dataset_infos.json",
        "dataset_info.json",
    )


def _split_of(path: str) -> str:
    words = [*re.split(r"[^a-z]+", PurePosixPath(path).name.lower()), *map(str.lower, PurePosixPath(path).parts[:-1])]
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def _subset_of(path: str) -> str:
    folders = [part for part in PurePosixPath(path).parts[:-1] if part.lower() not in _SPLITS]
    return "/".join(part for part in folders if part not in _NO_SUBSET)


def _chosen(repository: str, files: Sequence[DataFile], subset: str, split: str) -> list[DataFile]:
    if not files:
        raise BenchError(
            f"{repository}: no file with rows in it (Parquet, JSON lines, JSON, CSV)",
            "it may be a script, or hold no text; look at its files on the hub",
        )
    left = _narrowed(repository, files, "subset", subset, AdviceKind.SUBSET)
    left = _narrowed(repository, left, "split", split, AdviceKind.HUB_SPLIT)
    if len(left) > _MOST_SHARDS:
        raise BenchError(f"{repository}: {len(left)} files", Advice("choose one of them", AdviceKind.HUB_FILE))
    return left


def _narrowed(repository: str, files: Sequence[DataFile], field: str, wanted: str, kind: AdviceKind) -> list[DataFile]:
    """Return the files of the wanted subset or split, which must be named where there are several."""
    known = list(dict.fromkeys(getattr(each, field) or "default" for each in files))
    if not wanted and len(known) > 1:
        raise UsageProblem(f"{repository}: {len(known)} {field}s: {listed(known, 20)}", _choices(known, kind))
    if wanted and wanted not in known:
        raise UsageProblem(f"{repository}: no {field} {wanted!r}", _choices(known, kind))
    return [each for each in files if not wanted or (getattr(each, field) or "default") == wanted]


def _choices(known: Sequence[str], kind: AdviceKind) -> Advice:
    return Advice(f"choose one of {listed(list(known), 20)}" if known else "it has none", kind)


class _Listing(NamedTuple):
    """The files of a data set at one commit; `asked` is the revision by which it was asked for."""

    commit: str
    asked: str
    paths: tuple[str, ...]


class _Hub:
    """One data set of the hub that `HF_ENDPOINT` names, online or in the cache."""

    def __init__(self, repository: str, library: Any) -> None:
        self.endpoint = endpoint(library)
        self.notes: list[str] = []
        self._repository = repository
        self._library = library
        self._is_offline = bool(library.constants.HF_HUB_OFFLINE)

    def converted(self) -> _Listing | None:
        """Return the files of the Parquet copy that the hub keeps, None where it keeps none."""
        try:
            return self.listing(_CONVERTED)
        except BenchError:
            return None

    def listing(self, revision: str) -> _Listing:
        """Return the files at a revision. Raises BenchError if it cannot be had from the hub or from the cache."""
        if not self._is_offline:
            try:
                info = self._library.HfApi().dataset_info(self._repository, revision=revision, timeout=60)
                return _Listing(str(info.sha), revision, tuple(each.rfilename for each in info.siblings or ()))
            except self._library.errors.HTTPError as error:
                answered = getattr(error, "response", None) is not None
                if answered and error.response.status_code < 500:
                    raise refusal(self._library, error, self._repository) from None
                self._is_offline = True
                why = f"answered {error.response.status_code}" if answered else "cannot be reached"
            except (OSError, ValueError) as error:
                raise refusal(self._library, error, self._repository) from None
        else:
            why = "is not asked, as HF_HUB_OFFLINE is set"
        kept = self._kept(revision)
        if kept is None:
            raise BenchError(
                f"{self.endpoint} {why}, and {self._repository} is not in the cache",
                "check the network and HF_ENDPOINT, or download it once while online",
            )
        self.notes.append(f"{self.endpoint} {why}: the copy in the cache is used")
        paths = (path.relative_to(kept).as_posix() for path in sorted(kept.rglob("*")) if path.is_file())
        return _Listing(kept.name, revision, tuple(paths))

    def card(self, listing: _Listing) -> Mapping[str, Any]:
        """Return the head of README.md, empty where there is none."""
        if "README.md" not in listing.paths:
            return {}
        text = self.fetch(listing, "README.md").read_text("utf-8", errors="replace")
        head = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
        try:
            found = parse_yaml(head[1], f"{self._repository}/README.md") if head else None
        except ConfigError:
            self.notes.append("the head of README.md is not YAML: files are chosen by their names")
            return {}
        return found if isinstance(found, dict) else {}

    def fetch(self, listing: _Listing, path: str) -> Path:
        """Return a file on this machine. Raises BenchError."""
        try:
            with quiet(self._library):
                found = Path(
                    self._library.hf_hub_download(
                        self._repository,
                        path,
                        repo_type="dataset",
                        revision=listing.commit if self._is_offline else listing.asked,
                        local_files_only=self._is_offline,
                    )
                )
        except (self._library.errors.HTTPError, OSError, ValueError) as error:
            raise refusal(self._library, error, self._repository, path) from None
        if listing.commit not in found.parts:
            raise BenchError(f"{self._repository}: has a new revision since its files were listed", "try again")
        return found

    def _kept(self, revision: str) -> Path | None:
        """Return the folder of a revision in the cache."""
        name = f"datasets--{self._repository.replace('/', '--')}"
        folder = Path(self._library.constants.HF_HUB_CACHE) / name
        named = folder / "refs" / revision
        commit = named.read_text("utf-8").strip() if named.is_file() else revision
        kept = folder / "snapshots" / commit
        return kept if kept.is_dir() else None
