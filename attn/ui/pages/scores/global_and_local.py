"""The tab Global and local: all keys, or a window around one place."""

from typing import NamedTuple

import numpy as np

from attn import charts, local_attention, softmax
from attn.alignment import SCORES
from attn.charts.labels import number
from attn.ui.page import page_theme
from attn.ui.pages.scores.scores import scores_parameters


class Windows(NamedTuple):
    """The same scores attended to everywhere, near a place, and near a place with a bell."""

    centre: float  # of local-p, counted from 1
    whole: np.ndarray  # (n,)
    monotonic: local_attention.Local
    predictive: local_attention.Local


def compute_global_and_local(setup):
    """Attend globally and locally to as many positions as chosen."""
    n = setup.positions
    if setup.looks == "equal":
        scores = np.zeros(n)
    else:
        keys = np.random.default_rng(setup.seed).normal(size=(n, 2))
        parameters = scores_parameters(setup).get(setup.score, {})
        scores = SCORES[setup.score].score([setup.across, setup.up], keys, **parameters)
    centre = global_and_local_centre(setup)
    return Windows(
        centre,
        softmax(scores),
        local_attention.local_m(scores, round(centre - 1), setup.half_width),
        local_attention.local_p(scores, centre - 1, setup.half_width),
    )


def global_and_local_centre(setup):
    """Return where local-p looks: where it was put, or where a random network sends the query."""
    if not setup.predicted:
        return setup.centre
    rng = np.random.default_rng(setup.seed)
    query, n = [setup.across, setup.up], setup.positions
    return 1 + float(local_attention.predicted_centre(query, n, w=rng.normal(size=(2, 3)), v=rng.normal(size=3)))


def global_and_local_in_words(setup, read):
    """Say what the windows see, and that the bell takes weight away."""
    seen = np.flatnonzero(read.predictive.visible) + 1
    total, half = read.predictive.weights.sum(), setup.half_width
    sees = f"positions {seen[0]} to {seen[-1]}" if seen.size > 1 else f"position {seen[0]}" if seen.size else "nothing"
    return (
        "Global attention looks at all positions; local attention only at a window (Luong et al., 2015, section 3.2). "
        "In the window, local-m weighs by the softmax alone, local-p also by a bell around its centre. "
        f"Local-p looks around {read.centre:.4g} and sees {sees}; the standard deviation of its bell is D/2 = "
        f"{half / 2:g}. The paper multiplies by the bell *after* the softmax and does not divide again. So the weights "
        f"add up to **{number(total)}** and not to 1, and what is read shrinks by as much."
    )


def global_and_local_formula():
    """Return local-p's weights and centre as LaTeX."""
    q = rf"\textcolor{{{page_theme().query}}}{{q}}"
    return (
        r"\begin{gathered} a(j) = \mathrm{softmax}(s)_j\; e^{-\frac{(j-p)^2}{2(D/2)^2}} \\"
        rf" p = S\,\sigma\!\left(v^\top \tanh(W {q})\right) \end{{gathered}}"
    )


def global_and_local_picture(setup, read, room):
    """Draw the three below one another, on one scale."""
    look, labels = page_theme(), charts.counted(setup.positions)
    limit = max(float(row.max()) for row in (read.whole, read.monotonic.weights, read.predictive.aligned)) or 1.0
    x = np.linspace(0.5, setup.positions + 0.5, 241) - read.centre
    bell = np.exp(-((x / (setup.half_width / 2)) ** 2) / 2)
    middle = {"window": read.monotonic.visible, "centre": round(read.centre - 1)}
    shaped = {"before": read.predictive.aligned, "window": read.predictive.visible, "bell": bell}
    rows = [
        ("Global: the weights sum", read.whole, {}),
        ("Local-m, a window: they sum", read.monotonic.weights, middle),
        ("Local-p, a window and a bell: they sum", read.predictive.weights, shaped | {"centre": read.centre - 1}),
    ]
    size = {"limit": limit, "width": room - 110, "height": 130}
    return charts.above(
        *(
            charts.places(weights, labels, look, title=f"{title} to {weights.sum():.3g}", **size, **extra)
            for title, weights, extra in rows
        )
    )
