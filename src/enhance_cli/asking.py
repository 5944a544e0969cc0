"""What object storage raises, and asking again while a store does not answer."""

from __future__ import annotations

import errno
import importlib
import logging
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from enhance_cli.errors import EnhanceError
from enhance_cli.places import Url

_PATIENCE = 120.0  # seconds for which a store that does not answer is asked again
_LONGEST_PAUSE = 10.0  # seconds between two attempts
_FINAL_KINDS = (
    FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError,
)  # fmt: skip
_FINAL = {
    errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EMSGSIZE, errno.ENOSPC,
}  # fmt: skip
_ERRORS_OF_PACKAGES = (
    ("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError"),
    ("gcsfs.retry", "HttpError"), ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"), ("httpx", "HTTPError"), ("httpx2", "HTTPError"),
)  # fmt: skip
_OF_CONNECTIONS = {
    "botocore.exceptions.ConnectionError", "botocore.exceptions.HTTPClientError",
    "aiohttp.client_exceptions.ClientError", "google.auth.exceptions.TransportError",
    "azure.core.exceptions.ServiceRequestError", "azure.core.exceptions.ServiceResponseError",
    "httpx.TransportError", "httpx2.TransportError",
}  # fmt: skip

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def failures() -> tuple[type[Exception], ...]:
    """Return the errors that stores raise; only packages that are loaded can raise theirs.

    A ValueError is an address that a store cannot have.
    """
    found: list[type[Exception]] = [OSError, TimeoutError, ValueError]
    for module, name in _ERRORS_OF_PACKAGES:
        if module in sys.modules:
            found.append(getattr(importlib.import_module(module), name))
    return tuple(found)


def asking(url: Url, what: str, ask: Callable[[], _T]) -> _T:
    """Ask a store, for minutes if it does not answer. Raises EnhanceError, or FileExistsError."""
    until, pause = time.monotonic() + _PATIENCE, 0.5
    while True:
        try:
            return ask()
        except FileExistsError:
            raise
        except failures() as error:
            why = _reason(error)
            if not _may_pass(error) or time.monotonic() + pause > until:
                raise EnhanceError(f"cannot {what} {url}: {why}") from error
            line = f"{url.protocol}:// does not answer ({why}): asking again for 2 minutes"
            _log.warning(line, extra={"is_told_once": True})
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    """Whether an error may be gone when the store is asked again."""
    if isinstance(error, _FINAL_KINDS):
        return False
    of = getattr(error, "response", None) or error  # Hugging Face keeps the status there
    code = getattr(of, "code", getattr(of, "status_code", None))
    if code is not None:
        return code == 429 or int(code) >= 500
    if isinstance(error, OSError):
        return error.errno not in _FINAL
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    return isinstance(error, TimeoutError) or bool(kinds & _OF_CONNECTIONS)


def _reason(error: Exception) -> str:
    """Return in one line why a store refuses."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    if isinstance(error, FileNotFoundError) and text.startswith("http"):  # all that gcsfs says
        return "there is no such bucket or object"
    return text.partition(" RequestId:")[0] or type(error).__name__  # Azure's numbers and XML
