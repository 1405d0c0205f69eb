"""The errors of the pretrained package, and the sentences for what can go wrong outside it."""

from __future__ import annotations

import errno
import functools
import inspect
import re
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

_FROM = {  # kinds of arguments -> what makes them
    "Loaded": "attn.pretrained.load or wrap",
    "Recording": "attn.pretrained.record",
    "Layer": "attn.pretrained.record in its layers",
    "Run": "attn.pretrained.intervention.run.run",
    "Preflight": "attn.pretrained.inspect",
    "Encoder": "attn.pretrained.bert.load",
    "LanguageModel": "attn.pretrained.language_model.load",
}

# what numbers of a configuration that are none, too large or too few lead to, where a model is made of them
_OF_NUMBERS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

TOKENS = "https://huggingface.co/settings/tokens"


class ModelError(ValueError):
    """A model cannot be loaded, run or compared; the message is one sentence that says why.

    Parameters
    ----------
    message
    offers
        Names of models that can be opened instead, the likeliest first.
    """

    def __init__(self, message: str = "", offers: Sequence[str] = ()):
        super().__init__(message)
        self.offers = tuple(offers)


class HubError(ModelError):
    """The hub cannot be reached, or what answers in its place is no hub."""


class NotCalledError(ModelError):
    """A pass called no attention layer, though the model has some that would be recorded or changed."""


def takes(**kinds: str) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """Refuse arguments of another kind than a function takes, before it begins.

    Parameters
    ----------
    **kinds
        Name of an argument -> name of its class. None is let through where it is the default.

    Returns
    -------
    callable
        A decorator. What it decorates raises ValueError, which says where such an argument comes from.

    Examples
    --------
    >>> @takes(layer="Layer")
    ... def width(layer):
    ...     return layer.query.shape[-1]
    >>> width(5)
    Traceback (most recent call last):
    ValueError: layer must be a Layer, as attn.pretrained.record in its layers makes one, got int
    """

    def decorate(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            given = signature.bind(*args, **kwargs).arguments
            for name, kind in kinds.items():
                value = given.get(name, signature.parameters[name].default)
                if value is None and signature.parameters[name].default is None:
                    continue
                if kind not in {each.__name__ for each in type(value).__mro__}:
                    made = f", as {_FROM[kind]} makes one" if kind in _FROM else ""
                    raise ValueError(f"{name} must be a {kind}{made}, got {type(value).__name__}")
            return function(*args, **kwargs)

        return checked

    return decorate


@contextmanager
def made_in_numpy(name: str) -> Iterator[None]:
    """Turn what goes wrong while `attn.models` makes a model of its files into one sentence.

    Parameters
    ----------
    name
        The model as the user named it.

    Raises
    ------
    ModelError
        Where something went wrong inside the block.
    """
    try:
        yield
    except ModelError:
        raise
    except _OF_NUMBERS as error:
        raise ModelError(f"{name} cannot be computed in numpy: {error}") from None


def explain(error: Exception, name: str) -> ModelError:
    """Turn an error of huggingface_hub, transformers or safetensors into one sentence.

    Parameters
    ----------
    error
        What was raised. What it was raised from is looked at too, because transformers wraps.
    name
        The model as the user named it.

    Returns
    -------
    ModelError
        A `HubError` if the network is to blame, or what stands between this machine and the hub.
    """
    chain = list(_chain(error))
    if own := next((cause for cause in chain if isinstance(cause, ModelError)), None):
        return own
    if said := next((words for cause in chain if (words := _refused(cause, name))), None):
        return ModelError(said)
    if said := next((words for cause in chain if (words := _in_between(cause, name))), None):
        return HubError(said)
    for kind, sentence in _sentences():
        if cause := next((cause for cause in chain if isinstance(cause, kind)), None):
            return ModelError(sentence.format(name=name, error=first_line(cause)))
    if said := next((words for cause in chain if (words := _of_disk(cause, name))), None):
        return ModelError(said)
    unknown = "transformers knows no " if isinstance(error, KeyError) else ""
    return ModelError(f"{name} cannot be opened: {unknown}{first_line(error)}")


def _refused(cause, name):
    """Say what the hub answered if it does not hand out a model; an empty string for another error."""
    from huggingface_hub import errors as hub

    if not isinstance(cause, hub.HfHubHTTPError):
        return ""
    status, headers = cause.response.status_code, cause.response.headers
    repository = name.partition("@")[0]
    if isinstance(cause, hub.GatedRepoError):
        if _has_token() and status == 403:
            return (
                f"{name} is gated, and the account of your HF_TOKEN has not been let in: ask for access on "
                f"https://huggingface.co/{repository}, then wait for its owner"
            )
        return (
            f"{name} is gated: ask for access on https://huggingface.co/{repository}, make a token on {TOKENS} "
            "and set it as HF_TOKEN before the app is started"
        )
    said = str(headers.get("X-Error-Message", ""))
    if status == 401 and _has_token() and ("nvalid" in said or "expired" in said or "X-Error-Code" not in headers):
        return f"the hub does not accept your HF_TOKEN (401), which may have expired: make a new one on {TOKENS}"
    if _is_page(cause.response):
        return ""  # not the hub's own answer
    if isinstance(cause, hub.DisabledRepoError):
        return f"{name} has been disabled on the hub"
    if isinstance(cause, hub.RevisionNotFoundError):
        return f"{repository} has no revision {name.partition('@')[2] or 'main'} on the hub"
    if isinstance(cause, hub.RepositoryNotFoundError):
        own = "one that your HF_TOKEN does not open" if _has_token() else "a private one, which needs an HF_TOKEN"
        return f"there is no public model called {repository} on the hub; it may be misspelt, or {own}"
    if isinstance(cause, hub.RemoteEntryNotFoundError):
        return f"a file of {name} is missing on the hub"
    if status == 407:
        return f"the proxy on the way to the hub (HTTPS_PROXY) asks for a name and a password, so {name} is not here"
    if status == 429:
        return f"the hub does not hand out {name} now: too many requests came from here, so wait some minutes"
    if status >= 500:
        return f"the hub does not hand out {name}: it has a fault of its own ({status}), so try again later"
    return f"the hub does not hand out {name}: {first_line(cause)}"


def _in_between(cause, name):
    """Say what lies between this machine and the hub; an empty string for another error."""
    from huggingface_hub import errors as hub

    here, kinds = f"{name} is not on this machine", {kind.__name__ for kind in type(cause).__mro__}
    text = str(cause)
    if isinstance(cause, hub.OfflineModeIsEnabled):
        return f"{here}, and the hub is switched off (HF_HUB_OFFLINE)"
    if isinstance(cause, hub.FileMetadataError) or (isinstance(cause, hub.HfHubHTTPError) and _is_page(cause.response)):
        return no_hub(name)
    if "ProxyError" in kinds or re.search(r"(proxy (url|protocol)|socks proxy)", text, re.IGNORECASE):
        return f"{here}, and the proxy on the way to the hub (HTTPS_PROXY) does not let through: {first_line(cause)}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"{here}, and what answers for the hub shows a certificate that is not trusted here, as a proxy that "
            "reads along does: SSL_CERT_FILE may name the file with its certificate"
        )
    if "Consistency check failed" in text:  # of the hub's client, which counts what arrives
        return f"a file of {name} did not come whole from the hub, or another came in its place: try again later"
    if "TimeoutException" in kinds:
        return f"{here}, and the hub cannot be reached: it did not answer in time"
    web = type(cause).__module__.startswith("httpx")  # the hub's client raises its own kinds
    if web or isinstance(cause, hub.LocalEntryNotFoundError | ConnectionError):
        deeper = cause.__cause__ if isinstance(cause, hub.LocalEntryNotFoundError) else None
        proxy = {"https", "all"} & urllib.request.getproxies().keys()
        way = " through the proxy that is set here (HTTPS_PROXY)" if proxy else ""
        return (deeper is not None and _in_between(deeper, name)) or f"{here}, and the hub cannot be reached{way}"
    return ""


def no_hub(name: str) -> str:
    """Return the sentence for a network that puts something of its own in place of the hub."""
    return (
        f"{name} is not on this machine, and what answers in place of the hub is no hub but another page, "
        "such as the log-in of a network: open any web page in a browser first"
    )


def _is_page(response):
    """Say whether an answer is a web page for people, without what the hub says of its own errors."""
    return "html" in response.headers.get("Content-Type", "") and "X-Error-Code" not in response.headers


def _has_token():
    """Say whether there is a token for the hub, without looking at it."""
    from huggingface_hub import get_token

    return get_token() is not None


def _of_disk(cause, name):
    """Say what is wrong with the disk or its folders; an empty string for another error."""
    number = getattr(cause, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no room left on the disk for {name}"
    file = str(getattr(cause, "filename", None) or "a file")
    if number in (*_FORBIDDEN, errno.ENOENT, errno.ENOTDIR) and (home := _home_of_hub(file, number)):
        return f"{name} needs {home}, which cannot be used: {cause.strerror}; another folder can be set as HF_HOME"
    if number in _FORBIDDEN:
        return f"{name} needs {file}, which cannot be used: {cause.strerror}"
    return ""


def _home_of_hub(file, number):
    """Return the folder in which the hub's client keeps things if it is at fault, None if a file alone is missing."""
    from huggingface_hub import constants

    for home in (Path(constants.HF_HUB_CACHE), Path(constants.HF_HOME)):
        if Path(file) in (home, *home.parents) or (home in Path(file).parents and number != errno.ENOENT):
            return home
    return None


def _sentences():
    """Return pairs of an error and its sentence; the narrower kind comes first."""
    from huggingface_hub import errors as hub
    from safetensors import SafetensorError

    return [
        (hub.HFValidationError, "a model must be named as on the hub (owner/name) or by a folder, got {name}"),
        (SafetensorError, "the safetensors file of {name} is damaged or cut off: {error}"),
        (MemoryError, "there is not enough memory for {name}"),
        (
            ZeroDivisionError,
            "the config.json of {name} has a 0 where at least 1 is needed, such as num_attention_heads",
        ),
    ]


def _chain(error):
    """Yield the error and what it was raised from, each once."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception, limit: int = 200) -> str:
    """Return the first line of an error's message, and the next where it ends in a colon, cut to `limit` characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return line if len(line) <= limit else line[: limit - 1] + "…"
