"""Masks: from the choices on the page to masked attention by every route, and the code for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn import Attention, charts, scaled_dot_product_attention
from attn.charts.labels import number
from attn.data import examples
from attn.mask_routes import ROUTES, leak
from attn.ui.controls.mask import MASKS, MaskChoice, mask_in_numpy, mask_of
from attn.ui.controls.sentence import SentenceChoice, sentence_words
from attn.ui.link import link_choice, link_whole
from attn.ui.numpy_code import (
    Paragraph,
    numpy_code,
    numpy_embeddings,
    numpy_masked,
    numpy_matrices,
    numpy_projections,
    numpy_shapes,
    numpy_tokens,
)
from attn.ui.shown_code import LIGHT, Source, page_codes
from attn.ui.state import as_text
from attn.words import small

RIGHT = [name for name, route in ROUTES.items() if route.right]
WRONG = {name: route.title for name, route in ROUTES.items() if not route.right}
TABS = {"leaks": "What leaks, by route", "code": "Code"}
LEAST_LEAK = 1e-6  # what is smaller is rounding
LARGEST_LEAD = 800  # of a hidden score over a visible one: more than float64 bears
WIDTHS = {"d_model": 6, "d_k": 4, "d_v": 4}


@dataclass(frozen=True)
class Setup(SentenceChoice, MaskChoice):
    """Everything chosen on Masks."""

    mask: str = link_choice("causal", MASKS)
    wrong: str = link_choice("zeroed_scores", WRONG)
    token: int = link_whole(6, 1, 512)
    lead: int = link_whole(110, 0, LARGEST_LEAD)
    tab: str = link_choice("leaks", TABS, aliases={"What leaks, by route": "leaks", "Code": "code"})


class Masked(NamedTuple):
    """What the page shows."""

    tokens: tuple
    attention: Attention
    hidden: np.ndarray  # (n, n) True where hidden
    words: str
    routed: dict  # route name -> RoutedAttention
    leaks: dict  # route name -> Leak
    made: dict  # the code that makes ``e`` and ``mask``
    example: examples.Example

    @property
    def empty_rows(self):
        """Positions of the tokens that see nothing."""
        return np.flatnonzero(self.hidden.all(axis=1)).tolist()

    def agrees(self, name):
        """Whether a route gives the right weights here, up to rounding."""
        return bool(np.allclose(self.routed["before"].weights, self.routed[name].weights, atol=1e-6))

    def hides_token(self, setup):
        """Whether the mask hides the token that is replaced from any row: else nothing of it can leak."""
        return bool(self.hidden[:, min(setup.token, len(self.tokens)) - 1].any())

    @property
    def gap(self):
        """Largest difference between the two right routes."""
        return float(np.abs(self.routed["before"].weights - self.routed["after"].weights).max())


def masks_page_tokens(setup):
    """Return the tokens the page works on."""
    return examples.worked_example().tokens if setup.source == "worked" else sentence_words(setup.text)


def compute_masks_page(setup):
    """Compute everything the page shows.

    Returns
    -------
    Masked
    """
    tokens = masks_page_tokens(setup)
    n = len(tokens)
    if setup.source == "worked":
        e, made = examples.worked_example(), {"e": Source("attn.examples.worked_example()")}
    else:
        e = examples.random_example(tokens, **WIDTHS, seed=setup.seed)
        widths = ", ".join(f"{name}={width}" for name, width in WIDTHS.items())
        made = {
            "tokens": Source(f"attn.examples.split_words({setup.text!r})[:{n}]"),
            "e": Source(f"attn.examples.random_example(tokens, {widths}, seed={setup.seed})"),
        }
    mask, line = mask_of(setup, n)
    visible = np.broadcast_to(mask.visible, (n, n))
    attention = _attend(e, visible)
    routed = _take_routes(ROUTES, e, attention, visible)
    token = min(setup.token, n) - 1
    leaks = {name: leak(route, e.x, e.w_q, e.w_k, e.w_v, visible, token) for name, route in ROUTES.items()}
    return Masked(tokens, attention, ~visible, mask.words, routed, leaks, made | {"mask": Source(line)}, e)


def _attend(e, mask):
    """Attend as the mask allows."""
    return scaled_dot_product_attention(e.x @ e.w_q, e.x @ e.w_k, e.x @ e.w_v, mask)


def _take_routes(names, e, attention, mask):
    """Apply the mask by each of these routes."""
    return {name: ROUTES[name].attend(attention.scores, e.x @ e.w_v, mask) for name in names}


def masks_page_results(setup, result):
    """Return what the page shows, by the names that a story may ask for.

    A row of the wrong route is told by the least that one adds up to.
    """
    wrong = result.routed[setup.wrong].weights
    return {
        "gap": result.gap,
        "leak": result.leaks[setup.wrong].largest,
        "wrong_sum": float(wrong.sum(axis=-1).min()),
        "attention": (result.tokens, result.tokens, result.attention.weights),
    }


def masks_page_picture(attention, labels, hidden, theme, room, tallest):
    """Draw the scores with the mask over them, and the weights."""
    paint = charts.Pick("paint")
    return charts.panels(
        theme,
        room,
        charts.panel(
            attention.scores,
            labels,
            labels,
            kind="signed",
            title="Scores, masked",
            hidden=hidden,
            pick=paint,
            style=charts.Style(hidden_number="−∞"),
        ),
        "→",
        charts.panel(attention.weights, labels, labels, title="Weights", hidden=hidden),
        tallest=tallest,
    )


def masks_page_routes_picture(routed, wrong, labels, hidden, theme, room):
    """Draw what comes of the two right routes and of a wrong one: weights, or contexts where the mask lies on these."""
    shown = "context" if wrong == "zeroed_context" else "weights"
    names = {"before": "−∞ before the softmax", "after": "Zero after, renormalise", wrong: ROUTES[wrong].title}
    each = {name: getattr(routed[name], shown) for name in names}
    if shown == "context":
        limit = max(float(np.abs(values).max()) for values in each.values()) or None
        names = {name: f"Context: {title[0].lower() + title[1:]}" for name, title in names.items()}
        look = {"kind": "signed", "axes": ("query", "output"), "scale": charts.Scale(limit)}
        drawn = [
            charts.panel(each[name], labels, charts.counted(each[name].shape[1]), title=title, **look)
            for name, title in names.items()
        ]
    else:
        grey = {"before": {"hidden": hidden}, "after": {"hidden": hidden}}
        drawn = [
            charts.panel(each[name], labels, labels, title=title, **grey.get(name, {})) for name, title in names.items()
        ]
    sign = "=" if np.allclose(each["before"], each[wrong], atol=1e-6) else "≠"
    return charts.panels(theme, room, drawn[0], "=", drawn[1], sign, drawn[2])


def _row_sums(route, dtype):
    """Return what a row sums to if a hidden score leads the only visible one by 0, 1 and so on."""
    leads = np.arange(LARGEST_LEAD + 1, dtype=dtype)
    scores = np.stack([np.zeros_like(leads), leads], axis=-1)
    return ROUTES[route].attend(scores, np.eye(2, dtype=dtype), [[True, False]]).weights.sum(axis=-1)


def masks_page_limit_reading(lead):
    """Say where the second right route loses a row."""
    before, single, double = (
        _row_sums(*case) for case in (("before", np.float32), ("after", np.float32), ("after", np.float64))
    )
    return (
        f"Suppose that the score of a hidden key is larger than that of the only visible key by **{lead}**. The "
        f"visible key should get all the weight. −∞ before the softmax gives it **{before[lead]:.0f}**; zero after, "
        f"renormalise gives it **{single[lead]:.0f}** in float32 and **{double[lead]:.0f}** in float64. There the "
        "softmax comes first and leaves the visible key so small a weight that it rounds to 0: from a lead of "
        f"{(single == 0).argmax()} on in float32, and of {(double == 0).argmax()} in float64. Then nothing is left to "
        "divide by, and the row is lost."
    )


def masks_page_routes_reading(setup, result, labels):
    """Say what the right routes do, and what the wrong one in view gets wrong."""
    wrong, leak = ROUTES[setup.wrong], result.leaks[setup.wrong]
    why = "With this mask" if result.hidden.any() else "Where nothing is hidden"
    agrees = f"{why} its weights happen to be right; {_to_see_it_fail(setup.wrong, result.hidden)} to see it fail. "
    right, taken = (result.routed[name].context for name in ("before", setup.wrong))
    off = f"Its context is off by up to **{number(np.abs(right - taken).max())}**. " * (setup.wrong == "zeroed_context")
    return (
        "Two routes apply a mask rightly. One sets the scores of what is hidden to −∞ before the softmax. The other "
        "sets its weights to 0 after the softmax, and divides each row by what is left. They differ by at most "
        f"**{number(result.gap, 2)}**: rounding. The third picture is wrong, “{wrong.title}”: {small(wrong.why)} "
        f"{agrees if result.agrees(setup.wrong) else ''}{off}"
        f"{_leak_reading(setup, result, labels, leak)}"
    )


_FAILS_ONCE = {
    "self_hidden": "let a token see itself",
    "wrong_axis": "let a token see two",
    "minus_1e9_added": "hide all of a row",
}


def _to_see_it_fail(wrong, hidden):
    """Say which cells to change so that a wrong route whose weights are right gets them wrong."""
    if wrong in _FAILS_ONCE:
        return _FAILS_ONCE[wrong]
    if hidden.all():
        return "show any cell of the scores"
    return f"{'' if hidden.any() else 'choose a mask, or '}hide any cell of the scores"


def masks_page_routes_line(setup, result):
    """Say in a line that the right routes agree, and that the wrong one does not."""
    wrong = ROUTES[setup.wrong]
    off = number(float(np.abs(result.routed["before"].context - result.routed[setup.wrong].context).max()), 2)
    return (
        f"The two right routes differ by at most **{number(result.gap, 2)}**. “{wrong.title}” is wrong: its context is "
        f"off by up to **{off}**."
    )


def _leak_reading(setup, result, labels, leak):
    """Say how far rows move that must not see the token that is replaced."""
    if not result.hides_token(setup):
        return _nothing_to_leak(setup, labels)
    return (
        f"Put another vector in place of **{as_text(labels[setup.token - 1])}**, and by that wrong route the context "
        f"of tokens that must not see it changes by up to **{number(leak.largest)}**."
    )


def _nothing_to_leak(setup, labels):
    """Say that no row is forbidden to see the token that is replaced."""
    return (
        f"Every row may see **{as_text(labels[setup.token - 1])}**, so nothing of it can leak: to see a leak, choose "
        "a token at “Replace token” that the mask hides from some row."
    )


def masks_page_leaks_reading(setup, result, labels):
    """Say what leaks, and that what leaks nothing may still be wrong."""
    if not result.hides_token(setup):
        return _nothing_to_leak(setup, labels)
    wrong = [name for name in WRONG if result.leaks[name].largest < LEAST_LEAK]
    others = (
        f" Of the {len(WRONG)} wrong routes {len(wrong)} {'leaks' if len(wrong) == 1 else 'leak'} nothing here; “All "
        "wrong routes” says what else is wrong with them."
        if wrong
        else ""
    )
    return (
        f"Does a hidden token show through? Another vector is put in place of **{as_text(labels[setup.token - 1])}**. "
        f"Rows that must not see it should stay as they were; what changes has leaked through the mask.{others}"
    )


def masks_page_leaks_picture(setup, result, theme, room):
    """Draw how much leaks through the right routes and the wrong one in view."""
    names = [*RIGHT, setup.wrong]
    bars = charts.bars(
        [result.leaks[name].largest for name in names],
        [f"{_verdict(ROUTES[name])}: {small(ROUTES[name].title)}" for name in names],
        theme,
        title="What leaks: largest change in a row that must not see the token",
        kind="magnitude",
        pick=charts.Pick(selected=names.index(setup.wrong)),
        width=room,
    )
    return charts.beside(bars)


def masks_page_leaks_table(result, names):
    """Return what leaks through some routes, how far their contexts are off, and under each name why, as Markdown."""
    right = result.routed["before"].context
    lines = ["| route | leaks | context off by |", "|---|---:|---:|"]
    for name, route in ((name, ROUTES[name]) for name in names):
        off = float(np.abs(result.routed[name].context - right).max())
        lines.append(
            f"| **{_verdict(route)}: {small(route.title)}.** {route.why} "
            f"| {_two_decimals(result.leaks[name].largest)} | {_two_decimals(off)} |"
        )
    return "\n".join(lines)


def _verdict(route):
    """Return whether a route is right, as a word."""
    return "Right" if route.right else "Wrong"


def _two_decimals(value):
    """Return a number of a table; what is only rounding is 0."""
    return "0" if value < LEAST_LEAK else f"{value:.2f}"


def masks_page_code(setup, result, room, tallest):
    """Return the lines that take every route of both pictures, and those that draw them and measure the leak."""
    token = min(setup.token, len(result.tokens)) - 1
    routes = ('\nnames = ("before", "after", wrong)', ("routed", _take_routes))
    return page_codes(
        lambda: _numpy_code(setup, result),
        result.made | {"wrong": setup.wrong},
        (("attention", _attend),),
        (*routes, "for route in routed.values():\n    print(route.weights.round(4))"),
        {"token": token, "theme": LIGHT, "room": round(room), "tallest": tallest},
        (
            "labels, hidden = charts.token_labels(e.tokens), np.isneginf(attention.masked_scores)",
            ("picture", masks_page_picture),
            'charts.save(picture, "masks.svg")',
            *routes,
            ("picture", masks_page_routes_picture),
            'charts.save(picture, "routes.svg")\n',
            "print(leak(ROUTES[wrong], e.x, e.w_q, e.w_k, e.w_v, mask, token).largest)",
        ),
    )


_SOFTMAX = """\
def softmax(scores, axis=-1):
    highest = scores.max(axis=axis, keepdims=True)
    highest = np.where(np.isneginf(highest), 0, highest)
    exp = np.exp(scores - highest)
    total = exp.sum(axis=axis, keepdims=True)
    return exp / np.where(total > 0, total, 1)  # 0: nothing is seen
"""
_WRONG = {  # the weights of each wrong route; they know ``every``, the weights without a mask
    "not_renormalised": "wrong = np.where(visible, every, 0)",
    "zeroed_scores": "wrong = softmax(np.where(visible, scaled, 0))",
    "zeroed_context": (
        "wrong = every  # and only then, in the context:\n"
        "column = np.minimum(np.arange(d_v), n - 1)\n"
        "context = np.where(visible[:, column], wrong @ value, 0)"
    ),
    "no_mask": "wrong = every",
    "self_hidden": ("others = visible & ~np.eye(n, dtype=bool)\nwrong = softmax(np.where(others, scaled, -np.inf))"),
    "wrong_axis": "wrong = softmax(masked, axis=0)",
    "minus_1e9_added": "wrong = softmax(scaled + np.where(visible, 0.0, -1e9))",
}


def _numpy_code(setup, result):
    """Return the lines that mask by both right routes and by the wrong one in numpy alone."""
    e, visible, n = result.example, ~result.hidden, len(result.tokens)
    matrices = {name: getattr(e, name) for name in ("w_q", "w_k", "w_v")}
    seed = setup.seed if setup.source == "random" else None
    scores, value = result.attention.scores, e.x @ e.w_v
    after = "kept = np.where(visible, every, 0)\ntotal = kept.sum(axis=-1, keepdims=True)\n"
    return numpy_code(
        numpy_tokens(e.tokens, sizes=f"n, d_model, d_k, d_v = {n}, {e.x.shape[1]}, {e.w_k.shape[1]}, {e.w_v.shape[1]}"),
        numpy_embeddings(e.x, seed),
        numpy_matrices(matrices, seed),
        numpy_projections(e.x.shape, matrices),
        Paragraph("Softmax: each row becomes weights that sum to 1", _SOFTMAX),
        Paragraph(
            "Scores: every query meets every key, scaled",
            f"scaled = query @ key.T / np.sqrt(d_k)  # {scores.shape}",
        ),
        numpy_masked("scaled", mask_in_numpy(setup, n), visible)._replace(shows=""),
        Paragraph("The first right route: -inf before the softmax", "before = softmax(masked)\nprint(before.round(4))"),
        Paragraph(
            "The second: zero after the softmax, then renormalise",
            f"every = softmax(scaled)  # as if there were no mask\n{after}"
            "after = kept / np.where(total > 0, total, 1)\nprint(after.round(4))",
        ),
        Paragraph(f"Wrong: {small(ROUTES[setup.wrong].title)}", f"{_WRONG[setup.wrong]}\nprint(wrong.round(4))"),
        Paragraph(
            "Context: the mean of the values, by each row of weights",
            f"context = before @ value  # {numpy_shapes(scores.shape, value.shape)}",
        ),
        at="masked",
    )
