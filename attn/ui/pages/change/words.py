"""Change: what the changes do, in words, as a formula, and as the code that does it."""

import math

from attn import charts
from attn.charts.labels import number, percent
from attn.pretrained.inputs.tokens import running_text
from attn.pretrained.intervention.changes import FIRST, PREVIOUS, UNIFORM, Changes
from attn.pretrained.intervention.classification import word_classes
from attn.pretrained.intervention.run import predicts_masked
from attn.pretrained.tolerances import LOGIT, STATE
from attn.pretrained.verdict import Finding, weights_finding
from attn.ui import models
from attn.ui.link import shortened
from attn.ui.minilm_in_numpy import minilm_head_code, reads_minilm
from attn.ui.numpy_models import ONE_THREAD_CODE
from attn.ui.page import page_theme
from attn.ui.pages.change.charts import (
    answer_ends_chart,
    moved_outputs,
    moved_outputs_chart,
    number_pairs_chart,
    number_style,
    shift_numbers,
    similarity_numbers,
)
from attn.ui.pages.change.controls import (
    changed_head_name,
    changes_of_other_text,
    every_head_to_control,
    opening_example_in_view,
    other_model_in_view,
)
from attn.ui.pages.change.effects import compare_changed_runs, similarities_of_texts
from attn.ui.pages.change.runs import MOST_MEASURED, changed_run, gap_of_run, kept_run_finding
from attn.ui.present import MOST_IN_LINE
from attn.ui.shown_code import LIGHT, Codes, Source, shown_code
from attn.ui.state import as_text
from attn.words import capital, listed

PATTERN_WORDS = {
    UNIFORM: "looking at all tokens alike",
    FIRST: "looking only at the first token",
    PREVIOUS: "looking only at the token before",
}
_MOST_NAMED = 4  # heads named one by one


def change_verdict_in_words(largest, before, source):
    """Say whether this is the model reading the text, and what our attention alone moves, in a coloured box.

    Parameters
    ----------
    largest : float or None
        How far our attention moves what the model says with nothing changed, if that was measured, as `gap_of_run`
        returns it.
    before : Run
        The model with nothing changed.
    source : tuple
        The model and what it reads, as the cached functions of `attn.ui.models` take them.
    """
    if largest is None:
        words = "our attention is compared with the model's own: this text is longer"
        attention = Finding(None, f"Up to {MOST_MEASURED} tokens", words)
    elif not math.isfinite(largest):
        attention = models.model_not_finite(*source) or Finding(
            False, "No number", "comes out of the model itself: after its attention, numbers grew beyond their type"
        )
    else:
        limit, what = STATE, "the last state of a token, as a part of its largest number"
        if before.loaded.predicts_words or before.loaded.task:
            limit, what = LOGIT, "the scores (logits)"
        words = f"is the most by which our attention alone moves {what}; up to {number(limit)} is rounding (float32)"
        attention = Finding(largest <= limit, number(largest, 2), words)
    models.say_model_verdict(weights_finding(before.loaded), kept_run_finding(*source, before), attention)


def change_in_words(effect, setup):
    """Say what the changes do to the number that is followed, and that the page opens with some."""
    before, after = effect.numbers
    words, start = _in_words(effect), _start(effect)
    if opening_example_in_view(setup):
        start = f"This page opens with an example that has {words}. {start}"
    elif model := other_model_in_view(setup):
        start = f"This example runs another model than the page opens with, {as_text(model)}, which writes. {start}"
    if not effect.changes:
        return f"{start}. Nothing is changed yet: choose a head in the map to switch it off."
    same = effect.said(after) == effect.said(before)
    moves = "stays at" if same else "falls to" if after < before else "rises to"
    said = f"{start}. With {words} this {moves} **{effect.said(after)}**.{_besides(effect)}"
    return f"{said} Choose heads in the map to go on."


def change_in_a_line(effect):
    """Say in a line what the model reads, what is changed, and what becomes of the number that is followed."""
    given = effect.read.source[2], effect.read.other
    text, other = (f"“{as_text(shortened(each.strip(), MOST_IN_LINE))}”" for each in given)
    read, of = text, "the number that is followed"
    if effect.answers is not None:
        of = f"the answer “{as_text(effect.answers[0].text)}”"
    elif effect.word is not None:
        of = _word(effect)
        read = _classified(effect) if effect.task is not None else _read_so_far(effect)
    else:
        of, read = "similarity", f"{text} and {other}" if effect.read.other.strip() else text
    before, after = map(effect.said, effect.numbers)
    became = f"{before} → **{after}**" if effect.changes else f"**{before}**"
    return f"{capital(read)} · {_in_words(effect) or 'nothing is changed'} · {of} {became}"


def _start(effect):
    """Say what the number that is followed is, and what it is with nothing changed."""
    said = effect.said(effect.numbers[0])
    if effect.answers is not None:
        asked, found = as_text(effect.read.source[2]), as_text(effect.answers[0].text)
        return f"Asked “{asked}”, the model finds the answer **“{found}”** with a probability of **{said}**"
    if effect.word is None:
        text, other = (f"“{as_text(shortened(each.strip()))}”" for each in (effect.read.source[2], effect.read.other))
        about = f"{text} and {other}" if effect.read.other.strip() else f"{text} and the same text unchanged"
        return f"How alike does the model find {about}? **{said}**, the cosine of their vectors, where 1 is the most"
    likeliest = effect.numbers[0] == max(shift.before for shift in effect.shifts)
    if effect.task is not None:
        if not effect.is_probability:
            return f"The number that the model gives {_classified(effect)} for **{_word(effect)}** is **{said}**"
        return f"Of {_classified(effect)} the model says **{_word(effect)}** with a probability of **{said}**"
    gives = f"expects **{_word(effect)}** with" if likeliest else f"gives **{_word(effect)}**"
    return f"After {_read_so_far(effect)} the model {gives} a probability of **{said}**"


def _classified(effect):
    """Return what a class is of: the text or texts, or one of its words."""
    if effect.task == "tokens":
        (place,) = effect.read.positions
        word = next((word.text for word in word_classes(effect.before) if word.place == place), "")
        return f"“{as_text(word or effect.read.tokens[place].text)}”"
    return "the two texts" if effect.read.source[3] else "the text"


def _besides(effect):
    """Say what else became of what the model says: another word, class or answer, and of how many words."""
    if effect.answers is not None:
        before, after = effect.answers
        if before[:2] == after[:2]:
            return " The answer is still the same."
        return f" The answer is now **“{as_text(after.text)}”** ({percent(after.probability)})."
    if effect.word is None or len(effect.shifts) == 1:
        return ""
    likeliest = f" {_likeliest(effect)}"
    if effect.task != "tokens":
        return likeliest
    pairs = list(zip(word_classes(effect.before), word_classes(effect.after), strict=True))
    moved = [(one, other) for one, other in pairs if one.name != other.name]
    if not moved:
        return f"{likeliest} None of {len(pairs)} words changes its class."
    one, other = moved[0]
    named = f"“{as_text(one.text)}” from {as_text(one.name)} to {as_text(other.name)}"
    if len(moved) == 1:
        return f"{likeliest} One of {len(pairs)} words changes its class: {named}."
    return f"{likeliest} {len(moved)} of {len(pairs)} words change their class, first {named}."


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
    parts += ["no causal mask"] if changes.causal_mask_removed else []
    if changes.window is not None:
        parts.append(f"no look farther than {changes.window} token{'' if changes.window == 1 else 's'}")
    parts += [f"a scale of {changes.scale:.3g}"] if changes.scale is not None else []
    parts += [f"a temperature of {changes.temperature:.3g}"] if changes.temperature != 1 else []
    parts += [f"shuffled positions (seed {changes.shuffled})"] if changes.shuffled is not None else []
    return listed(parts)


def _heads_in_words(heads, total, words):
    """Return some heads and what is done to them."""
    if len(heads) <= _MOST_NAMED:
        return f"{'head' if len(heads) == 1 else 'heads'} {listed(map(changed_head_name, sorted(heads)))} {words}"
    return f"{len(heads)} {'heads' if total is None else f'of {total} heads'} {words}"


def _read_so_far(effect):
    """Return the end of the text after which a word is predicted."""
    tokens, (place,) = effect.read.tokens, effect.read.positions
    if predicts_masked(effect.before.loaded):
        return f"reading all but the {as_text(tokens[place].text)} at position {place + 1}"
    last = running_text([token for token in tokens[max(place - 5, 0) : place + 1] if not token.special])
    return f"“{'… ' if place > 5 else ''}{as_text(last.strip())}”"


def _word(effect):
    """Return the word that is followed, fit to stand in a sentence."""
    return as_text(charts.quoted(effect.shifts[effect.word].text))


def _likeliest(effect):
    """Say which token or class is likeliest after the change."""
    before, after = (max(effect.shifts, key=lambda shift: getattr(shift, when)) for when in ("before", "after"))
    still, name = "still" if before.id == after.id else "now", as_text(charts.quoted(after.text))
    if not effect.is_probability:
        return f"The largest number is {still} that for **{name}** ({effect.said(after.after)})."
    what = "token" if effect.task is None else "class"
    return f"The likeliest {what} is {still} **{name}** ({percent(after.after)})."


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


def change_is_last(effect):
    """Return whether heads are off and nothing else is changed, all of them in the last layer, above which is none."""
    last = len(effect.before.num_heads) - 1
    alone = effect.changes == type(effect.changes)(off=effect.changes.off)
    return bool(effect.changes.off) and alone and all(layer == last for layer, _ in effect.changes.off)


def change_shapes_in_words(effect, setup):
    """Say how large the model is, how long the text, and how heads are named."""
    loaded, n = effect.before.loaded, len(effect.before.tokens)
    layer, head = setup.chosen
    total = len(every_head_to_control(effect.before))
    widths = f", with queries and keys of $d_k = {loaded.d_k}$ numbers" if loaded.d_k else ""
    return (
        f"The model has {len(effect.before.num_heads)} layers and {total} heads{widths}, and reads {n} tokens. Head "
        f"{changed_head_name((layer, head))} is head {head + 1} of layer {layer + 1}."
    )


def change_code_in_words(effect, setup, width):
    """Return the lines that make both passes, and those that draw the numbers side by side.

    In numpy it is the chosen head as it is, where the model is the default one.
    """
    name, random, text, pair = effect.read.source
    drawn, more = _numbers_shown(effect)
    settings = {
        "model": Source(models.model_loading_code(name, random)),
        "text": text,
        "pair": pair,
        "changes": Source(f"{_changes_code(effect.changes)}  # layers, heads and tokens count from 0 here"),
        "positions": effect.read.positions,  # where words are predicted
        "place": effect.read.positions[0] if effect.task == "tokens" else None,  # of the word whose class is told
        "width": int(width - 180),
    }
    passes = (
        "from attn import pretrained\n"
        "from attn.pretrained.intervention.changes import Changes\n"
        f"{ONE_THREAD_CODE}\n"
        "before, after = (changed_run(model, text, pair, each, positions) for each in (None, changes))",
        changed_run,
        ("gap", gap_of_run),
        "print(gap)",
    )
    own, (layer, head) = reads_minilm(effect.read.source), setup.chosen
    return Codes(
        numpy=(lambda: minilm_head_code(text, layer, head, pair)) if own else None,
        attn=lambda: shown_code({n: settings[n] for n in ("model", "text", "pair", "changes", "positions")}, *passes),
        draw=lambda: shown_code(
            settings | more | {"theme": LIGHT},
            *passes,
            ("comparison", compare_changed_runs),
            *drawn,
            'charts.save(picture, "change.svg")',
            ("moved", moved_outputs),
            ("picture", moved_outputs_chart),
            'charts.save(picture, "heads.svg")',
        ),
    )


def _numbers_shown(effect):
    """Return the steps that draw the numbers before and after, and the settings that these need."""
    if effect.answers is not None:
        return [("picture", answer_ends_chart)], {}
    style = number_style(effect)
    scale = f"charts.Scale({style.scale.limit}, name={style.scale.name!r})"
    settings = {"title": style.title, "scale": Source(scale), "shares": style.shares, "pick": Source("charts.Pick()")}
    drawn = [("labels, one, other", shift_numbers), ("picture", number_pairs_chart)]
    if effect.word is not None:
        return ["shifts = comparison.classes or comparison.words", *drawn], settings
    if not effect.read.other.strip():
        return [
            "similarities = 1.0, comparison.similarity",
            ("labels, one, other", similarity_numbers),
            drawn[-1],
        ], settings
    settings |= {"other_text": effect.read.other, "other_changes": Source("changes")}
    if (others := changes_of_other_text(effect.changes)) != effect.changes:
        settings["other_changes"] = Source(_changes_code(others))
    others = "others = [changed_run(model, other_text, None, each, None) for each in (None, other_changes)]"
    steps = [others, ("similarities", similarities_of_texts), ("labels, one, other", similarity_numbers), drawn[-1]]
    return steps, settings


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
