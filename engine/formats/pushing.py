"""Uploads an exported folder to a hub, as a data set. Nothing else in the program sends results anywhere."""

from __future__ import annotations

import re
from pathlib import Path

from engine.errors import BenchError, UsageProblem
from engine.formats.hub_access import endpoint, hub_library, quiet, refusal
from engine.version import __version__

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_target(repository: str) -> None:
    """Raise UsageProblem if a folder cannot be pushed to `repository`: its name, a token or the library is missing."""
    if not _NAME.fullmatch(repository):
        raise UsageProblem(f"{repository!r} names no data set of a hub", "write OWNER/NAME")
    library = hub_library(repository)
    if library.constants.HF_HUB_OFFLINE:
        raise UsageProblem("HF_HUB_OFFLINE is set: nothing can be pushed", "unset it")
    if library.get_token() is None:
        raise UsageProblem(
            f"{repository}: a token that may write is needed at {endpoint(library)}",
            "set HF_TOKEN, or run `hf auth login`",
        )


def push_folder(folder: Path, repository: str, *, public: bool = False) -> str:
    """Upload the files of a folder in one commit; return its address. A new data set is private unless `public`.

    Raises UsageProblem as `check_target` does, BenchError for what the hub refuses.
    """
    check_target(repository)
    library = hub_library(repository)
    api = library.HfApi()
    try:
        with quiet(library):
            api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=str(folder),
                repo_type="dataset",
                commit_message=f"Results by arena-tui {__version__}",
            )
    except (library.errors.HTTPError, OSError, ValueError) as error:
        raise _refused(library, error, repository) from None
    return str(commit.commit_url)


def _refused(library: object, error: BaseException, repository: str) -> BenchError:
    found = refusal(library, error, repository)
    return BenchError(found.title, f"{found.hint}; the exported folder is kept")
