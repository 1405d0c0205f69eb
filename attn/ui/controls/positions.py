"""The choice of how positions are said to attention."""

import numpy as np

from attn import positions

POSITIONS = {
    "none": "None",
    "sinusoidal": "Sinusoidal",
    "learned": "Learned (random here)",
    "rotary": "Rotary",
    "alibi": "ALiBi",
    "relative": "Relative bias (random here)",
}


POSITION_HELP = {
    "none": "Shuffling the tokens shuffles the rows and nothing else.",
    "sinusoidal": "Waves of many lengths are added to the embeddings (Vaswani et al., 2017).",
    "learned": "One trained vector per position is added to the embeddings; here it is drawn at random.",
    "rotary": "Queries and keys are turned by an angle that grows with the position (Su et al., 2021).",
    "alibi": "Scores lose half a point per token of distance: the steepest of eight heads (Press et al., 2021).",
    "relative": "Scores gain a trained number per distance, as in T5; here it is drawn at random.",
}


def positions_of(name, n, d_model, d_k, seed, *, head=0, base=10000):
    """Build what the chosen positions do to one head: of eight, where heads differ.

    Returns
    -------
    keywords : dict
        ``added``, ``rotate`` or ``bias`` for `attn.one_head.walk`.
    lines : str
        The same keywords as code.
    """
    rng = np.random.default_rng(seed)
    based = "" if base == 10000 else f", base={base}"
    if name == "sinusoidal":
        added = positions.sinusoidal(n, d_model, base=base)
        return {"added": added}, f"added=attn.positions.sinusoidal({n}, {d_model}{based})"
    if name == "learned":
        return (
            {"added": positions.learned(rng, n, d_model)},
            f"added=attn.positions.learned(np.random.default_rng({seed}), {n}, {d_model})",
        )
    if name == "rotary":
        angles = positions.rotary(n, d_k, base=base)
        return (
            {"rotate": lambda x: positions.rotate(x, angles)},
            f"rotate=lambda x: attn.positions.rotate(x, attn.positions.rotary({n}, {d_k}{based}))",
        )
    if name == "alibi":
        return {"bias": positions.alibi_bias(8, n, n)[head]}, f"bias=attn.positions.alibi_bias(8, {n}, {n})[{head}]"
    if name == "relative":
        table = rng.normal(size=(32, 1))
        return (
            {"bias": positions.relative_bias(table, n, n)[0]},
            f"bias=attn.positions.relative_bias(np.random.default_rng({seed}).normal(size=(32, 1)), {n}, {n})[0]",
        )
    return {}, ""
