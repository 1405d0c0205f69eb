"""Small encoder-decoders that come along trained, read with numpy alone.

`load` gives a model as `attn.seq2seq` holds it, `film` one model at several times of its training,
`accuracy` what each of them can do. ``python -m attn.trained`` trains them anew.
"""

import inspect
import json
from collections.abc import Callable, Collection, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from attn.architectures.recurrent import Recurrent
from attn.architectures.seq2seq import Bahdanau, Luong, Model, Transformer, write
from attn.block import FeedForward, Layer, Norm
from attn.functional import whole_number
from attn.multi_head import MultiHeadParameters
from attn.trained.tasks import TASKS, Task

__all__ = [
    "CHANGED",
    "FILMED",
    "MODELS",
    "TASKS",
    "TRAINED_ON",
    "Task",
    "Training",
    "accuracy",
    "answer",
    "build",
    "film",
    "load",
    "training_of",
]

WEIGHTS = Path(__file__).parent / "weights"
MODELS = {
    "fixed": "Fixed vector",
    "fixed-wide": "Fixed vector, wider",
    "bahdanau": "Bahdanau",
    "luong": "Luong, global",
    "local-m": "Luong, local-m",
    "local-p": "Luong, local-p",
    "transformer": "Transformer",
}
CHANGED: dict[
    str, tuple[str, str, Callable[..., Model]]
] = {  # the same weights with something taken away: from which model, and how it is called
    "bahdanau-fixed": ("bahdanau", "Bahdanau, context fixed", Bahdanau.without_attention),
    "luong-unfed": ("luong", "Luong, input not fed", Luong.without_feeding),
}
TRAINED_ON = ("short", "long")
FILMED = ("bahdanau", "long")  # the model whose training is kept as a film
_NAMES: dict[str, Collection[str]] = {"task": TASKS, "model": MODELS | CHANGED, "trained_on": TRAINED_ON}
P = ParamSpec("P")
R = TypeVar("R")


def _kept(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what a function of names returns, and refuse what is none of the names that there are."""
    returned, signature = cache(function), inspect.signature(function)

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        for argument, name in given.arguments.items():
            if not isinstance(name, str) or name not in _NAMES[argument]:
                raise ValueError(f"{argument} must be one of {', '.join(_NAMES[argument])}, got {name!r:.80}")
        return returned(**given.arguments)

    return checked


@_kept
def load(task: str, model: str, trained_on: str = "long") -> Model:
    """Return a trained model.

    Parameters
    ----------
    task
        A name from `TASKS`.
    model
        A name from `MODELS`, or from `CHANGED`: a trained model with something taken away.
    trained_on : {"long", "short"}
        How long the inputs of its training were.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> answer(load("reverse", "bahdanau"), TASKS["reverse"], list("attention"))
    ['n', 'o', 'i', 't', 'n', 'e', 't', 't', 'a']
    """
    if model in CHANGED:
        whole, _, change = CHANGED[model]
        return change(load(task, whole, trained_on))
    tensors, options = _tensors(f"{task}-{model}-{trained_on}")
    return build(
        model, tensors, **{name: int(options[name]) for name in ("num_heads", "half_width") if name in options}
    )


@_kept
def film(task: str) -> dict[int, Model]:
    """Return one model at several times of its training.

    Returns
    -------
    dict of int to Bahdanau
        Steps of training done -> the model, from before the first to the trained one.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    tensors, options = _tensors(f"{task}-film")
    steps = sorted({int(name.split("/")[0]) for name in tensors})
    frames = {}
    for step in steps:
        begins = f"{step}/"
        own = {name.removeprefix(begins): array for name, array in tensors.items() if name.startswith(begins)}
        frames[step] = build(FILMED[0], own)
    return frames | {int(options["steps"]): load(task, *FILMED)}


@_kept
def accuracy(task: str, model: str, trained_on: str) -> dict[int, tuple[float, float]]:
    """Return how often a model was right, by the length of the input, on inputs drawn after its training.

    Returns
    -------
    dict of int to (float, float)
        Length -> share of whole answers that were right, and of symbols.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    measured = json.loads((WEIGHTS / "accuracy.json").read_text(encoding="utf-8"))
    name = f"{task}-{model}-{trained_on}"
    if name not in measured:
        raise ValueError(f"there must be a trained model, got {name}")
    return {int(length): tuple(shares) for length, shares in measured[name].items()}


class Training(NamedTuple):
    """What a model's training took."""

    parameters: int  # how many numbers were learnt
    steps: int  # batches, until its loss on held-out examples was least


@_kept
def training_of(task: str, model: str, trained_on: str = "long") -> Training:
    """Return how many parameters a model has and how many steps it was trained for.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    tensors, options = _tensors(f"{task}-{CHANGED[model][0] if model in CHANGED else model}-{trained_on}")
    return Training(sum(tensor.size for tensor in tensors.values()), int(options["steps"]))


def answer(model: Model, task: Task, source: Sequence[str]) -> list[str]:
    """Return what a model writes for the symbols of an input, without the end."""
    written = write(model, task.source_ids(source)).symbols
    return [task.target_symbols[i] for i in written if i > 1]


def build(model: str, tensors: dict[str, np.ndarray], num_heads: int = 4, half_width: int = 3) -> Model:
    """Make a model of weights under the names of `attn.trained.training`.

    Parameters
    ----------
    model
        A name from `MODELS`.
    tensors
    num_heads, half_width
        Of a Transformer, and of a local window.

    Raises
    ------
    ValueError
        If there is no such model, or a count is none.
    """
    if model not in list(MODELS):
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {model!r:.80}")
    whole_number("num_heads", num_heads, least=1)
    whole_number("half_width", half_width, least=1)
    tables: dict[str, Any] = {f"{side}_embedding": tensors[f"{side}.embedding"] for side in ("source", "target")}
    plain: dict[str, Any] = {name: array for name, array in tensors.items() if "." not in name}
    if model == "transformer":
        layers = {side: _layers(tensors, side, num_heads) for side in ("encoder", "decoder")}
        return Transformer(**tables, **plain, **layers)
    parts = sorted({name.split(".")[0] for name in tensors if name.endswith(".w_h")})
    recurrent: dict[str, Any] = {
        part: Recurrent(*(tensors[f"{part}.{name}"] for name in ("w_x", "w_h", "b_x"))) for part in parts
    }
    if model in ("fixed", "fixed-wide", "bahdanau"):
        return Bahdanau(**tables, **plain, **recurrent)
    reach = "global" if model == "luong" else model
    return Luong(**tables, **plain, **recurrent, reach=reach, half_width=half_width)


def _layers(tensors, side, num_heads):
    """Return the layers of a Transformer's encoder or decoder."""
    count = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith(f"{side}."))
    return tuple(_layer(tensors, f"{side}.{at}", num_heads) for at in range(count))


def _layer(tensors, at, num_heads):
    """Return one layer of a Transformer."""

    def attention(name):
        own = {f"{kind}_{role}": tensors[f"{at}.{name}.{kind}_{role}"] for kind in "wb" for role in "qkvo"}
        return MultiHeadParameters(**own, num_heads=num_heads)

    def norm(name):
        return Norm(tensors[f"{at}.{name}.gain"], tensors[f"{at}.{name}.b_norm"])

    feed = FeedForward(*(tensors[f"{at}.feed_forward.{name}"] for name in ("w_1", "b_1", "w_2", "b_2")))
    cross = (attention("cross"), norm("cross")) if f"{at}.cross.w_q" in tensors else ()
    return Layer(attention("self"), norm("self"), feed, norm("feed_forward"), *cross)


def _tensors(name):
    """Return the tensors of a file as float32, and what is noted beside them."""
    from safetensors import safe_open

    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise ValueError(f"there must be trained weights {path.name}, got none: run python -m attn.trained")
    with safe_open(path, framework="numpy") as file:
        return {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
