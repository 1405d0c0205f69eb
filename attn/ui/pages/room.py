"""Room: the people in a hall guess on their phones where a head looks, before they see where it does."""

import functools
from dataclasses import dataclass

import numpy as np
import streamlit as st

from attn import charts
from attn.ui import models
from attn.ui.controls.sentence import DEFAULT_TEXT
from attn.ui.link import link_choice, link_code, link_place, link_string, link_whole
from attn.ui.minilm_in_numpy import minilm_head_code
from attn.ui.page import page_figure, page_theme, page_token_control
from attn.ui.present import ANSWER_KEY, audience_address, code_picture, network_address, present_join
from attn.ui.rooms import MOST_GUESSES, Question, open_rooms
from attn.ui.shown_code import LIGHT, page_codes
from attn.ui.state import as_text
from attn.ui.visitor import this_visit
from attn.ui.width import page_strip_width, page_width

KINDS = {"key": "Which word does it look at?", "head": "Which head does it?"}
LAYERS, HEADS = 6, 12  # of the model
LONGEST_CODE = 8  # letters that may be typed; the codes of this server have fewer
MOST = 60  # tokens to choose from
LAYER, HEAD, CELL = 4, 2, (10, 2)  # the head of Home, in which "it" finds its animal
_TOUCHED = """<style>
.stMainBlockContainer [data-testid="stButtonGroup"] [role="radiogroup"] { gap: 0.6rem; }
.stMainBlockContainer [data-testid="stButtonGroup"] button { min-height: 2.75rem; min-width: 2.75rem; }
.st-key-controls { display: none; }
</style>"""  # a guess is touched in a crowd, quickly; who guesses has nothing else to set
_GUESSED = "room.guessed"  # where the session holds the code of the room in which this visitor guessed last
_SECONDS = 2  # after which the speaker's page looks again who has guessed, and a phone whether something else is asked


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Room."""

    room: str = link_code(LONGEST_CODE)
    kind: str = link_choice("key", KINDS)
    text: str = link_string(DEFAULT_TEXT)
    layer: int = link_whole(LAYER, 1, LAYERS)
    head: int = link_whole(HEAD, 1, HEADS)
    cell: tuple = link_place(CELL)


def room_question(setup, names):
    """Return what the choices of a page ask.

    Parameters
    ----------
    setup : Setup
    names : list of str
        The tokens' labels.

    Returns
    -------
    Question
    """
    query, key = (min(place, len(names) - 1) for place in setup.cell)
    if setup.kind == "head":
        return Question("head", setup.text, tuple(names), query, key=key, shape=(LAYERS, HEADS))
    return Question("key", setup.text, tuple(names), query, layer=setup.layer, head=setup.head)


def question_in_words(question, spelled=as_text):
    """Return a question as a sentence, its words spelled by a function.

    Examples
    --------
    >>> question_in_words(Question("key", "It rains", ("It", "rains"), 0, layer=4, head=2))
    'Which word does “It” look at most in head 2 of layer 4?'
    """
    looker = spelled(question.names[question.query])
    if question.kind == "head":
        return f"In which head of the model does “{looker}” look at “{spelled(question.names[question.key])}” most?"
    return f"Which word does “{looker}” look at most in head {question.head} of layer {question.layer}?"


def _plainly(question):
    """Return a question as the title of a figure, which is no Markdown."""
    return question_in_words(question, lambda name: name)


def true_weights(question):
    """Return the model's own numbers in the shape of the guesses: a row of weights, or one weight of every head."""
    if question.kind == "key":
        weights = models.model_layer_weights(question.text, question.layer - 1, question.head - 1)
        return weights[question.query, : len(question.names)]
    at = question.query, question.key
    every_head = [
        models.model_layer_weights(question.text, layer, head)[at] for layer in range(LAYERS) for head in range(HEADS)
    ]
    return np.reshape(every_head, question.shape)


def place_in_words(question, place):
    """Return a possible guess in words: a word, or a layer and a head counted from 1."""
    if question.kind == "head":
        return f"layer {place[0] + 1}, head {place[1] + 1}"
    return f"“{as_text(question.names[place[0]])}”"


def room_reading(question, shares, weights, count):
    """Say how many have guessed; once the answer is shown, what the room thought, and what is so.

    Parameters
    ----------
    question : Question
    shares, weights : ndarray
        Of the guesses; and the model's, or None before they are shown.
    count : int
        Of guesses.
    """
    people = f"**{count}** {'has' if count == 1 else 'have'} guessed" if count else "Nobody has guessed yet"
    if weights is None:
        return f"{people}."
    best = np.unravel_index(weights.argmax(), weights.shape)
    answer = f"In the model it is {place_in_words(question, best)}, with a weight of **{weights.max():.2f}**"
    if not count:
        return f"{people}. {answer}."
    favourite = np.unravel_index(shares.argmax(), shares.shape)
    led = f"the most for {place_in_words(question, favourite)} (**{shares.max():.0%}**)"
    people += f", {led if (shares == shares.max()).sum() == 1 else 'and no guess leads'}"
    return f"{people}. {answer}; **{shares[best]:.0%}** of the guesses were right."


def room_picture(shares, weights, names, theme, room, title):
    """Draw the guesses of a room as a map, and the model's own beside it.

    Parameters
    ----------
    shares : ndarray, shape (n,) or (num_layers, num_heads), or None
        Of the guesses: which word, or which head. None if nobody guessed.
    weights : ndarray, shape (n,) or (num_layers, num_heads)
        The model's.
    names : list of str
        The words.
    theme : Theme
    room : float
        Pixels across.
    title : str
        The question.
    """
    told = {
        "share of guesses": ("The room", title, shares),
        "weight": ("The model", "The weight in the model", weights),
    }
    told = {name: parts for name, parts in told.items() if parts[-1] is not None}
    if weights.ndim == 2:
        size = int(min(room / len(told) - 60, 520))
        return charts.beside(
            *(
                charts.layer_head_map(each, theme, title=said, size=size, scale=charts.Scale(name=name))
                for name, (_, said, each) in told.items()
            )
        )
    rows, _, given = zip(*told.values(), strict=True)
    shown = charts.Scale(name=", and ".join(told))
    return charts.panels(
        theme, room, charts.panel(np.stack(given), rows, names, title=title, axes=("", ""), scale=shown)
    )


def room_code(room, question, width):
    """Return the lines that compute what the model does, and those that draw it beside the guesses.

    Parameters
    ----------
    room : Room or None
        None before one is open.
    question : Question
    width : float
        Pixels across.
    """
    question = question if room is None else room.question
    shares = room.shares() if room is not None and room.guesses else None
    place = {"query": question.query}
    start = "from attn.pretrained import bert\nencoded = bert.encode(bert.load(), text)\n"
    if question.kind == "key":
        place |= {"layer": question.layer, "head": question.head}
        lines = start + "weights = encoded.blocks[layer - 1].attention.weights[head - 1, query]\n"
        numpy = functools.partial(
            minilm_head_code, question.text, question.layer - 1, question.head - 1, words=None, row=question.query
        )
    else:
        place |= {"key": question.key}
        lines = (
            f"import numpy as np\n{start}"
            "weights = np.array([block.attention.weights[:, query, key] for block in encoded.blocks])\n"
        )
        numpy = None
    return page_codes(
        numpy,
        {"text": question.text} | place,
        (lines,),
        ("print(weights.round(4))",),
        {
            "shares": None if shares is None else shares.round(4),
            "names": list(question.names),
            "theme": LIGHT,
            "room": round(width),
            "title": _plainly(question),
        },
        (("picture", room_picture), 'charts.save(picture, "room.svg")'),
    )  # fmt: skip


def room_guess_control(code):
    """Draw what a phone shows: the question, the answers to touch, and the right one once it is shown.

    Looks again every few seconds.
    """
    st.session_state[_GUESSED] = code
    _guessing(code)


@st.fragment(run_every=_SECONDS)
def _guessing(code):
    """Draw the question of a room as it stands now."""
    rooms, who = open_rooms(), this_visit().browser
    room = rooms.find(code)
    if room is None:
        st.rerun()  # the page has a box for another code
    question = room.question
    st.header(question_in_words(question), anchor=False)
    st.markdown(_sentence(question))
    if any(not name[:1].isalnum() for name in question.names):
        st.caption("For the model each sign, such as a full stop or an apostrophe, is a word of its own.")
    st.html(_TOUCHED)
    given = room.guesses.get(who)
    if room.answer is not None:
        shares = room.shares() if room.guesses else None
        answer = room_answer(question, room.answer, true_weights(question), shares)
        if given == room.answer:
            st.markdown("You were right.")
            st.success(answer)
            return
        if given is not None:
            st.markdown(f"You said {place_in_words(question, given)}. That is not what the model does.")
        st.info(answer)
        return
    place = _touched(question, given)
    if place is not None and place != given and not rooms.guess(code, who, place, question):
        st.warning(f"The room has {MOST_GUESSES:,} guesses, as many as it holds.")
    elif place is not None:
        st.caption(f"Your guess: {place_in_words(question, place)}. You can change it until the answer is shown.")


def room_missing(code):
    """Return why no room is open under a code that was typed or linked to."""
    if st.session_state.get(_GUESSED) == code:
        return f"The room {as_text(code)} is closed. What was guessed in it is gone."
    return f"No room {as_text(code)} is open on this server. Look at its code again, or open a room here."


def room_answer(question, answer, weights, shares):
    """Say on a phone where the head looks, how strongly, and how many of the room thought so.

    Parameters
    ----------
    question : Question
    answer : tuple of int
    weights, shares : ndarray
        The model's, and of the guesses; those are None if nobody guessed.
    """
    said = f"In the model it is {place_in_words(question, answer)}, with a weight of **{weights[answer]:.2f}**"
    right = "" if shares is None else f"; **{shares[answer]:.0%}** of the guesses in the room were right"
    return f"{said}{right}."


def _sentence(question):
    """Return the words of a question as a sentence, those in question marked."""
    marked = {question.query, question.key}
    names = [as_text(name) for name in question.names]
    return " ".join(f"**:blue-background[{name}]**" if at in marked else name for at, name in enumerate(names))


def _touched(question, given):
    """Draw the answers of a question, and return the place that is chosen, or None."""
    key = f"room.guess.{hash(question)}"
    if question.kind == "key":
        if f"{key}.word" not in st.session_state and given is not None:
            st.session_state[f"{key}.word"] = given[0]
        names = _told_apart(question.names)
        chosen = st.pills("Your guess", range(len(names)), format_func=names.__getitem__, key=f"{key}.word")
        return None if chosen is None else (chosen,)
    parts = []
    for side, (name, count) in enumerate(zip(("Layer", "Head"), question.shape, strict=True)):
        if f"{key}.{side}" not in st.session_state and given is not None:
            st.session_state[f"{key}.{side}"] = given[side]
        parts.append(st.pills(name, range(count), format_func=lambda at: str(at + 1), key=f"{key}.{side}"))
    return None if None in parts else tuple(parts)


def _told_apart(names):
    """Return names with a number behind those that stood there before: a touch is known by its words alone."""
    before = (list(names[:at]).count(name) for at, name in enumerate(names))
    return [name if not count else f"{name} ({count + 1})" for name, count in zip(names, before, strict=True)]


def room_owned(state):
    """Return the room that this visitor asks, or None; its code then stands in the link."""
    room = open_rooms().of(this_visit().browser)
    if room is not None and state.get("room").strip().upper() in ("", room.code):
        state.set(room=room.code)
        return room
    return None


def room_question_controls(state, names):
    """Draw what can be asked, among the controls."""
    st.segmented_control(
        "What is guessed", KINDS, format_func=KINDS.get, key=state.key("kind"), required=True,
        help="A word that another looks at, in one head; or the head in which one word looks at another.",
    )  # fmt: skip
    page_token_control(state, "Who looks", names)
    if state.get("kind") == "head":
        page_token_control(state, "At what", names, 1)
    else:
        st.slider("Layer", 1, LAYERS, key=state.key("layer"), help="Each layer reads what the one before made.")
        st.slider("Head", 1, HEADS, key=state.key("head"), help="Each head of a layer looks in its own way.")


def room_for_the_speaker(state, room, question):
    """Draw the room of whoever asks: its code, the guesses as they come, and the answer when it is time."""
    if room.question != question:
        _ask_instead(room, question)
        question = room.question
    address, sentence = audience_address(
        st.context.url or "", {"room": room.code}, network_address(), st.get_option("server.address")
    )
    if room.answer is None:  # after that no guess is taken, and the answer needs the room
        present_join(room.code, address)
    picture, words = st.columns([1, 4], vertical_alignment="center") if page_width() > 600 else (st, st)
    picture.html(f'<img alt="QR code of the room" src="{code_picture(address)}" style="width: 8rem">')
    words.markdown(f"**Room {room.code}** at {as_text(address)}. {as_text(sentence)}")
    with words.container(horizontal=True):
        _answer_button(room, question)
        st.button(
            "Close the room", on_click=_close, args=(state, room), icon=":material/close:",
            help="Everybody's guesses are then gone.",
        )  # fmt: skip
    st.header(question_in_words(question), anchor=False)
    _guesses(room.code, question)


def room_choices(question):
    """Draw what can be guessed, without a number: the words, or a map of all heads below the sentence.

    Parameters
    ----------
    question : Question
    """
    _read(question)
    page_figure(_choices(question), "room.choices", line=_asked(question))


def _read(question):
    """Draw the sentence of a question, where a map of heads stands in place of its words."""
    if question.kind == "head":
        st.markdown(_sentence(question))


def _asked(question):
    """Return the question in a line, with the sentence that it is about where the figure does not hold it."""
    about = f" {_sentence(question)}" if question.kind == "head" else ""
    return f"**{question_in_words(question)}**{about}"


def _choices(question):
    """Draw the words, the one that looks in a frame; or every head, each covered."""
    if question.kind == "key":
        names, pick = list(question.names), charts.Pick(selected=question.query)
        return charts.beside(charts.token_strip(names, page_theme(), width=page_strip_width(names), pick=pick))
    unknown, size = np.full(question.shape, np.nan), int(min(page_width() - 60, 520))
    return charts.beside(charts.head_switches(unknown, page_theme(), size=size, missing="not shown yet"))


def _ask_instead(room, question):
    """Ask what the controls now say: at once as long as nobody has guessed, otherwise by a button."""
    if not room.guesses:
        room.ask(question)
        return
    count = len(room.guesses)
    st.button(
        f"Ask this instead: {question_in_words(question)}", on_click=room.ask, args=(question,),
        help=f"The {count} guess{'' if count == 1 else 'es'} so far are then gone.",
    )  # fmt: skip


def _answer_button(room, question):
    """Draw the button that shows everybody what the model does, and hides it again."""

    def show():
        weights = true_weights(question)
        room.reveal(tuple(int(at) for at in np.unravel_index(weights.argmax(), weights.shape)))

    if room.answer is None:
        st.button(
            "Show the answer", on_click=show, type="primary", icon=":material/visibility:", key=f"{ANSWER_KEY}.show",
            help="With what the room thought. Here and on every phone. After that no guess is taken.",
        )  # fmt: skip
    else:
        st.button(
            "Hide the answer", on_click=room.reveal, args=(None,), icon=":material/visibility_off:",
            key=f"{ANSWER_KEY}.hide",
            help="Guesses are taken again.",
        )  # fmt: skip


def _close(state, room):
    """Close a room, and take its code out of the link."""
    open_rooms().close(room)
    state.set(room="")


@st.fragment(run_every=_SECONDS)
def _guesses(code, question):
    """Say how many have guessed, and draw the guesses once the answer is shown: nobody shall follow the others."""
    rooms = open_rooms()
    room = rooms.find(code)
    if room is None:
        st.info("The room is closed, since nothing happened in it for hours.")
        return
    rooms.touch(room)  # as long as somebody has it on the screen
    count, weights = len(room.guesses), None if room.answer is None else true_weights(question)
    reading = room_reading(question, room.shares(), weights, count)
    _read(question)
    st.markdown(reading)
    line = f"{_asked(question)} · {reading}" if question.kind == "head" else f"{_asked(question)} {reading}"
    if weights is None:
        page_figure(_choices(question), "room.choices", line=line)
        return
    shares = room.shares() if count else None
    page_figure(
        room_picture(shares, weights, list(question.names), page_theme(), page_width(), _plainly(question)),
        "room.guesses",
        tables={"guesses": lambda: _csv(question, shares, weights)},
        codes=lambda: room_code(room, question, page_width()),
        line=line,
    )


def _csv(question, shares, weights):
    """Return the guesses, if there are any, and the model's numbers as a table."""
    told = {name: each for name, each in (("room", shares), ("model", weights)) if each is not None}
    if question.kind == "key":
        return charts.csv(np.stack(list(told.values())), [f"the {who}" for who in told], question.names)
    layers, heads = ([str(at + 1) for at in range(count)] for count in question.shape)
    return charts.csv(
        np.concatenate(list(told.values())), [f"{who}, layer {at}" for who in told for at in layers], heads
    )
