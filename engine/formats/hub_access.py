"""What reading from and writing to a hub of data sets share: the hub's own library, its address, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.errors import Advice, AdviceKind, BenchError, UsageProblem


def hub_library(needed_for: str) -> Any:
    """Return the module `huggingface_hub`. Raises UsageProblem, naming what it is needed for, without it."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        hint = Advice("install it", AdviceKind.INSTALL_HUB)
        raise UsageProblem(f"{needed_for}: huggingface_hub is not installed", hint) from None
    return huggingface_hub


def endpoint(library: Any) -> str:
    """Return the address of the hub, without a user and a password."""
    address = urlsplit(str(library.constants.ENDPOINT))
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def refusal(library: Any, error: BaseException, repository: str, path: str = "") -> BenchError:
    """Return the error for what the hub refused. No text of the hub is quoted: it may repeat what was sent."""
    errors, address = library.errors, endpoint(library)
    where = f"{repository}/{path}" if path else repository
    has_token = library.get_token() is not None
    if isinstance(error, errors.GatedRepoError):
        page = f"{address}/datasets/{repository}"
        how = " with the account of this token" if has_token else ", then set HF_TOKEN or run `hf auth login`"
        return BenchError(f"{where}: gated, its authors must grant access", f"ask for access at {page}{how}")
    if isinstance(error, errors.RevisionNotFoundError):
        return BenchError(f"{where}: no such revision", "name a branch, a tag or a commit of it")
    if isinstance(error, errors.RepositoryNotFoundError):
        how = "or ask for access" if has_token else "or, if it is private, set HF_TOKEN or run `hf auth login`"
        return BenchError(f"{where}: no such data set at {address}", f"check its name, {how}")
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return BenchError(f"{where}: not in the cache, and {address} is not reached", "try again online")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return BenchError(f"{where}: access refused ({status})", "check HF_TOKEN, or run `hf auth login`")
    what = f"answered {status}" if status is not None else f"failed ({type(error).__name__})"
    return BenchError(f"{where}: {address} {what}", "try again later")


@contextmanager
def quiet(library: Any) -> Iterator[None]:
    """Keep the progress bars of the library away: messages of this program go through one place."""
    was = library.utils.are_progress_bars_disabled()
    library.utils.disable_progress_bars()
    try:
        yield
    finally:
        if not was:
            library.utils.enable_progress_bars()
