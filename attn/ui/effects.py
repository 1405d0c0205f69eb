"""Change: what the changes do, as numbers, sentences and pictures, and the code for it."""

from typing import NamedTuple

import numpy as np
import streamlit as st

from attn import charts
from attn.charts.labels import number
from attn.pretrained.changes import FIRST, PREVIOUS, UNIFORM, Changes
from attn.pretrained.intervention import TOLERANCE, Run, predicts_masked, prepare
from attn.pretrained.prediction import Comparison, compare_runs, similarity, token_id
from attn.ui.changing import changes_of, every_head, head_name, of_other_text
from attn.ui.colours import scale_of
from attn.ui.page import theme
from attn.ui.passing import MOST_MEASURED, moved, passed
from attn.ui.state import as_text

PATTERN_WORDS = {
    UNIFORM: "looking at all tokens alike",
    FIRST: "looking at the first token only",
    PREVIOUS: "looking at the token before only",
}
_WORDS = 8  # shown side by side
_MOST_NAMED = 4  # heads named one by one
_SPACE = "␣"


class Reading(NamedTuple):
    """What a model reads, and what is asked of it."""

    source: tuple  # name, random weights, text, and what its decoder reads, as the cached functions take them
    tokens: tuple  # after which a word is predicted, or of the text whose likeness is measured
    positions: tuple | None  # of these, where a word is predicted; None: nowhere
    other: str  # a text to be compared with


class Effect(NamedTuple):
    """What the page shows."""

    read: Reading
    changes: Changes
    left_out: list  # sentences on what did not fit
    before: Run
    after: Run
    comparison: Comparison
    word: int | None  # place, among the words of the comparison, of the one that is followed
    numbers: tuple  # the number that is followed, before and after

    @property
    def what(self):
        """What the number is called."""
        return "similarity" if self.word is None else "probability"


def reading_controls(state, loaded):
    """Draw what the model is asked: how alike two texts are, or which word comes where.

    Returns
    -------
    Reading
    """
    if _decodes(loaded):
        st.text_input("Text of the decoder", key=state.key("pair"), help="What the decoder has to say, word by word.")
    read = read_by(state.choices(), loaded)
    if read.positions is None:
        if _predicts(loaded):
            st.caption(f"Write {loaded.tokenizer.mask_token} for a word to see what the model puts there.")
        st.text_input(
            "Second text",
            key=state.key("pair"),
            placeholder="None",
            help="How alike the model finds the two texts is the number that changes. Without a second text, "
            "the first is compared with itself as it was.",
        )
        return read
    labels = charts.token_labels([token.text for token in read.tokens])
    if not predicts_masked(loaded) and len(labels) > 1:
        state.clamp("back", 0, len(labels) - 1)
        st.select_slider(
            "Predict after",
            range(len(labels) - 1, -1, -1),
            format_func=lambda back: labels[-1 - back],
            key=state.key("back"),
            help="The word that comes after this token.",
        )
    st.text_input(
        "Word to follow",
        key=state.key("word"),
        placeholder="The likeliest",
        help="The word whose probability is the number that changes; click a word in the figure to choose it. A space "
        f"before it is written {_SPACE}.",
    )
    return read_by(state.choices(), loaded)


def _decodes(loaded):
    """Return whether a model reads one text and says another."""
    return bool(getattr(loaded.model.config, "is_encoder_decoder", False)) and _predicts(loaded)


def _predicts(loaded):
    """Return whether a model predicts words at all."""
    return loaded.model.get_output_embeddings() is not None


def read_by(setup, loaded):
    """Tokenize what the model reads, and find where it predicts a word.

    Parameters
    ----------
    setup : Setup
    loaded : Loaded

    Returns
    -------
    Reading

    Raises
    ------
    ModelError
        If the model's attention cannot be changed, or the text gives it no token.
    """
    decodes = _decodes(loaded)
    source = setup.model, setup.random, setup.text, setup.pair if decodes else ""
    prepared = prepare(loaded, setup.text, setup.pair or None if decodes else None)
    tokens = prepared.tokens if prepared.decoder_tokens is None else prepared.decoder_tokens
    return Reading(source, tokens, _positions(setup, loaded, tokens), setup.pair)


def _positions(setup, loaded, tokens):
    """Return where words are predicted: at the chosen token, or at the masked one nearest to it."""
    if not _predicts(loaded):
        return None
    place = max(len(tokens) - 1 - setup.back, 0)
    if not predicts_masked(loaded):
        return (place,)
    mask = getattr(loaded.tokenizer, "mask_token_id", None)
    masked = [at for at, token in enumerate(tokens) if token.id is not None and token.id == mask]
    return (min(masked, key=lambda at: abs(at - place)),) if masked else None


def untouched(read):
    """Pass the text through the model with our attention inside and nothing changed."""
    return passed(*read.source, positions=read.positions)


def effect_of(setup, read, before):
    """Pass the text through the model with what is changed, and put both passes side by side.

    Parameters
    ----------
    setup : Setup
    read : Reading
    before : Run
        The model as it is.

    Returns
    -------
    Effect

    Raises
    ------
    ModelError
        As `attn.pretrained.intervention.run`.
    """
    changes, left_out = changes_of(setup, before)
    after = passed(*read.source, changes, read.positions)
    comparison = compare_runs(before, after, _WORDS)
    if comparison.words:
        comparison, word = _following(setup.word, comparison, before, after)
        shift = comparison.words[word]
        return Effect(read, changes, left_out, before, after, comparison, word, (shift.before, shift.after))
    numbers = _likeness(read, changes, before, after)
    return Effect(read, changes, left_out, before, after, comparison, None, numbers)


def _following(word, comparison, before, after):
    """Return the comparison with the word that is followed among its words, and its place there."""
    words = comparison.words
    if not word.strip():
        return comparison, max(range(len(words)), key=lambda at: words[at].before)
    place = next((at for at, shift in enumerate(words) if shift.text == word), None)
    if place is None:
        id = token_id(before.loaded, word.replace(_SPACE, " "))
        place = next((at for at, shift in enumerate(words) if shift.id == id), None)
    if place is None:
        shift = words[0]._replace(
            text=word, id=id, before=float(before.probabilities()[id]), after=float(after.probabilities()[id])
        )
        return comparison._replace(words=(*words[:-1], shift)), len(words) - 1
    return comparison, place


def _likeness(read, changes, before, after):
    """Return how alike the two texts are to the model, before and after; without a second text, the text to itself."""
    if not read.other.strip():
        return 1.0, similarity(before, after)
    source = (*read.source[:2], read.other, "")
    others = passed(*source), passed(*source, of_other_text(changes))
    return similarity(before, others[0]), similarity(after, others[1])


def largest_move(read):
    """Return how far our attention moves what the model says with nothing changed; None where the text is too long."""
    return moved(*read.source) if len(read.tokens) <= MOST_MEASURED else None


def verdict(largest, loaded):
    """Say how far our attention moves what the model says with nothing changed, in a coloured box."""
    if largest is None:
        st.info(f"For texts beyond {MOST_MEASURED} tokens our attention is not compared with the model's own.")
        return
    what = "logits" if _predicts(loaded) else "last hidden states"
    agrees = largest <= TOLERANCE
    say = st.success if agrees else st.error
    say(
        f"**{'Untouched' if agrees else 'Moved'}.** Before any change, our attention inside moves the {what} by at "
        f"most **{largest:.1e}**. Tolerance {TOLERANCE:.0e}, float32."
    )


def sentence_of(effect):
    """Say what the changes do to the number that is followed."""
    before, after = effect.numbers
    words = in_words(effect)
    if effect.word is None:
        about = "the two texts" if effect.read.other.strip() else "the text and itself unchanged"
        start = f"The model finds {about} alike to **{number(before)}** (cosine)"
    else:
        start = f"After {_heard(effect)} the model expects **{_word(effect)}** with probability **{number(before)}**"
    if not effect.changes:
        return f"{start}. Nothing is changed: click a head in the map to switch it off."
    same = number(after) == number(before)
    moves = "stays at" if same else "falls to" if after < before else "rises to"
    end = f"{start}. With {words} this {moves} **{number(after)}**."
    return end if effect.word is None else f"{end} {_likeliest(effect)}"


def in_words(effect):
    """Return what is changed, as words in a row."""
    changes, names = effect.changes, [token.text for token in effect.before.tokens]
    parts = [_heads_in_words(changes.off, len(every_head(effect.before)), "off")] if changes.off else []
    kinds = {}
    for head, pattern in changes.patterns:
        kinds.setdefault(PATTERN_WORDS.get(pattern, "looking where it is painted"), []).append(head)
    parts += [_heads_in_words(heads, None, words) for words, heads in kinds.items()]
    if changes.hidden:
        parts.append(", ".join(f"“{as_text(names[place])}”" for place in sorted(changes.hidden)) + " hidden")
    parts += ["the causal mask lifted"] if changes.lifted else []
    parts += [f"no look farther than {changes.window} tokens"] if changes.window is not None else []
    parts += [f"a scale of {changes.scale:.3g}"] if changes.scale is not None else []
    parts += [f"temperature {changes.temperature:.3g}"] if changes.temperature != 1 else []
    parts += [f"positions shuffled (seed {changes.shuffled})"] if changes.shuffled is not None else []
    return ", ".join(parts)


def _heads_in_words(heads, total, words):
    """Return some heads and what is done to them."""
    if len(heads) <= _MOST_NAMED:
        return f"{'head' if len(heads) == 1 else 'heads'} {', '.join(map(head_name, sorted(heads)))} {words}"
    return f"{len(heads)} {'heads' if total is None else f'of {total} heads'} {words}"


def _heard(effect):
    """Return the end of the text after which a word is predicted."""
    tokens, (place,) = effect.read.tokens, effect.read.positions
    if predicts_masked(effect.before.loaded):
        return f"reading all but {as_text(tokens[place].text)} at position {place + 1}"
    pieces = [token.text for token in tokens[max(place - 5, 0) : place + 1] if not token.special]
    spaced = any(_SPACE in token.text for token in tokens)  # pieces of words say whether a space comes before them
    last = "".join(pieces).replace(_SPACE, " ") if spaced else " ".join(pieces)
    return f"“{'… ' if place > 5 else ''}{as_text(last.strip())}”"


def _word(effect):
    return as_text(effect.comparison.words[effect.word].text)


def _likeliest(effect):
    """Say which word is likeliest after the change."""
    words = effect.comparison.words
    before, after = (max(words, key=lambda shift: getattr(shift, when)) for when in ("before", "after"))
    still = "still" if before.id == after.id else "now"
    return f"The likeliest word is {still} **{as_text(after.text)}** ({number(after.after)})."


def formula_of(effect):
    """Return attention as the changed heads compute it, as LaTeX."""
    changes = effect.changes
    q, k, v, z = (
        rf"\textcolor{{{theme().role(name)}}}{{{letter}}}"
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
        parts.append(rf"{z}_{{{head_name(min(changes.off))}{more}}} = 0")
    if changes.patterns:
        more = r"\dots" if len(changes.patterns) > 1 else ""
        parts.append(rf"{z}_{{{head_name(changes.patterns[0][0])}{more}}} = A'\,{v}")
    return r"\begin{gathered}" + r"\\".join(parts) + r"\end{gathered}"


def _masks(changes):
    """Return whether the mask is another than the model's."""
    return bool(changes.lifted or changes.hidden or changes.window is not None)


def shapes_of(effect):
    """Say how large what is passed is."""
    loaded, n = effect.before.loaded, len(effect.before.tokens)
    total = len(every_head(effect.before))
    widths = f", d_k {loaded.d_k}" if loaded.d_k else ""
    return f"{len(effect.before.num_heads)} layers, {total} heads{widths}; {n} tokens"


def number_chart(effect, theme, room):
    """Draw the number before and after: the words side by side, or how alike the texts are."""
    if effect.word is None:
        before, after = effect.numbers
        first = charts.pairs(
            [before], [after], ["similarity"], theme, limit=1.0, width=int(room - 160), tooltip_name="cosine",
            title="Similarity of the two texts" if effect.read.other.strip() else "Similarity to itself unchanged",
        )  # fmt: skip
        return charts.above(first, _turned(effect, theme, room))
    words = effect.comparison.words
    return charts.beside(
        charts.pairs(
            [shift.before for shift in words],
            [shift.after for shift in words],
            [shift.text for shift in words],
            theme,
            title="What comes next" if not predicts_masked(effect.before.loaded) else "What stands here",
            selected=effect.word,
            select="word",
            width=int(room - 180),
            tooltip_name="probability",
        )
    )


def _turned(effect, theme, room):
    """Draw how far the last vector of each token has turned, the farthest first."""
    one, other = effect.before.hidden, effect.after.hidden
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    turned = 1 - (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)
    labels = charts.token_labels([token.text for token in effect.before.tokens])[: len(turned)]
    order = np.argsort(-turned, kind="stable")[:8]
    return charts.bars(
        turned[order].clip(0), [labels[at] for at in order], theme, title="Tokens whose vector turns most",
        kind="magnitude", limit=max(float(turned.max()), 1e-3), width=int(room - 180), tooltip_name="1 − cosine",
    )  # fmt: skip


def head_chart(effect, setup, theme, room):
    """Draw by how much each head's output changes, with the heads that are changed by hand."""
    return charts.beside(
        charts.head_switches(
            shift_table(effect), theme, off=effect.changes.off, replaced=[head for head, _ in effect.changes.patterns],
            title="Outputs moved" if effect.comparison.heads else "Heads", select="head",
            selected=_at_hand(setup, effect.before), size=_map_size(effect.before, room), tooltip_name="moved by",
        )
    )  # fmt: skip


def _at_hand(setup, run):
    """Return the chosen head if the model has it."""
    return setup.chosen if setup.chosen in every_head(run) else None


def _map_size(run, room):
    """Return the pixels of the longer side of the map: as wide as there is room, and not too tall."""
    down, across = len(run.num_heads), max(run.num_heads)
    cell = max(min((room - 60) / across, max(520, 0.8 * room) / down, 48), 14)
    return int(cell) * max(down, across)


def look_at(effect, setup):
    """Return the weights of the chosen head before and after, (n_q, n_k), what each hides, and both labels.

    Returns
    -------
    before, after : ndarray, shape (n_q, n_k)
        A head that is off has weights of 0.
    hidden : tuple of ndarray of bool
        Where the mask hides, before and after.
    rows, columns : list of str
    """
    layer, head = setup.chosen
    runs = effect.before, effect.after
    before, after = (run.weights(layer, head) for run in runs)
    if setup.chosen in effect.changes.off:
        after = np.zeros_like(after)
    hidden = tuple(
        np.zeros(before.shape, dtype=bool)
        if run.layers[layer].mask is None
        else ~np.broadcast_to(run.layers[layer].mask[0, 0], before.shape)
        for run in runs
    )
    kept = effect.before.layers[layer]
    rows, columns = (charts.token_labels([t.text for t in side]) for side in (kept.query_tokens, kept.key_tokens))
    return before, after, hidden, rows, columns


def maps_of(look, setup, effect, theme, room):
    """Draw the weights of the chosen head before, after, and their difference."""
    before, after, hidden, rows, columns = look
    scale = scale_of(setup.colour, before, after)
    off = ", off" if setup.chosen in effect.changes.off else ""
    return charts.panels(
        theme,
        room,
        charts.panel(before, rows, columns, title=f"Head {head_name(setup.chosen)} before", hidden=hidden[0], **scale),
        charts.panel(after, rows, columns, title=f"After{off}", hidden=hidden[1], select="paint", **scale),
        charts.panel(after - before, rows, columns, title="Difference", kind="signed"),
    )


def downstream_chart(effect, theme, room):
    """Draw the heads that were not changed by hand and yet do otherwise, the farthest first."""
    first = downstream(effect)
    labels = [f"head {head_name((shift.layer, shift.head))}" for shift in first]
    common = {"kind": "magnitude", "width": int(room / 2 - 200)}
    drawn = [
        charts.bars(
            [shift.output for shift in first], labels, theme, title="Output moved by", select="output",
            tooltip_name="share of its length", **common,
        )
    ]  # fmt: skip
    if all(shift.weights is not None for shift in first):
        drawn.append(
            charts.bars(
                [shift.weights for shift in first], labels, theme, title="Largest change of a weight",
                select="weights", limit=1.0, tooltip_name="weight", **common,
            )
        )  # fmt: skip
    return charts.beside(*drawn)


def downstream(effect):
    """Return the ten heads that changed most without being changed by hand."""
    return effect.comparison.downstream(10)


def shift_table(effect, name="output"):
    """Return by how much each head's output or weights changed, (num_layers, most heads); NaN where there is none."""
    run = effect.before
    table = np.full((len(run.num_heads), max(run.num_heads)), np.nan)
    for head in every_head(run):
        table[head] = 0.0
    for shift in effect.comparison.heads:
        table[shift.layer, shift.head] = getattr(shift, name) or 0.0
    return table


def numbers_csv(effect):
    """Return the numbers before and after as a table."""
    if effect.word is None:
        return charts.csv([effect.numbers], ["similarity"], ["before", "after"])
    words = effect.comparison.words
    return charts.csv([shift[2:] for shift in words], [shift.text for shift in words], ["before", "after"])


def shifts_csv(effect):
    """Return by how much each head's output moved as a table."""
    table = shift_table(effect)
    return charts.csv(table, *map(charts.counted, table.shape))


def code_of(effect, room):
    """Return the lines that make both passes and draw the numbers side by side."""
    name, random, text, pair = effect.read.source
    arguments = [repr(name)] + (["random_weights=True"] if random else [])
    options = (f", pair={pair!r}" if pair else "") + (
        f", positions={effect.read.positions}" if effect.read.positions else ""
    )
    return f"""from attn import charts, pretrained
from attn.pretrained.changes import Changes
from attn.pretrained.intervention import run, untouched
from attn.pretrained.prediction import compare_runs, similarity

model = pretrained.load({", ".join(arguments)})
text = {text!r}
changes = {_changes_code(effect.changes)}
before, after = (run(model, text, each{options}) for each in (None, changes))
print(untouched(model, text{f", pair={pair!r}" if pair else ""}))
comparison = compare_runs(before, after, {_WORDS})
print(comparison.downstream(5))
{_numbers_code(effect)}
picture = charts.beside(charts.pairs(one, other, labels, charts.LIGHT, width={room:.0f}))
charts.save(picture, "change.svg")
"""


def _numbers_code(effect):
    """Return the lines that bind the numbers before and after, and what they are called."""
    if effect.word is not None:
        return """labels = [word.text for word in comparison.words]
one, other = ([getattr(word, when) for word in comparison.words] for when in ("before", "after"))"""
    if not effect.read.other.strip():
        return """labels, one, other = ["similarity"], [1.0], [comparison.similarity]"""
    others = of_other_text(effect.changes)
    changes = "changes" if others == effect.changes else _changes_code(others)
    return f"""others = [run(model, {effect.read.other!r}, each) for each in (None, {changes})]
labels = ["similarity"]
one, other = [similarity(before, others[0])], [similarity(after, others[1])]"""


def _changes_code(changes):
    """Return changes as code that makes them."""
    given = {}
    for field in ("off", "patterns", "hidden", "lifted", "window", "scale", "temperature", "shuffled"):
        value = getattr(changes, field)
        if value != getattr(Changes(), field):
            given[field] = sorted(value) if isinstance(value, frozenset) else value
    if "patterns" in given:
        given["patterns"] = dict(given["patterns"])
    return f"Changes({', '.join(f'{name}={value!r}' for name, value in given.items())})"
