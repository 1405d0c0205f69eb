"""Two processes behind nginx, as .github/DEPLOY.md has it: does every session stay whole, and what is gained?

Run ``python tests/benchmarks/processes.py``, which takes some minutes and needs nginx, or name what is wanted::

    killed   50 visitors; one of the processes is killed under them, and started again later: whose screen is lost?
    gained   answers a second, and how long 50 visitors wait, with one process and with two, in turns

The configuration is the one in that file, with other ports.
"""

import argparse
import asyncio
import contextlib
import re
import statistics
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import websockets
from proxying import behind_nginx
from serving import free_port, serve
from visiting import Visitor
from visitors import Others, percentile

PAGES = ("step_by_step", "heads", "positions", "block", "")  # whose links hold a sentence
SETTINGS = {"ATTENTION_LAB_PUBLIC": "yes", "ATTENTION_LAB_HEAVY_RUNS": "1"}
THINK = 6  # seconds between two moves of a visitor


def given_file(address, visitor):
    """Send a file for the session of a visitor, as a browser does; return the status of the answer."""
    with urllib.request.urlopen(f"{address}/_stcore/health") as answer:  # the token, from whichever process
        token = re.search(r"_streamlit_xsrf=([^;]+)", answer.headers["Set-Cookie"])[1]
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc\r\n--edge--\r\n'
    request = urllib.request.Request(
        f"{address}/_stcore/upload_file/{visitor.session}/one", body, method="PUT",
        headers={
            "Content-Type": "multipart/form-data; boundary=edge", "X-Xsrftoken": token,
            "Cookie": f"{visitor.cookie}; _streamlit_xsrf={token}",
        },
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def stay(visitor, page, place, end, told):
    """Let a visitor move sliders until the end, come back when its connection breaks, and tell what it found."""
    mine = f"visitor+{place}+looks+around"
    await asyncio.sleep(0.15 * place)
    first = f"source=random&text={mine}&seed={place}" if page else f"text={mine}"
    told["first"].append(await visitor.open(page, first))
    while time.perf_counter() < end:
        link, figures, cookie = visitor.link, visitor.figures, visitor.cookie
        await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * THINK)
        try:
            told["moved"].append(await visitor.move())
        except websockets.ConnectionClosed:
            start = time.perf_counter()
            while True:
                try:
                    await visitor.open(page, link)
                    break
                except (OSError, websockets.WebSocketException):
                    await asyncio.sleep(0.5)
            told["back"].append(time.perf_counter() - start)
            told["moved over"] += visitor.cookie != cookie
            told["other screen"] += not figures or visitor.figures != figures or visitor.link != link
        told["lost"] += mine not in visitor.link.replace("%20", "+")
    told["failed"] += visitor.exceptions


async def killed(number, seconds):
    """Kill one of two processes under its visitors, start it again, and print what became of their screens."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serve(port=free_port(), **SETTINGS)) for _ in range(2)]
        address = stack.enter_context(behind_nginx(servers))
        told = {"first": [], "moved": [], "back": [], "failed": [], "moved over": 0, "other screen": 0, "lost": 0}
        visitors = [Visitor(address, place) for place in range(number)]
        others, start = Others(*servers), time.perf_counter()
        stays = [
            asyncio.create_task(stay(visitor, PAGES[at % len(PAGES)], at, start + seconds, told))
            for at, visitor in enumerate(visitors)
        ]
        await asyncio.sleep(seconds / 2)
        spread = [sum(visitor.cookie.endswith(str(at)) for visitor in visitors) for at in (1, 2)]
        servers[0].process.kill()
        await asyncio.sleep(seconds / 4)
        again = stack.enter_context(serve(port=int(servers[0].address.rpartition(":")[2]), **SETTINGS))
        await asyncio.sleep(6)  # until nginx asks it again
        answers = [await asyncio.to_thread(given_file, address, visitor) for visitor in visitors[:10]]
        visitors[0].cookie = "attention_lab=1"
        stranger = await asyncio.to_thread(given_file, address, visitors[0])
        done = await asyncio.gather(*stays, return_exceptions=True)
        newcomer = Visitor(address)
        await newcomer.open("heads")
        told["failed"] += [repr(error) for error in done if error is not None]
        print(
            f"{number} visitors, {spread[0]} and {spread[1]} on two processes; the first killed with -9: "
            f"{len(told['back'])} came back (within {max(told['back'], default=0):.1f} s), "
            f"{told['moved over']} of them through the other, {told['other screen']} to another screen; "
            f"{told['lost']} lost their sentence; files given after it ran again: {answers}, "
            f"to the wrong process: {stranger}; a newcomer is on {newcomer.cookie}; "
            f"{len(told['moved'])} answers, first page p95 {percentile(told['first'], 0.95):.1f} s; "
            f"failed: {told['failed'] or 'none'} {others}"
        )
        assert again.process.poll() is None


async def answers(address, cookie, number, think, seconds):
    """Return the seconds that each answer took in so many seconds, of visitors that move sliders."""
    took, begun = [], []

    async def one(place):
        visitor = Visitor(address, place)
        visitor.cookie = cookie
        await visitor.open(PAGES[place % 4])
        begun.append(place)
        while len(begun) < number:
            await asyncio.sleep(0.1)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            await asyncio.sleep(visitor.random.uniform(0.5, 1.5) * think)
            took.append(await visitor.move())
        await visitor.close()

    await asyncio.gather(*(one(place) for place in range(number)))
    return took


async def gained(rounds, seconds):
    """Print what two processes answer over what one does, in turns."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serve(port=free_port(), **SETTINGS)) for _ in range(2)]
        address = stack.enter_context(behind_nginx(servers))
        for cookie in ("attention_lab=1", "attention_lab=2"):
            await answers(address, cookie, 4, 0, 2)  # warm
        for number, think, what in ((8, 0, "8 visitors who never rest"), (50, THINK, f"50 visitors, every {THINK} s")):
            found = {"attention_lab=1": [], "": []}
            others = Others(*servers)
            for _ in range(rounds):
                for cookie, took in found.items():
                    took.append(await answers(address, cookie, number, think, seconds))
            one, two = found.values()
            ratio = statistics.median(len(b) / len(a) for a, b in zip(one, two, strict=True))
            times = [[each for took in which for each in took] for which in (one, two)]
            print(
                f"{what}: two processes give {ratio:.2f} times the answers of one; "
                + ", ".join(
                    f"{name} p50 {percentile(which, 0.5):.2f} s, p95 {percentile(which, 0.95):.2f} s"
                    for name, which in zip(("one", "two"), times, strict=True)
                )
                + f" {others}",
                flush=True,
            )


def main():
    """Try what was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="killed, gained; both by default")
    parser.add_argument("--visitors", type=int, default=50, help="of killed")
    parser.add_argument("--seconds", type=float, default=60, help="of killed")
    parser.add_argument("--rounds", type=int, default=3, help="of gained, each with one process and with two")
    given = parser.parse_args()
    for what in given.what or ("killed", "gained"):
        asyncio.run(killed(given.visitors, given.seconds) if what == "killed" else gained(given.rounds, 10))


if __name__ == "__main__":
    main()
