"""Inputs of a model: which it takes, and such as remember what they were made of where they no longer tell."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attn.pretrained.loading.load import Loaded


def accepted_inputs(loaded: Loaded) -> Mapping[str, inspect.Parameter]:
    """Return the inputs that the forward of a model takes, by name."""
    return inspect.signature(loaded.model.forward).parameters


class PreparedInputs(dict):
    """Inputs of a model by name, as its forward takes them.

    Parameters
    ----------
    inputs : dict
        Name -> tensor. If they remember already what they were made of, so do these.

    Attributes
    ----------
    seconds : float or None
        How long a sound is: feature extractors fill it up.
    sizes : tuple of (int, int)
        Height and width of each picture in pixels: image processors change them.
    """

    def __init__(self, inputs: Mapping):
        super().__init__(inputs)
        self.seconds: float | None = getattr(inputs, "seconds", None)
        self.sizes: tuple = getattr(inputs, "sizes", ())
