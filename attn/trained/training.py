"""Train the small models that come along: fixed vector, Bahdanau, Luong, Transformer, on every task.

The networks are written here once more, in torch and for batches; `attn.seq2seq` computes the same
from the weights that are kept. Tensors have the names and shapes of its parameters.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn.positions import sinusoidal
from attn.trained import FILMED, TRAINED_ON

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from attn.trained.tasks import Task


class Recipe(NamedTuple):
    """How large a model is and how it is trained: until the loss on held-out examples is flat.

    It is flat when it has not fallen by `gain` for `patience` checks. Then the learning rate is cut once by
    `cut`, and where the loss is flat again the training ends; the weights that were best are kept.
    """

    width: int = 48  # of a state
    embedding: int = 24
    batch: int = 96
    rate: float = 4e-3
    warm_up: int = 50  # steps
    examples: int = 30_000
    held_out: int = 1_500  # examples that are not trained on
    check: int = 200  # steps between two looks at the held-out loss
    gain: float = 1e-3  # nats for each symbol
    patience: int = 5  # checks
    cut: float = 0.1
    most_steps: int = 60_000
    layers: int = 2  # of the Transformer's encoder, and of its decoder
    num_heads: int = 4
    half_width: int = 3  # of the window of local-m and local-p


# parameters ----------------------------------------------------------------------------------------


def initial(model: str, task: Task, recipe: Recipe, seed: int) -> dict[str, torch.Tensor]:
    """Return a model's first weights, a name for each tensor.

    Parameters
    ----------
    model
        A name from `attn.trained.MODELS`.
    task
    recipe
    seed

    Notes
    -----
    As in appendix B.1 of [1]_ the matrices from state to state are orthogonal and ``v_a`` is 0, so
    that the first alignment is uniform. The other matrices are normal with standard deviation
    ``1 / sqrt(rows)``: at this small size the paper's 0.01 takes long to leave.

    References
    ----------
    .. [1] Bahdanau et al., 2015. arXiv:1409.0473
    """
    import torch

    rng = np.random.default_rng(seed)
    shapes = _SHAPES[model](len(task.source_symbols), len(task.target_symbols), recipe)
    tensors = {}
    for name, shape in shapes.items():
        kind = name.rsplit(".", 1)[-1]
        if kind == "w_h":
            array = np.concatenate([_orthogonal(rng, shape[0]) for _ in range(shape[1] // shape[0])], axis=1)
        elif kind == "gain":
            array = np.ones(shape)
        elif kind == "v_a" or kind.startswith("b_"):
            array = np.zeros(shape)
        else:
            array = rng.normal(0, 1 if kind == "embedding" else shape[0] ** -0.5, shape)
        tensors[name] = torch.tensor(array, dtype=torch.float32, requires_grad=True)
    return tensors


def _orthogonal(rng, n):
    """Return a random square matrix whose columns are orthogonal and of length 1."""
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    return q * np.sign(np.diag(r))


def _recurrent(name, d_in, n, gates):
    return {f"{name}.w_x": (d_in, gates * n), f"{name}.w_h": (n, gates * n), f"{name}.b_x": (gates * n,)}


def _embeddings(v_x, v_y, width):
    return {"source.embedding": (v_x, width), "target.embedding": (v_y, width)}


def _fixed_shapes(v_x, v_y, recipe):
    m, n = recipe.embedding, recipe.width
    return {
        **_embeddings(v_x, v_y, m),
        **_recurrent("forward", m, n, 3),
        **_recurrent("backward", m, n, 3),
        **_recurrent("decoder", m + 2 * n, n, 3),
        "w_s": (n, n),
        "b_s": (n,),
        "u_o": (n, n),
        "v_o": (m, n),
        "c_o": (2 * n, n),
        "b_o": (n,),
        "w_o": (n // 2, v_y),
    }


def _bahdanau_shapes(v_x, v_y, recipe):
    n = recipe.width
    return _fixed_shapes(v_x, v_y, recipe) | {"w_a": (n, n), "u_a": (2 * n, n), "v_a": (n,)}


def _luong_shapes(v_x, v_y, recipe):
    m, n = recipe.embedding, recipe.width
    return {
        **_embeddings(v_x, v_y, m),
        **_recurrent("encoder", m, n, 4),
        **_recurrent("decoder", m + n, n, 4),
        "w_a": (n, n),
        "w_c": (2 * n, n),
        "w_s": (n, v_y),
        "b_s": (v_y,),
    }


def _local_p_shapes(v_x, v_y, recipe):
    n = recipe.width
    return _luong_shapes(v_x, v_y, recipe) | {"w_p": (n, n), "v_p": (n,)}


def _transformer_shapes(v_x, v_y, recipe):
    d = recipe.width
    shapes = {**_embeddings(v_x, v_y, d), "w_out": (d, v_y), "b_out": (v_y,)}
    for side, sublayers in (("encoder", ("self",)), ("decoder", ("self", "cross"))):
        for layer in range(recipe.layers):
            for sublayer in sublayers:
                at = f"{side}.{layer}.{sublayer}"
                shapes |= {f"{at}.w_{role}": (d, d) for role in "qkvo"}
                shapes |= {f"{at}.b_{role}": (d,) for role in "qkvo"}
                shapes |= {f"{at}.gain": (d,), f"{at}.b_norm": (d,)}
            at = f"{side}.{layer}.feed_forward"
            shapes |= {f"{at}.w_1": (d, 2 * d), f"{at}.b_1": (2 * d,), f"{at}.w_2": (2 * d, d), f"{at}.b_2": (d,)}
            shapes |= {f"{at}.gain": (d,), f"{at}.b_norm": (d,)}
    return shapes


def _wide_shapes(v_x, v_y, recipe):
    """Return the shapes of a fixed vector whose width gives it about as many weights as Bahdanau's attention has."""

    def count(shapes):
        return sum(math.prod(shape) for shape in shapes.values())

    wanted = count(_bahdanau_shapes(v_x, v_y, recipe))
    widths = range(recipe.width, 2 * recipe.width, 2)  # even: the output's units are taken in pairs
    made = [_fixed_shapes(v_x, v_y, recipe._replace(width=width)) for width in widths]
    return min(made, key=lambda shapes: abs(count(shapes) - wanted))


_SHAPES = {
    "fixed": _fixed_shapes,
    "fixed-wide": _wide_shapes,
    "bahdanau": _bahdanau_shapes,
    "luong": _luong_shapes,
    "local-m": _luong_shapes,
    "local-p": _local_p_shapes,
    "transformer": _transformer_shapes,
}

# networks ------------------------------------------------------------------------------------------


def logits(
    model: str, p: dict[str, torch.Tensor], source: torch.Tensor, written: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    """Return the scores of every next symbol, given the source and what was written so far.

    Parameters
    ----------
    model
    p
    source : integers, shape (batch, T_x)
    written : integers, shape (batch, T_y)
        Begins with `START`.
    recipe

    Returns
    -------
    shape (batch, T_y, symbols)
    """
    if model == "transformer":
        return _transformer(p, source, written, recipe.num_heads)
    if model in ("luong", "local-m", "local-p"):
        return _luong(p, source, written, model, recipe.half_width)
    return _bahdanau(p, source, written)


def _gru(gates_x, h, w_h, n):
    """Take one step of Bahdanau's gated unit; `gates_x` holds what the input adds to r, z and the candidate."""
    reset, update = (gates_x[..., : 2 * n] + h @ w_h[..., : 2 * n]).sigmoid().chunk(2, -1)
    candidate = (gates_x[..., 2 * n :] + (reset * h) @ w_h[..., 2 * n :]).tanh()
    return h + update * (candidate - h)


def _bahdanau(p, source, written):
    """Run the encoder-decoder, with attention where the weights of one are there."""
    import torch

    n = p["w_s"].shape[0]
    embedded = p["source.embedding"][source].transpose(0, 1)  # (T_x, batch, m)
    both = torch.stack([embedded, embedded.flip(0)], 1)  # (T_x, 2, batch, m)
    w_x, w_h, b_x = (torch.stack([p[f"forward.{name}"], p[f"backward.{name}"]]) for name in ("w_x", "w_h", "b_x"))
    gates_x = both @ w_x + b_x[:, None]
    h, states = torch.zeros(2, source.shape[0], n), []
    for gates in gates_x:
        h = _gru(gates, h, w_h, n)
        states.append(h)
    states = torch.stack(states)  # (T_x, 2, batch, n)
    annotations = torch.cat([states[:, 0], states[:, 1].flip(0)], -1).transpose(0, 1)  # (batch, T_x, 2n)
    summary = torch.cat([h[0], h[1]], -1)  # what both directions end with

    s = (h[1] @ p["w_s"] + p["b_s"]).tanh()
    m = p["target.embedding"].shape[1]
    y = p["target.embedding"][written].transpose(0, 1)  # (T_y, batch, m)
    y_gates = y @ p["decoder.w_x"][:m] + p["decoder.b_x"]
    y_out = y @ p["v_o"] + p["b_o"]
    keys = annotations @ p["u_a"] if "u_a" in p else None
    outputs = []
    for i in range(len(y)):
        context = summary
        if keys is not None:
            scores = ((s @ p["w_a"])[:, None] + keys).tanh() @ p["v_a"]
            context = (scores.softmax(-1)[:, None] @ annotations)[:, 0]
        outputs.append(s @ p["u_o"] + context @ p["c_o"])
        s = _gru(y_gates[i] + context @ p["decoder.w_x"][m:], s, p["decoder.w_h"], n)
    deep = torch.stack(outputs) + y_out  # (T_y, batch, 2l)
    return (deep.unflatten(-1, (-1, 2)).amax(-1) @ p["w_o"]).transpose(0, 1)


def _lstm(gates, c):
    """Take one step of a long short-term memory, its gates in the order of torch."""
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _luong(p, source, written, reach, half_width):
    """Run the encoder-decoder with general attention, global or local, and input feeding."""
    import torch

    n = p["w_a"].shape[0]
    gates_x = (p["source.embedding"][source] @ p["encoder.w_x"] + p["encoder.b_x"]).transpose(0, 1)
    h = c = torch.zeros(source.shape[0], n)
    states = []
    for gates in gates_x:
        h, c = _lstm(gates + h @ p["encoder.w_h"], c)
        states.append(h)
    states = torch.stack(states, 1)  # (batch, T_x, n)
    keys = states @ p["w_a"].T

    m = p["target.embedding"].shape[1]
    y_gates = (p["target.embedding"][written] @ p["decoder.w_x"][:m] + p["decoder.b_x"]).transpose(0, 1)
    fed, outputs = torch.zeros_like(h), []
    for t, gates in enumerate(y_gates):
        h, c = _lstm(gates + fed @ p["decoder.w_x"][m:] + h @ p["decoder.w_h"], c)
        scores = (keys @ h[:, :, None])[..., 0]
        if reach == "luong":
            weights = scores.softmax(-1)
        else:
            n_k = source.shape[1]
            centre = n_k * ((h @ p["w_p"]).tanh() @ p["v_p"]).sigmoid()[:, None] if reach == "local-p" else t
            weights = _local(scores, torch.arange(n_k) - centre, half_width, bell=reach == "local-p")
        context = (weights[:, None] @ states)[:, 0]
        fed = (torch.cat([context, h], -1) @ p["w_c"]).tanh()
        outputs.append(fed)
    return torch.stack(outputs, 1) @ p["w_s"] + p["b_s"]


def _local(scores, distance, half_width, bell):
    """Return the weights of keys near a centre, which may see none."""
    visible = distance.abs() <= half_width
    aligned = scores.masked_fill(~visible, -1e9).softmax(-1) * visible
    return aligned * (-2 * (distance / half_width) ** 2).exp() if bell else aligned  # sigma is half the half-width


def _transformer(p, source, written, num_heads):
    """Run encoder and decoder, normalised after each sublayer as in the paper."""
    layers = 1 + max(int(name.split(".")[1]) for name in p if name.startswith("encoder."))
    memory = _placed(p["source.embedding"], source)
    for i in range(layers):
        memory = _attend(p, f"encoder.{i}.self", memory, memory, num_heads)
        memory = _feed(p, f"encoder.{i}.feed_forward", memory)
    x = _placed(p["target.embedding"], written)
    for i in range(layers):
        x = _attend(p, f"decoder.{i}.self", x, x, num_heads, causal=True)
        x = _attend(p, f"decoder.{i}.cross", x, memory, num_heads)
        x = _feed(p, f"decoder.{i}.feed_forward", x)
    return x @ p["w_out"] + p["b_out"]


def _placed(embedding, ids):
    """Return embeddings with the waves of their positions added."""
    import torch

    n, d = ids.shape[1], embedding.shape[1]
    return embedding[ids] + torch.tensor(sinusoidal(n, d), dtype=torch.float32)


def _attend(p, at, x, memory, num_heads, causal=False):
    """Add what multi-head attention reads in `memory`, and normalise."""
    from torch.nn.functional import scaled_dot_product_attention

    def heads(x, role):
        projected = x @ p[f"{at}.w_{role}"] + p[f"{at}.b_{role}"]
        return projected.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    read = scaled_dot_product_attention(heads(x, "q"), heads(memory, "k"), heads(memory, "v"), is_causal=causal)
    return _normalised(p, at, x + read.transpose(1, 2).flatten(2) @ p[f"{at}.w_o"] + p[f"{at}.b_o"])


def _feed(p, at, x):
    """Add what the feed-forward network makes of each token, and normalise."""
    hidden = (x @ p[f"{at}.w_1"] + p[f"{at}.b_1"]).relu()
    return _normalised(p, at, x + hidden @ p[f"{at}.w_2"] + p[f"{at}.b_2"])


def _normalised(p, at, x):
    from torch.nn.functional import layer_norm

    return layer_norm(x, x.shape[-1:], p[f"{at}.gain"], p[f"{at}.b_norm"])


# training ------------------------------------------------------------------------------------------


def train(
    model: str, task: Task, longest: int, recipe: Recipe, *, seed: int = 0, watch: Callable | None = None
) -> tuple[dict[str, torch.Tensor], int]:
    """Train one model on one task until the loss on held-out examples is flat.

    Parameters
    ----------
    model
    task
    longest
        Most symbols of an input that is trained on.
    recipe
    seed
    watch
        Called as ``watch(step, loss, p)`` before each step, with the held-out loss of the last check.

    Returns
    -------
    p : dict of str to tensor
        The weights whose held-out loss was least.
    steps : int
        After how many steps they were reached.
    """
    import torch

    p = initial(model, task, recipe, seed)
    optimiser = torch.optim.Adam(p.values(), lr=recipe.rate)
    pairs = task.pairs(np.random.default_rng((seed, 1)), recipe.examples + recipe.held_out, longest)
    batches, held_out = _batches(pairs[recipe.held_out :]), _batches(pairs[: recipe.held_out])
    rng = np.random.default_rng((seed, 2))
    loss = least = flat_from = math.inf
    best, best_step, waited, cuts = p, 0, 0, 0
    for step in range(recipe.most_steps):
        if step % recipe.check == 0:
            loss = _held_out_loss(model, p, held_out, recipe)
            if loss < least:
                least, best_step = loss, step
                best = {name: tensor.detach().clone() for name, tensor in p.items()}
            waited = 0 if loss < flat_from - recipe.gain else waited + 1
            flat_from = min(loss, flat_from) if waited == 0 else flat_from
            if waited > recipe.patience:
                if cuts:
                    break
                cuts, waited = 1, 0
        if watch:
            watch(step, loss, p)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * recipe.cut**cuts * min(1, (step + 1) / recipe.warm_up)
        source, target = _draw(batches, rng, recipe.batch)
        optimiser.zero_grad()
        _cross_entropy(model, p, source, target, recipe).backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        optimiser.step()
    return best, best_step


def _cross_entropy(model, p, source, target, recipe):
    """Return the mean over the symbols of a batch of minus the logarithm of their probability."""
    import torch

    scores = logits(model, p, source, shifted(target), recipe)
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())


def _held_out_loss(model, p, batches, recipe):
    """Return the cross-entropy of all examples that are not trained on, in nats for each symbol."""
    import torch

    total = symbols = 0
    with torch.no_grad():
        for source, target in batches:
            source, target = torch.from_numpy(source), torch.from_numpy(target)
            total += _cross_entropy(model, p, source, target, recipe).item() * target.numel()
            symbols += target.numel()
    return total / symbols


def _batches(pairs):
    """Return the examples as arrays, one pair of them per length of source and target: nothing is padded."""
    groups = {}
    for source, target in pairs:
        groups.setdefault((len(source), len(target)), []).append((source, target))
    return [tuple(np.array(side) for side in zip(*group, strict=True)) for group in groups.values()]


def _draw(batches, rng, size):
    """Return a batch of one length, each length as often as the examples have it."""
    import torch

    counts = np.array([len(source) for source, _ in batches])
    source, target = batches[rng.choice(len(batches), p=counts / counts.sum())]
    rows = rng.integers(len(source), size=size)
    return torch.from_numpy(source[rows]), torch.from_numpy(target[rows])


def shifted(target: torch.Tensor) -> torch.Tensor:
    """Return what stands before each symbol of the target, `START` before the first."""
    return target.roll(1, dims=1).index_fill(1, target.new_zeros(1), 0)


# measuring -----------------------------------------------------------------------------------------


def write(model: str, p: dict[str, torch.Tensor], source: torch.Tensor, most: int, recipe: Recipe) -> torch.Tensor:
    """Write the likeliest symbols one after another, for a batch.

    Returns
    -------
    integers, shape (batch, most)
    """
    import torch

    written = source.new_zeros(len(source), 1)
    with torch.no_grad():
        for _ in range(most):
            best = logits(model, p, source, written, recipe)[:, -1:].argmax(-1)
            written = torch.cat([written, best], 1)
    return written[:, 1:]


def measure(
    model: str, p: dict[str, torch.Tensor], task: Task, recipe: Recipe, *, count: int = 200, seed: int = 99
) -> dict[int, tuple[float, float]]:
    """Return how often inputs of each length are answered right, drawn anew.

    Parameters
    ----------
    model
    p
    task
    recipe
    count
        Inputs of each length; lengths that are drawn less than a tenth as often are left out.
    seed

    Returns
    -------
    dict of int to (float, float)
        Length of the input to the share of whole answers that are right, and of symbols.
    """
    import torch

    drawn = _batches(task.pairs(np.random.default_rng(seed), count * task.longest, task.longest))
    right: dict[int, list] = {}
    for source, target in drawn:
        source, target = torch.from_numpy(source), torch.from_numpy(target)
        same = write(model, p, source[:count], target.shape[1], recipe) == target[:count]
        right.setdefault(source.shape[1] - 1, []).extend(
            zip(same.all(1).tolist(), same.float().mean(1).tolist(), strict=True)
        )
    return {
        length: tuple(np.mean(right[length], axis=0).round(4).tolist())
        for length in sorted(right)
        if len(right[length]) >= count / 10
    }


# keeping -------------------------------------------------------------------------------------------

RECIPE = Recipe()
FILM = (0, 10, 20, 35, 50, 70, 100, 140, 200, 300, 500)  # after so many steps, and when it is done


def keep(
    model: str, task: Task, trained_on: str, folder: Path, *, again: bool = False, recipe: Recipe = RECIPE
) -> None:
    """Train one model and write its weights and what it can do, unless they are there.

    Parameters
    ----------
    model
    task
    trained_on : {'short', 'long'}
    folder
    again
        Train also what is already there.
    recipe
    """
    import torch
    from safetensors.torch import save

    path = folder / f"{task.name}-{model}-{trained_on}.safetensors"
    if path.exists() and not again:
        return
    torch.set_num_threads(1)  # the matrices are small: a second core would only wait
    film, start = {}, time.monotonic()

    def watch(step, loss, p):
        if (model, trained_on) == FILMED and step in FILM:
            film.update({f"{step}/{name}": tensor.detach().half() for name, tensor in p.items()})
        if step % 1000 == 0:
            print(f"{path.stem}: step {step}, held-out loss {loss:.4f}", flush=True)

    longest = task.limits[TRAINED_ON.index(trained_on)]
    p, steps = train(model, task, longest, recipe, seed=_seed(path.stem), watch=watch)
    halves = {name: tensor.detach().half() for name, tensor in p.items()}
    noted = measured(model, task, trained_on, {name: half.float() for name, half in halves.items()}, recipe)
    if film:
        kept = save(film, metadata={"steps": str(steps)})
        (folder / f"{task.name}-film.safetensors").write_bytes(kept)
    options = {"num_heads": str(recipe.num_heads), "half_width": str(recipe.half_width), "steps": str(steps)}
    path.write_bytes(save(halves, metadata=options))
    _note(folder / "accuracy.json", noted)
    whole = [round(share, 2) for share, _ in noted[path.stem].values()]
    print(f"{path.stem}: {steps} steps, {time.monotonic() - start:.0f} s, right by length {whole}", flush=True)


def measured(
    model: str, task: Task, trained_on: str, p: dict[str, torch.Tensor], recipe: Recipe
) -> dict[str, dict[int, tuple[float, float]]]:
    """Return the accuracy of a model by length, and of those that are made of it by taking something away."""
    made = {model: p}
    if model == "bahdanau":
        made["bahdanau-fixed"] = {name: tensor for name, tensor in p.items() if name not in ("w_a", "u_a", "v_a")}
    if model == "luong":
        known = p["target.embedding"].shape[1]
        unfed = p["decoder.w_x"].clone()
        unfed[known:] = 0
        made["luong-unfed"] = p | {"decoder.w_x": unfed}
    kind = {"bahdanau-fixed": "fixed", "luong-unfed": "luong"}
    return {
        f"{task.name}-{name}-{trained_on}": measure(kind.get(name, name), own, task, recipe)
        for name, own in made.items()
    }


def _seed(name):
    """Return a seed of a model's own, the same on every machine."""
    return zlib.crc32(name.encode())


def _note(path, noted):
    """Add what was measured to what is in a file."""
    every = (json.loads(path.read_text()) if path.exists() else {}) | noted
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(every[name])}" for name in sorted(every))
    path.write_text(f"{{\n{lines}\n}}\n")
