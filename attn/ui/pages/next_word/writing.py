"""Next word, tab Writing: the text goes on word by word, forth and back, each word with its rivals."""

import streamlit as st

from attn import charts
from attn.charts.labels import percent
from attn.ui import language_models
from attn.ui.page import page_columns, page_draw, page_figure, page_path_columns, page_reading
from attn.ui.pages.next_word.code import NEXT_WORD_SAVED, written_words_steps
from attn.ui.pages.next_word.setup import MOST_WRITTEN
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.width import page_share


def writing_tab(state, walked, factors, theme, width):
    """Draw the controls of writing, the words written so far, and the rivals of the last one."""
    _controls(state)
    setup = state.commit()
    steps = writing_steps(setup, factors, setup.count)
    if len(steps) < setup.count:
        state.adjust(count=len(steps))
    writing_path(state, ended=len(steps) < setup.count)
    if not steps:
        st.info("Press “Next” to write a token.")
        return
    last = steps[-1]
    page_reading(
        _reading(setup, steps), r"p_i = \frac{e^{\ell_i / T}}{\sum_{j \in \mathrm{kept}} e^{\ell_j / T}}",
        f"{len(steps)} tokens written · {last.kept_bytes / 1e6:.2f} MB of keys and values kept",
    )  # fmt: skip
    text = setup.text[: walked.read.tokens[-1].end or None]
    _text("The text so far", text, steps)
    if factors:
        _text("Without your changes", text, writing_steps(setup, (), setup.count))
    page_figure(
        written_strip([step.label for step in steps], [step.probability for step in steps], theme, width),
        "next_word.written",
        on_pick=lambda row, column: state.set(count=row + 1),
        tables={"written": lambda: _csv(steps)},
        codes=lambda: _codes(setup, factors, width),
    )
    st.caption(
        "Each token has the probability that the model gave it below. Choose one to go back to it; the slider leads "
        "forth again, to the same tokens."
    )
    own, drawn = page_columns([1, 1], figures=True)
    with own:
        page_draw(
            charts.beside(_bars(last, [each.probability for each in last.rivals], "What the model says", theme)),
            "next_word.rivals",
        )
    if not setup.greedy:
        with drawn:
            page_draw(
                charts.beside(_bars(last, [each.drawn_with for each in last.rivals], "What is drawn from", theme)),
                "next_word.drawn",
            )


def written_strip(labels, shares, theme, width):
    """Draw the words that were written, each in the colour of its probability."""
    pick = charts.Pick("token", len(labels) - 1)
    return charts.beside(charts.token_strip(labels, theme, weights=shares, width=width, pick=pick))


def _codes(setup, factors, width):
    """Return the lines that write the words, and those that draw them."""
    settings, steps = written_words_steps(setup, factors, setup.count)
    made = "from attn import softmax\nshares = [float(softmax(word.logits.astype(float))[word.id]) for word in written]"
    printed = ("for label, share in zip(labels, shares):\n    print(label, round(share, 4))",)
    look, drawing = {"theme": LIGHT, "width": width}, (("picture", written_strip), NEXT_WORD_SAVED)
    return page_codes(None, settings, (*steps, made), printed, look, drawing)


def _controls(state):
    """Draw how the next word is chosen."""
    st.toggle(
        "Always take the likeliest token", key=state.key("greedy"),
        help="Greedy writing: no chance is in it, and nothing below is needed. Off, each token is drawn by its "
        "probability.",
    )  # fmt: skip
    if state.get("greedy"):
        return
    temperature, top_k, top_p, seed = page_columns([1, 1, 1, 1])
    temperature.slider(
        "Temperature", 0.05, 5.0, step=0.05, key=state.key("temperature"),
        help="Divides the logits. Below 1 the likeliest tokens get more, above 1 all become more alike.",
    )  # fmt: skip
    top_k.number_input(
        "Top-k", 0, 1000, key=state.key("top_k"), help="Only so many of the likeliest tokens can be drawn; 0 means all."
    )
    top_p.slider(
        "Top-p", 0.05, 1.0, step=0.05, key=state.key("top_p"),
        help="Only the fewest likeliest tokens that reach this share together can be drawn; 1 means all.",
    )  # fmt: skip
    seed.number_input(
        "Seed", 0, 9999, key=state.key("seed"), help="Another seed draws other tokens; the same draws the same again."
    )


def writing_path(state, ended, about="Tokens written"):
    """Draw the way back and forth along the words; `about` says what is counted."""

    def go(step):
        state.set(count=state.get("count") + step)

    back, along, forth = page_path_columns()
    count = state.get("count")
    back.button(
        "Back", key=state.key("back"), on_click=go, args=(-1,), disabled=not count, shortcut="Left",
        help="Takes the last token away; the left arrow key does the same.",
    )  # fmt: skip
    along.slider(
        about, 0, MOST_WRITTEN, key=state.key("count"), help="How far the text has gone on from yours."
    )  # fmt: skip
    forth.button(
        "Next", key=state.key("forth"), on_click=go, args=(1,), type="primary", shortcut="Right",
        disabled=ended or count >= MOST_WRITTEN, help="Writes one more token; the right arrow key does the same.",
    )  # fmt: skip


def writing_steps(setup, factors, count):
    """Return the first so many words that are written."""
    drawing = (0.0, None, 1.0) if setup.greedy else (setup.temperature, setup.top_k or None, setup.top_p)
    with st.spinner("Writing …", show_time=True):
        return language_models.written_words(setup.model, setup.text, count, *drawing, setup.seed, factors)


def _reading(setup, steps):
    """Say what was written last, and what else could have come."""
    last = steps[-1]
    rival = next(each for each in last.rivals if each.id != last.id)
    rank = next((at for at, each in enumerate(last.rivals, 1) if each.id == last.id), None)
    place = "beyond the ten likeliest" if rank is None else "the likeliest" if rank == 1 else f"number {rank} by rank"
    told = (
        f"Token {len(steps)} is **{as_text(last.label)}**: the model gave it **{percent(last.probability)}**, {place}. "
        f"Its strongest rival is {as_text(rival.label)} with {percent(rival.probability)}."
    )
    if setup.greedy:
        return f"{told} The likeliest token is always taken."
    return f"{told} It was drawn with a probability of **{percent(last.drawn_with)}**, as the settings make it."


def _text(title, text, steps):
    """Show a text with what was written."""
    written = "".join(step.text for step in steps).replace("\n", " ↵ ")
    bold = written.strip()  # Markdown takes no space at either end of it
    before = " " if written[:1].isspace() else ""
    st.markdown(f"{title}: {as_text(text)}{before}**{as_text(bold)}**" if bold else f"{title}: {as_text(text)}")


def _bars(step, values, title, theme):
    """Draw the rivals of a word, itself marked."""
    labels = [each.label for each in step.rivals]
    taken = next((at for at, each in enumerate(step.rivals) if each.id == step.id), None)
    width = page_share(1 / 2, beside=140)
    scale = charts.Scale(name="probability")
    look = {"title": title, "width": width, "scale": scale, "pick": charts.Pick(selected=taken)}
    return charts.bars(values, labels, theme, shares=True, **look)


def _csv(steps):
    """Return the words with their probabilities as comma-separated text."""
    rows = [[step.probability, step.drawn_with, step.kept_bytes] for step in steps]
    return charts.csv(rows, [step.label for step in steps], ["probability", "drawn with", "bytes of the cache"])
