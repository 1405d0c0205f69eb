"""Masks: from the choices on the page to masked attention by every route, and the code for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn import Attention, scaled_dot_product_attention
from attn.data import examples
from attn.mask_routes import ROUTES, leak
from attn.ui.controls.mask import MASKS, MaskChoice, mask_of
from attn.ui.controls.sentence import SentenceChoice, words_of
from attn.ui.link import choice, whole

WRONG = {name: route.title for name, route in ROUTES.items() if not route.right}
TABS = {"leaks": "What leaks, by route", "code": "Code"}
WIDTHS = {"d_model": 6, "d_k": 4, "d_v": 4}


@dataclass(frozen=True)
class Setup(SentenceChoice, MaskChoice):
    """Everything chosen on Masks."""

    mask: str = choice("causal", MASKS)
    wrong: str = choice("zeroed_scores", WRONG)
    token: int = whole(6, 1, 512)
    tab: str = choice("leaks", TABS, aliases={"What leaks, by route": "leaks", "Code": "code"})


class Masked(NamedTuple):
    """What the page shows."""

    tokens: tuple
    attention: Attention
    hidden: np.ndarray  # (n, n) True where hidden
    words: str
    routed: dict  # route name -> RoutedAttention
    leaks: dict  # route name -> Leak
    made: str  # the lines that bind ``e`` and ``mask``

    @property
    def empty_rows(self):
        """Positions of the tokens that see nothing."""
        return np.flatnonzero(self.hidden.all(axis=1)).tolist()

    def agrees(self, name):
        """Whether a route gives the right weights here, up to rounding."""
        return bool(np.allclose(self.routed["before"].weights, self.routed[name].weights, atol=1e-6))

    @property
    def gap(self):
        """Largest difference between the two right routes."""
        return float(np.abs(self.routed["before"].weights - self.routed["after"].weights).max())


def tokens_of(setup):
    """Return the tokens the page works on."""
    return examples.worked_example().tokens if setup.source == "worked" else words_of(setup.text)


def masked(setup):
    """Compute everything the page shows.

    Returns
    -------
    Masked
    """
    tokens = tokens_of(setup)
    n = len(tokens)
    if setup.source == "worked":
        e, made = examples.worked_example(), "e = attn.examples.worked_example()"
    else:
        e = examples.random_example(tokens, **WIDTHS, seed=setup.seed)
        made = (
            f"tokens = attn.examples.split_words({setup.text!r})[:{n}]\n"
            f"e = attn.examples.random_example(tokens, **{WIDTHS}, seed={setup.seed})"
        )
    mask, line = mask_of(setup, n)
    visible = np.broadcast_to(mask.visible, (n, n))
    value = e.x @ e.w_v
    attention = scaled_dot_product_attention(e.x @ e.w_q, e.x @ e.w_k, value, visible)
    routed = {name: route.attend(attention.scores, value, visible) for name, route in ROUTES.items()}
    token = min(setup.token, n) - 1
    leaks = {name: leak(route, e.x, e.w_q, e.w_k, e.w_v, visible, token) for name, route in ROUTES.items()}
    return Masked(tokens, attention, ~visible, mask.words, routed, leaks, f"{made}\nmask = {line}")


def code_of(setup, result, room):
    """Return the lines that draw both pictures of the page and measure the leak."""
    wrong, token = setup.wrong, min(setup.token, len(result.tokens)) - 1
    sign = "=" if result.agrees(wrong) else "≠"
    return f"""import numpy as np
import attn
from attn import charts
from attn.mask_routes import ROUTES, leak

{result.made}
value = e.x @ e.w_v
attention = attn.scaled_dot_product_attention(e.x @ e.w_q, e.x @ e.w_k, value, mask)
labels = charts.token_labels(e.tokens)
hidden = np.isneginf(attention.masked_scores)
picture = charts.panels(
    charts.LIGHT, {room:.0f},
    charts.panel(attention.scores, labels, labels, kind="signed", title="Scores, masked", hidden=hidden),
    "→",
    charts.panel(attention.weights, labels, labels, title="Weights", hidden=hidden),
)
charts.save(picture, "masks.svg")

before, after, wrong = (
    ROUTES[name].attend(attention.scores, value, mask) for name in ("before", "after", "{wrong}")
)
print(leak(ROUTES["{wrong}"], e.x, e.w_q, e.w_k, e.w_v, mask, token={token}).largest)
picture = charts.panels(
    charts.LIGHT, {room:.0f},
    charts.panel(before.weights, labels, labels, title="−∞ before the softmax", hidden=hidden),
    "=",
    charts.panel(after.weights, labels, labels, title="Zero after, renormalise", hidden=hidden),
    "{sign}",
    charts.panel(wrong.weights, labels, labels, title=ROUTES["{wrong}"].title),
    tallest=340,
)
charts.save(picture, "routes.svg")
"""
