"""A pointer network that learnt to sort: ``python -m attn.trained.pointer`` trains it anew, in some minutes.

It reads numbers with two decimals between 0 and 1, and points at them from the smallest to the
largest. Nothing in training keeps it from pointing at a number twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attn.architectures.pointer_network import PointerNetwork
from attn.architectures.recurrent import Recurrent

if TYPE_CHECKING:
    import torch

PATH = Path(__file__).parent / "pointer.safetensors"
TRAINED_ON = (3, 12)  # fewest and most numbers of an input in training
MEASURED = (2, 3, 5, 8, 10, 12, 15, 20)
DRAWN = 2000  # new inputs of each length that is measured
_STEPS, _BATCH, _RATE, _WIDTH = 14_000, 128, 0.004, 48
_SCALE = 16  # of what the networks read: from -8 to 8, so that near numbers are told apart sooner


@cache
def load(path: Path = PATH) -> tuple[PointerNetwork, dict[int, tuple[float, float]]]:
    """Return the trained network and how often it sorts wholly right.

    Returns
    -------
    network : PointerNetwork
    accuracy : dict of int to (float, float)
        How many numbers -> share of inputs sorted without a mistake, free to point twice and not.

    Raises
    ------
    ValueError
        If there are no trained weights.

    Examples
    --------
    >>> from attn.architectures.pointer_network import point_at_all
    >>> numbers = np.array([0.3, 0.9, 0.1, 0.6])
    >>> numbers[point_at_all(load()[0], numbers[:, None]).order]
    array([0.1, 0.3, 0.6, 0.9])
    """
    from safetensors import safe_open

    if not Path(path).is_file():
        raise ValueError(f"there must be trained weights {path}, got none: run python -m attn.trained.pointer")
    with safe_open(path, framework="numpy") as file:
        p = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
        measured = json.loads(file.metadata()["accuracy"])
    return build(p), {int(n): tuple(shares) for n, shares in measured.items()}


def build(p: dict[str, np.ndarray]) -> PointerNetwork:
    """Make a network of weights by name."""
    encoder, decoder = (
        Recurrent(*(p[f"{part}.{name}"] for name in ("w_x", "w_h", "b_x"))) for part in ("encoder", "decoder")
    )
    return PointerNetwork(encoder, decoder, p["start"], p["w_encoded"], p["w_decoded"], p["v"])


def draw(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    """Draw inputs, each of `n` different numbers with two decimals.

    Returns
    -------
    shape (count, n)
    """
    return (rng.random((count, 101)).argsort(axis=1)[:, :n] / 100).astype(np.float32)


def initial(rng: np.random.Generator, width: int = _WIDTH) -> dict[str, torch.Tensor]:
    """Return weights to begin with, as torch tensors by name."""
    import torch

    shapes = {"start": (1,), "w_encoded": (width, width), "w_decoded": (width, width), "v": (width,)}
    for part in ("encoder", "decoder"):
        shapes |= {f"{part}.w_x": (1, 4 * width), f"{part}.w_h": (width, 4 * width), f"{part}.b_x": (4 * width,)}
    bound = width**-0.5
    return {
        name: torch.tensor(rng.uniform(-bound, bound, shape), dtype=torch.float32, requires_grad=True)
        for name, shape in shapes.items()
    }


def scores(
    p: dict[str, torch.Tensor],
    numbers: torch.Tensor,
    order: torch.Tensor | None = None,
    leave_out_visited: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score all inputs at every step, for a batch.

    Parameters
    ----------
    p
    numbers : shape (batch, n)
    order : integers, shape (batch, n)
        What is pointed at; by default whatever has the largest score.
    leave_out_visited

    Returns
    -------
    scores : shape (batch, n, n)
    pointed : integers, shape (batch, n)
    """
    import torch

    h = c = numbers.new_zeros(len(numbers), len(p["v"]))
    states = []
    for x in numbers.T:
        h, c = _lstm(p, "encoder", x[:, None], h, c)
        states.append(h)
    keys = torch.stack(states, 1) @ p["w_encoded"]  # (batch, n, width)
    x, visited, steps, pointed = p["start"].expand(len(numbers), 1), torch.zeros_like(numbers), [], []
    for step in range(numbers.shape[1]):
        h, c = _lstm(p, "decoder", x, h, c)
        step_scores = torch.tanh(keys + (h @ p["w_decoded"])[:, None]) @ p["v"]  # (batch, n)
        if leave_out_visited:
            step_scores = step_scores - 1e9 * visited
        best = step_scores.argmax(1, keepdim=True) if order is None else order[:, step : step + 1]
        visited = visited.scatter(1, best, 1.0)
        x = numbers.gather(1, best)
        steps.append(step_scores)
        pointed.append(best)
    return torch.stack(steps, 1), torch.cat(pointed, 1)


def _lstm(p, part, x, h, c):
    """Take one step of a long short-term memory, its gates in the order of torch."""
    gates = _SCALE * (x - 0.5) @ p[f"{part}.w_x"] + h @ p[f"{part}.w_h"] + p[f"{part}.b_x"]
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def train(
    *,
    steps: int = _STEPS,
    batch: int = _BATCH,
    width: int = _WIDTH,
    most: int = TRAINED_ON[1],
    seed: int = 0,
    watch: Callable | None = None,
) -> dict[str, torch.Tensor]:
    """Train a network to point from the smallest number to the largest.

    Parameters
    ----------
    steps, batch, width
    most
        Most numbers of an input.
    seed
    watch
        Called as ``watch(step, loss)`` after each step.
    """
    import torch

    rng = np.random.default_rng(seed)
    p = initial(rng, width)
    optimiser = torch.optim.Adam(p.values(), lr=_RATE)
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
    )
    for step in range(steps):
        numbers = torch.from_numpy(draw(rng, batch, int(rng.integers(TRAINED_ON[0], most + 1))))
        order = numbers.argsort(1)
        error = torch.nn.functional.cross_entropy(scores(p, numbers, order)[0].flatten(0, 1), order.flatten())
        optimiser.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        optimiser.step()
        pace.step()
        if watch:
            watch(step, error.item())
    return p


def measure(
    p: dict[str, torch.Tensor], lengths: Sequence[int] = MEASURED, *, count: int = DRAWN, seed: int = 99
) -> dict[int, tuple[float, float]]:
    """Return how often inputs are sorted without a mistake, drawn anew.

    Returns
    -------
    dict of int to (float, float)
        How many numbers -> share, free to point twice and not.
    """
    import torch

    rng, right = np.random.default_rng(seed), {}
    for n in lengths:
        numbers = torch.from_numpy(draw(rng, count, n))
        with torch.no_grad():
            found = [scores(p, numbers, leave_out_visited=free)[1] for free in (False, True)]
        right[n] = tuple(round((one == numbers.argsort(1)).all(1).float().mean().item(), 4) for one in found)
    return right


def folded(p: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the same network that reads numbers as they are.

    What the cells read is ``_SCALE * (x - 0.5)``, which can as well be done by their matrices.
    """
    p = {name: tensor.detach().clone() for name, tensor in p.items()}
    for part in ("encoder", "decoder"):
        p[f"{part}.b_x"] -= 0.5 * _SCALE * p[f"{part}.w_x"][0]
        p[f"{part}.w_x"] *= _SCALE
    return p


def main() -> None:
    """Train the network and write its weights and what it can do."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)  # the matrices are small: a second core would only wait
    start = time.monotonic()

    def watch(step, loss):
        if step % 500 == 0:
            print(f"pointer: step {step} of {_STEPS}, loss {loss:.4f}, {time.monotonic() - start:.0f} s", flush=True)

    p = train(watch=watch)
    right = measure(p)
    save_file(folded(p), PATH, metadata={"accuracy": json.dumps(right)})
    print(f"pointer: {time.monotonic() - start:.0f} s, sorted without a mistake {right}", flush=True)


if __name__ == "__main__":
    main()
