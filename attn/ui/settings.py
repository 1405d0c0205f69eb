"""What the owner of a server can set: every setting in one row, read once, checked, and in force for whom it is meant.

A setting is an environment variable, or a line of Streamlit's secrets.toml at the top level, which goes first. Each has
two defaults: one for visitors on the machine itself, who could do all that without the app, and a careful one for all
others. The careful one also stands in for a value that makes no sense.
"""

import ipaddress
import logging
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import streamlit as st
from streamlit import config
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attn import pretrained
from attn.pretrained import threads
from attn.pretrained.inputs.tokens import LONGEST_TEXT
from attn.pretrained.loading.smollm2 import cache_folder

PREFIX = "ATTENTION_LAB_"
SHORTEST_LIMIT = 1000  # characters: leaves every sentence and name that the pages themselves have whole
MEGABYTE = 1024 * 1024  # as Streamlit counts uploads
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip")
_SWITCH = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


class Setting(NamedTuple):
    """One setting: what it is called, its two defaults as they would be typed, how it is read, and what it is."""

    name: str
    default: str
    careful: str
    read: Callable  # of the text; raises ValueError with what must hold and what came
    what: str

    @property
    def field(self):
        """Its name among `Settings`."""
        return self.name.removeprefix(PREFIX).lower()


def _whole(unit, low, high=math.inf):
    """Return what reads a whole number of something in a range."""
    span = f"at least {low:,}" if high == math.inf else f"from {low:,} to {high:,}"

    def read(raw):
        try:
            number = float(raw)
        except ValueError:
            number = math.nan
        if not (low <= number <= high and number < 1e18 and number == int(number)):
            raise ValueError(f"must be a whole number of {unit}, {span}, got {_short(raw)}")
        return int(number)

    return read


def _one_of(**options):
    """Return what reads one of a few words."""
    *others, last = dict.fromkeys(options.values())

    def read(raw):
        if raw.lower() not in options:
            raise ValueError(f"must be {', '.join(others)} or {last}, got {_short(raw)}")
        return options[raw.lower()]

    return read


def _switch(raw):
    """Read yes or no."""
    if raw.lower() not in _SWITCH:
        raise ValueError(f"must be yes or no, got {_short(raw)}")
    return _SWITCH[raw.lower()]


def _folder(raw):
    """Read where converted models are kept, "" for the user's cache."""
    return cache_folder(os.environ | {f"{PREFIX}CACHE": raw})


SETTINGS = (
    Setting(
        f"{PREFIX}PUBLIC", "auto", "yes",
        _one_of(auto="auto", **{word: "yes" if on else "no" for word, on in _SWITCH.items()}),
        "for whom the careful defaults hold: `auto` for visitors of another machine, `yes` for all, `no` for nobody. "
        "Behind a proxy on the same machine set `yes`",
    ),
    Setting(
        f"{PREFIX}MODELS", "any", "default", _one_of(any="any", hub="hub", default="default"),
        "`any`: hub models and folders of the server; `hub`: hub models only; `default`: only the model that comes "
        "along",
    ),
    Setting(f"{PREFIX}SIZE_LIMIT", "2e9", "6e8", _whole("bytes", 1), "most bytes a model may have"),
    Setting(
        f"{PREFIX}HUB_BYTES", "1e12", "6e9", _whole("bytes", 0),
        "most bytes that models of the hub may have together on the server's disk; a download that would be more is "
        "refused",
    ),
    Setting(
        f"{PREFIX}TEXT_LENGTH", "100000", "20000", _whole("characters", SHORTEST_LIMIT, LONGEST_TEXT),
        "most characters of a text, typed or in a link",
    ),
    Setting(f"{PREFIX}UPLOADS", "yes", "yes", _switch, "whether visitors may give files: pictures and sounds"),
    Setting(f"{PREFIX}UPLOAD_SIZE", "20e6", "10e6", _whole("bytes", 1), "most bytes of such a file"),
    Setting(
        f"{PREFIX}HEAVY_RUNS", "2", "2", _whole("runs", 1, 64),
        "heavy runs at once (long texts, sweeps, writing), for all visitors together; the others wait",
    ),
    Setting(
        f"{PREFIX}KEPT_BYTES", "3e8", "1.5e7", _whole("bytes", 0),
        "memory for what models did (recordings, runs, writing), kept for all visitors together, so that who asks "
        "again need not wait. The newest stays even if it is larger; the last few tables made of each come on top",
    ),
    Setting(
        f"{PREFIX}CACHE", "", "", _folder,
        "folder for converted models; by default `attention-lab` in the user's cache",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is allowed to one visitor, or holds for all: a field for each of `SETTINGS`, by its name."""

    public: str
    models: str
    size_limit: int
    hub_bytes: int
    text_length: int
    uploads: bool
    upload_size: int
    heavy_runs: int
    kept_bytes: int
    cache: os.PathLike

    @property
    def for_models(self):
        """What `attn.pretrained` needs of it."""
        return pretrained.Settings(self.size_limit, self.models)


class Server(NamedTuple):
    """What a server allows."""

    here: Settings  # to visitors on its own machine
    elsewhere: Settings  # to all others
    notices: tuple  # a sentence for each setting that makes no sense


def read_settings(given):
    """Read all settings.

    Parameters
    ----------
    given : Mapping of str to object
        What was set: the environment, with the secrets in it. An empty value is none.

    Returns
    -------
    Server

    Examples
    --------
    >>> server = read_settings({"ATTENTION_LAB_MODELS": "hub", "ATTENTION_LAB_UPLOADS": "perhaps"})
    >>> server.here.models, server.here.size_limit, server.elsewhere.size_limit
    ('hub', 2000000000, 600000000)
    >>> server.notices
    ('The setting ATTENTION_LAB_UPLOADS must be yes or no, got perhaps; yes is used.',)
    """
    here, elsewhere, notices = {}, {}, []
    for setting in SETTINGS:
        raw = str(given.get(setting.name, "")).strip()
        here[setting.field], elsewhere[setting.field] = setting.read(setting.default), setting.read(setting.careful)
        if not raw:
            continue
        try:
            here[setting.field] = elsewhere[setting.field] = setting.read(raw)
        except ValueError as error:
            here[setting.field] = elsewhere[setting.field]
            notices.append(f"The setting {setting.name} {error}; {setting.careful} is used.")
    names = [setting.name for setting in SETTINGS]
    for name in sorted(name for name in given if str(name).startswith(PREFIX) and name not in names):
        notices.append(f"There is no setting {_short(name)}; the settings are {', '.join(names)}.")
    if here["public"] != "auto":
        here = elsewhere = elsewhere if here["public"] == "yes" else here
    return Server(Settings(**here), Settings(**elsewhere), tuple(notices))


_visited_from_elsewhere = threading.Event()
_through_proxy = threading.Event()  # on this machine, so that all its visitors seem to be here


@st.cache_resource(show_spinner=False)
def server():
    """Return the settings of this server, read and put in force when its first page opens.

    What makes no sense is said in the log, once, and by `attn.ui.begin_page` on every page.
    """
    given, notices = dict(os.environ), ()
    if st.secrets.load_if_toml_exists():  # its texts and numbers are in the environment by now, yes and no are not
        given |= st.secrets.to_dict()
    elif unreadable := [path for path in config.get_option("secrets.files") if os.path.exists(path)]:
        given[f"{PREFIX}PUBLIC"] = "yes"  # what they say is not known, and may have been careful
        notices = (f"The secrets in {unreadable[0]} cannot be read; the careful defaults are used.",)
    found = read_settings(given)
    found = found._replace(notices=notices + found.notices)
    for notice in found.notices:
        logging.getLogger(__name__).warning(notice)
    threads.heavy_queue.at_once = found.here.heavy_runs
    if given.get(f"{PREFIX}CACHE"):
        os.environ[f"{PREFIX}CACHE"] = str(found.here.cache)  # where attn.pretrained looks, which knows no secrets
    most = max(each.upload_size if each.uploads else 0 for each in (found.here, found.elsewhere))
    # the address that takes files asks this at every one; at 0 it takes none
    config.set_option("server.maxUploadSize", math.ceil(most / MEGABYTE))
    return found


def is_elsewhere(address, headers):
    """Say whether a visitor may be on another machine than the server.

    Parameters
    ----------
    address : str or None
        From which the visitor's websocket comes; None for this machine's own, as `st.context.ip_address` has it.
    headers : Mapping of str to str
        Of the websocket.

    Examples
    --------
    >>> is_elsewhere(None, {"Host": "localhost:8501"}), is_elsewhere(None, {"Host": "lab.example.org"})
    (False, True)
    >>> is_elsewhere(None, {"Host": "0.0.0.0:8501"})  # the address that a server on all networks prints when it starts
    False
    """
    forwarded = any(headers.get(header) for header in _FORWARDED)
    return forwarded or not (is_loopback(address) and is_loopback(_host_name(headers.get("Host", "localhost"))))


def _host_name(host):
    """Return the name in a Host header, without its port; "" of one that makes no sense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(name):
    """Say whether a name or an address is the machine's own; what is no text comes of a page run without a server.

    The unspecified address, which a browser was sent to, leads to its own machine, and so do all names under localhost
    (RFC 6761, section 6.3).
    """
    if not isinstance(name, str) or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def visitor_settings():
    """Return what is allowed to the visitor whose page is run."""
    if get_script_run_ctx() is None:
        return server_settings()
    address, headers = st.context.ip_address, st.context.headers
    elsewhere = is_elsewhere(address, headers)
    if elsewhere:
        _visited_from_elsewhere.set()
    if elsewhere and address is None and not _through_proxy.is_set():
        _through_proxy.set()
        if server().here != server().elsewhere:
            logging.getLogger(__name__).warning(
                "A visitor came through a proxy on this machine, so the careful defaults hold for all visitors "
                "until the server is started again."
            )
    return server().elsewhere if elsewhere or _through_proxy.is_set() else server().here


def server_settings():
    """Return what holds for all visitors together: careful as soon as one of them came from elsewhere."""
    return server().elsewhere if _visited_from_elsewhere.is_set() else server().here


def _short(raw):
    """Return what somebody typed, cut to what fits into a sentence."""
    return raw if len(raw) <= 60 else f"{raw[:59]}…"
