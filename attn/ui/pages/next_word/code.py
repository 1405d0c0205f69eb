"""Next word: the code that computes what each figure shows, from scratch and with this package, and draws it."""

from attn.ui.language_models import MOST_WALKED
from attn.ui.numpy_models import ONE_THREAD_CODE, numpy_model_code
from attn.ui.pages.next_word import part_values, whole_way
from attn.ui.pages.next_word.parts import Summands, part_chart, part_products_chart, part_summands_chart
from attn.ui.pages.next_word.pass_in_numpy import pass_in_numpy
from attn.ui.shown_code import LIGHT, page_codes

NEXT_WORD_SAVED = 'charts.save(picture, "next_word.svg")'
_LABELS = "labels = charts.token_labels([token.text for token in tokens])"


def next_word_codes(walked, found, factors, width):
    """Return the code of the words that may come next.

    Parameters
    ----------
    walked : Walked
    found : NextWords
    factors : tuple of PartFactor
    width : float
        Pixels of the picture.

    Returns
    -------
    Codes
    """
    settings, (reading, *changing) = _walked_steps(walked, factors)
    settings["ids"] = [word.id for word in found.words]
    probabilities = "softmax(passed.logits[-1].astype(float))[ids]"
    steps = [reading, f"from attn import softmax\nbefore = {probabilities}"]
    steps += [*changing, f"after = {probabilities}" if factors else "after = None"]
    steps.append("labels = [language_model.token_label(opened, id) for id in ids]")
    printed = ["for label, share in zip(labels, before):\n    print(label, share.round(4))"]
    printed += ["print(after.round(4))"] if factors else []
    return page_codes(
        pass_in_numpy(walked, factors), settings, tuple(steps), tuple(printed),
        {"selected": found.selected, "theme": LIGHT, "width": width},
        (("picture", whole_way.whole_way_words), NEXT_WORD_SAVED),
    )  # fmt: skip


def _walked_steps(walked, factors=()):
    """Return the settings and the steps that bind ``opened``, ``model``, ``passed`` with these changes, ``tokens``."""
    steps = [numpy_model_code(walked.setup.model, walked.setup.text, MOST_WALKED, walked.language)]
    if not factors:
        return {}, steps
    steps.append(
        "from attn.models.ablation import PartFactor, ablation\n"
        "change = ablation(PartFactor(*each) for each in factors)\n"
        f"passed = language_model.read(opened, text, max_tokens={MOST_WALKED}, steps=True, change=change).passed"
    )
    return {"factors": [tuple(each) for each in factors]}, steps


def part_codes(walked, opened, factors, drawn):
    """Return the code of the matrix of the open part.

    Parameters
    ----------
    walked : Walked
    opened : Opened
    factors : tuple of PartFactor
    drawn : dict
        As `attn.ui.pages.next_word.parts.part_chart` takes them: place, width, tallest.

    Returns
    -------
    Codes
    """
    settings, steps = _walked_steps(walked, factors)
    settings |= walked.given(opened.made) | ({"ids": list(opened.words)} if opened.words else {})
    columns = "columns = charts.counted(values.shape[1])"
    if opened.words:
        columns = "columns = [language_model.token_label(opened, id) for id in ids]"
    elif opened.axis == "key":
        columns = "columns = labels"
    hidden = ("hidden", part_values.hidden_keys) if opened.hidden is not None else "hidden = None"
    look = drawn | {"theme": LIGHT, "kind": opened.kind, "title": opened.title, "axis": opened.axis}
    return page_codes(
        pass_in_numpy(walked, factors, opened.words), settings, (*steps, ("values", opened.made)),
        ("print(values.round(4))",), look, (hidden, f"{_LABELS}\n{columns}", ("picture", part_chart), NEXT_WORD_SAVED),
    )  # fmt: skip


def part_number_codes(walked, terms, place, words, factors, width):
    """Return the code of how one number of the open part comes about.

    Parameters
    ----------
    walked : Walked
    terms : Terms or Summands
    place : (int, int)
        Its row and column.
    words : tuple of int
        Ids of the columns, where they are words.
    factors : tuple of PartFactor
    width : float
        Pixels.

    Returns
    -------
    Codes
    """
    settings, steps = _walked_steps(walked, factors)
    settings |= walked.given(terms.made, row=place[0], column=place[1]) | ({"ids": list(words)} if words else {})
    look = {"labels": terms.labels, "theme": LIGHT, "width": width}
    if isinstance(terms, Summands):
        made, printed, picture = ("added", terms.made), "print(sum(added))", part_summands_chart
    else:
        look["names"] = terms.names
        made, printed, picture = ("left, right", terms.made), "print(left @ right)", part_products_chart
    return page_codes(None, settings, (*steps, made), (printed,), look, (("picture", picture), NEXT_WORD_SAVED))


def way_codes(walked, drawn):
    """Return the code of the way, and of what each part adds.

    Parameters
    ----------
    walked : Walked
    drawn : dict
        As `attn.ui.pages.next_word.whole_way.whole_way_picture` takes them, but for ``additions`` and ``theme``.

    Returns
    -------
    Codes
    """
    settings, steps = _walked_steps(walked)
    return page_codes(
        None, settings, (*steps, ("additions", whole_way.whole_way_additions)), ("print(additions.round(4))",),
        drawn | {"theme": LIGHT},
        (whole_way.whole_way_boxes, whole_way.whole_way_map, ("picture", whole_way.whole_way_picture), NEXT_WORD_SAVED),
    )  # fmt: skip


def written_words_steps(setup, factors, count):
    """Return the settings and the steps that bind ``opened``, ``written``, the first so many words, and ``labels``."""
    settings, change = {"name": setup.model, "text": setup.text, "count": count}, ""
    options = f"max_tokens={MOST_WALKED}"
    if not setup.greedy:
        settings |= {"temperature": setup.temperature, "top_k": setup.top_k or None, "top_p": setup.top_p}
        settings |= {"seed": setup.seed}
        options += ",\n    temperature=temperature, top_k=top_k, top_p=top_p, rng=np.random.default_rng(seed)"
    if factors:
        settings["factors"] = [tuple(each) for each in factors]
        change = (
            "from attn.models.ablation import PartFactor, ablation\n"
            "change = ablation(PartFactor(*each) for each in factors)\n"
        )
        options += ", change=change"
    steps = (
        "from attn import pretrained\nfrom attn.pretrained import language_model\n"
        f"{ONE_THREAD_CODE}\nopened = language_model.load(name)\n{change}"
        f"written = list(language_model.write(\n    opened, text, count, {options},\n))",
        "labels = [language_model.token_label(opened, word.id) for word in written]",
    )
    return settings, steps
