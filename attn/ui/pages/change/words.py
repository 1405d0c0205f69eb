"""Change: what the changes do, in words, as a formula, and as the code that does it."""

from attn import charts
from attn.charts.labels import number, percent
from attn.pretrained.intervention.changes import FIRST, PREVIOUS, UNIFORM, Changes
from attn.pretrained.intervention.run import TOLERANCE, predicts_masked
from attn.pretrained.verdict import Finding, input_finding, weights_finding
from attn.ui import models
from attn.ui.page import page_theme
from attn.ui.pages.change.controls import changed_head_name, changes_of_other_text, every_head_to_control
from attn.ui.pages.change.effects import SPACE, WORDS, effect_predicts_words
from attn.ui.pages.change.runs import MOST_MEASURED
from attn.ui.state import as_text

PATTERN_WORDS = {
    UNIFORM: "looking at all tokens alike",
    FIRST: "looking at the first token only",
    PREVIOUS: "looking at the token before only",
}
_MOST_NAMED = 4  # heads named one by one


def change_verdict_in_words(largest, before):
    """Say whether this is the model reading the text, and what our attention alone moves, in a coloured box.

    Parameters
    ----------
    largest : float or None
        How far our attention moves what the model says with nothing changed, if that was measured.
    before : Run
        The model with nothing changed.
    """
    if largest is None:
        attention = Finding(None, f"Up to {MOST_MEASURED} tokens", "our attention is compared with the model's own")
    else:
        what = "logits" if effect_predicts_words(before.loaded) else "last hidden states"
        words = f"is the most by which our attention moves the {what}, tolerance {number(TOLERANCE)}, float32"
        attention = Finding(largest <= TOLERANCE, number(largest, 2), words)
    models.say_model_verdict(weights_finding(before.loaded), input_finding(before), attention)


def change_in_words(effect):
    """Say what the changes do to the number that is followed."""
    before, after = effect.numbers
    words = _in_words(effect)
    if effect.word is None:
        about = "the two texts" if effect.read.other.strip() else "the text and itself unchanged"
        start = f"The model finds {about} alike to **{effect.said(before)}** (cosine)"
    else:
        likeliest = before == max(shift.before for shift in effect.comparison.words)
        gives = f"expects **{_word(effect)}** with" if likeliest else f"gives **{_word(effect)}**"
        start = f"After {_read_so_far(effect)} the model {gives} probability **{effect.said(before)}**"
    if not effect.changes:
        return f"{start}. Nothing is changed: click a head in the map to switch it off."
    same = effect.said(after) == effect.said(before)
    moves = "stays at" if same else "falls to" if after < before else "rises to"
    end = f"{start}. With {words} this {moves} **{effect.said(after)}**."
    return end if effect.word is None else f"{end} {_likeliest(effect)}"


def _in_words(effect):
    """Return what is changed, as words in a row."""
    changes, names = effect.changes, [token.text for token in effect.before.tokens]
    parts = [_heads_in_words(changes.off, len(every_head_to_control(effect.before)), "off")] if changes.off else []
    kinds = {}
    for head, pattern in changes.patterns:
        kinds.setdefault(PATTERN_WORDS.get(pattern, "looking where it is painted"), []).append(head)
    parts += [_heads_in_words(heads, None, words) for words, heads in kinds.items()]
    if changes.hidden:
        parts.append(", ".join(f"“{as_text(names[place])}”" for place in sorted(changes.hidden)) + " hidden")
    parts += ["the causal mask lifted"] if changes.causal_mask_removed else []
    if changes.window is not None:
        parts.append(f"no look farther than {changes.window} token{'' if changes.window == 1 else 's'}")
    parts += [f"a scale of {changes.scale:.3g}"] if changes.scale is not None else []
    parts += [f"temperature {changes.temperature:.3g}"] if changes.temperature != 1 else []
    parts += [f"positions shuffled (seed {changes.shuffled})"] if changes.shuffled is not None else []
    return ", ".join(parts)


def _heads_in_words(heads, total, words):
    """Return some heads and what is done to them."""
    if len(heads) <= _MOST_NAMED:
        return f"{'head' if len(heads) == 1 else 'heads'} {', '.join(map(changed_head_name, sorted(heads)))} {words}"
    return f"{len(heads)} {'heads' if total is None else f'of {total} heads'} {words}"


def _read_so_far(effect):
    """Return the end of the text after which a word is predicted."""
    tokens, (place,) = effect.read.tokens, effect.read.positions
    if predicts_masked(effect.before.loaded):
        return f"reading all but {as_text(tokens[place].text)} at position {place + 1}"
    pieces = [token.text for token in tokens[max(place - 5, 0) : place + 1] if not token.special]
    spaced = any(SPACE in token.text for token in tokens)  # pieces of words say whether a space comes before them
    last = "".join(pieces).replace(SPACE, " ") if spaced else " ".join(pieces)
    return f"“{'… ' if place > 5 else ''}{as_text(last.strip())}”"


def _word(effect):
    """Return the word that is followed, fit to stand in a sentence."""
    return as_text(charts.quoted(effect.comparison.words[effect.word].text))


def _likeliest(effect):
    """Say which token is likeliest after the change."""
    words = effect.comparison.words
    before, after = (max(words, key=lambda shift: getattr(shift, when)) for when in ("before", "after"))
    still = "still" if before.id == after.id else "now"
    return f"The likeliest token is {still} **{as_text(charts.quoted(after.text))}** ({percent(after.after)})."


def change_formula_in_words(effect):
    """Return attention as the changed heads compute it, as LaTeX."""
    changes = effect.changes
    q, k, v, z = (
        rf"\textcolor{{{page_theme().role(name)}}}{{{letter}}}"
        for name, letter in (("query", "Q"), ("key", "K"), ("value", "V"), ("output", "Z"))
    )
    scale = r"\frac{1}{\sqrt{d_k}}" if changes.scale is None else f"{changes.scale:.3g}"
    scores = rf"{scale}\,{q}{k}^\top"
    if _masks(changes) or any(layer.mask is not None for layer in effect.before.layers):
        scores += " + M'" if _masks(changes) else " + M"
    if changes.temperature != 1:
        scores = rf"\tfrac{{1}}{{{changes.temperature:.3g}}}\left({scores}\right)"
    parts = [rf"{z} = \mathrm{{softmax}}\!\left({scores}\right){v}"]
    if changes.off:
        more = r"\dots" if len(changes.off) > 1 else ""
        parts.append(rf"{z}_{{{changed_head_name(min(changes.off))}{more}}} = 0")
    if changes.patterns:
        more = r"\dots" if len(changes.patterns) > 1 else ""
        parts.append(rf"{z}_{{{changed_head_name(changes.patterns[0][0])}{more}}} = A'\,{v}")
    return r"\begin{gathered}" + r"\\".join(parts) + r"\end{gathered}"


def _masks(changes):
    """Return whether the mask is another than the model's."""
    return bool(changes.causal_mask_removed or changes.hidden or changes.window is not None)


def change_shapes_in_words(effect):
    """Say how large what is passed is."""
    loaded, n = effect.before.loaded, len(effect.before.tokens)
    total = len(every_head_to_control(effect.before))
    widths = f", d_k {loaded.d_k}" if loaded.d_k else ""
    return f"{len(effect.before.num_heads)} layers, {total} heads{widths}; {n} tokens"


def change_code_in_words(effect, width):
    """Return the lines that make both passes and draw the numbers side by side."""
    name, random, text, pair = effect.read.source
    options = (f", pair={pair!r}" if pair else "") + (
        f", positions={effect.read.positions}" if effect.read.positions else ""
    )
    numbers = _numbers_code(effect)
    shares = "" if effect.word is None else "shares=True, "
    return f"""import numpy as np
from attn import charts, pretrained
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.run import output_gap, run
from attn.pretrained.intervention.prediction import compare_runs{", similarity" if "similarity(" in numbers else ""}

model = {models.model_loading_code(name, random)}
text = {text!r}
changes = {_changes_code(effect.changes)}  # layers, heads and tokens count from 0 here
before, after = (run(model, text, each{options}) for each in (None, changes))
print(output_gap(model, text{f", pair={pair!r}" if pair else ""}))
comparison = compare_runs(before, after, {WORDS})
{numbers}
picture = charts.beside(charts.pairs(one, other, labels, charts.LIGHT, {shares}width={width:.0f}))
charts.save(picture, "change.svg")

moved = np.full((len(before.num_heads), max(before.num_heads)), np.nan)
for head in comparison.heads:
    moved[head.layer, head.head] = head.output
picture = charts.head_switches(
    moved, charts.LIGHT, off=changes.off, replaced=[head for head, _ in changes.patterns], title="Outputs moved"
)
charts.save(charts.beside(picture), "heads.svg")
"""


def _numbers_code(effect):
    """Return the lines that bind the numbers before and after, and what they are called."""
    if effect.word is not None:
        return """labels = [charts.quoted(word.text) for word in comparison.words]
one, other = ([getattr(word, when) for word in comparison.words] for when in ("before", "after"))"""
    if not effect.read.other.strip():
        return """labels, one, other = ["similarity"], [1.0], [comparison.similarity]"""
    others = changes_of_other_text(effect.changes)
    changes = "changes" if others == effect.changes else _changes_code(others)
    return f"""others = [run(model, {effect.read.other!r}, each) for each in (None, {changes})]
labels = ["similarity"]
one, other = [similarity(before, others[0])], [similarity(after, others[1])]"""


def _changes_code(changes):
    """Return changes as code that makes them."""
    given = {}
    for field in ("off", "patterns", "hidden", "causal_mask_removed", "window", "scale", "temperature", "shuffled"):
        value = getattr(changes, field)
        if value != getattr(Changes(), field):
            given[field] = sorted(value) if isinstance(value, frozenset) else value
    if "patterns" in given:
        given["patterns"] = dict(given["patterns"])
    return f"Changes({', '.join(f'{name}={value!r}' for name, value in given.items())})"
