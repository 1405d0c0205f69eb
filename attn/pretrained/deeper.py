"""The deeper start: attention from what goes into a layer and the checkpoint's own matrices."""

from typing import NamedTuple

import numpy as np

from attn.multi_head import MultiHead, MultiHeadParameters
from attn.pretrained import bert
from attn.pretrained.errors import ModelError


class Deeper(NamedTuple):
    """One layer computed from its input, beside the model's own output of it."""

    parameters: MultiHeadParameters
    steps: MultiHead  # from scratch, (batch, ...)
    reference_output: np.ndarray  # (batch, n, d_model) the model's own, after its output projection


def parameters(loaded, layer):
    """Return the matrices and biases that a model's attention layer uses.

    Parameters
    ----------
    loaded : Loaded
    layer : Layer

    Returns
    -------
    MultiHeadParameters
        Sharing the memory of the model: read them, do not change them.

    Raises
    ------
    ModelError
        If the family does not name its matrices as BERT does, or the layer is cross-attention.
    """
    name = layer.name.removesuffix(".self")
    places = (f"{name}.self.query", f"{name}.self.key", f"{name}.self.value", f"{name}.output.dense")
    modules = dict(loaded.model.named_modules())
    if layer.kind == "cross" or any(place not in modules for place in places):
        raise ModelError(
            f"{layer.name} of this {loaded.family} model does not project as BERT does, "
            "so its attention starts from the recorded queries, keys and values"
        )
    tensors = {
        f"{place}.{key}": tensor.detach().cpu().float().numpy()
        for place in places
        for key, tensor in modules[place].named_parameters()
    }
    return bert.parameters(tensors, layer.name, layer.num_heads)


def from_input(loaded, layer):
    """Compute a layer from what goes into it, through projection, heads and output projection.

    Parameters
    ----------
    loaded : Loaded
    layer : Layer
        Recorded from this model.

    Returns
    -------
    Deeper

    Raises
    ------
    ModelError
        As `parameters`.
    """
    import torch

    own = parameters(loaded, layer)
    steps = bert.from_scratch(layer.hidden, own, layer.mask)
    project = loaded.model.get_submodule(layer.name.removesuffix(".self") + ".output.dense")
    with torch.inference_mode():
        merged = torch.tensor(layer.output).transpose(1, 2).flatten(2)  # (batch, n, num_heads * d_v)
        reference = project(merged.to(project.weight)).cpu().float().numpy()
    return Deeper(own, steps, reference)
