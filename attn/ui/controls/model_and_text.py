"""Which model reads which text: the choice that the pages on pretrained models share."""

from collections import Counter
from dataclasses import dataclass

import streamlit as st

from attn import charts, pretrained
from attn.data import picture_files, pictures, sounds
from attn.pretrained.loading import smollm2
from attn.pretrained.loading.catalogue import weights_note
from attn.pretrained.recording.in_numpy import InNumpy
from attn.pretrained.verdict import not_recorded
from attn.ui import models
from attn.ui.controls.colour_scale import COLOURS, colour_scale_control, colour_scale_of
from attn.ui.controls.media_notes import part_name
from attn.ui.controls.sentence import DEFAULT_TEXT, UNTRAINED, sentence_control
from attn.ui.controls.upload import UploadKind, upload_control
from attn.ui.controls.word_level import say_word_level, word_level_control
from attn.ui.link import from_link, link_choice, link_flag, link_string, link_whole, shortened
from attn.ui.media import AudioInput, ImageInput, PictureAndText
from attn.ui.numpy_models import ONE_THREAD_CODE, numpy_kind
from attn.ui.page import page_ask, page_figure, page_theme
from attn.ui.settings import visitor_settings
from attn.ui.state import as_text
from attn.ui.width import page_plot_height, page_width
from attn.ui.word_level import LEVELS, strongest_looks, word_level_of
from attn.words import share

_MOST_OFFERED = 5  # models that can be opened instead of one that cannot
_DECODERS = "Language of the decoder's text"


MOST_TEXTS = 8  # read in one pass, which takes as much memory as one text that is as long as all of them
LONGEST_LINE = 500  # characters of each


TASKS = {"own": "As its tokenizer sets it", "transcribe": "Write it down", "translate": "Write it down in English"}
_LAYER_HELP = (
    "In the order in which the model computes them: the first reads the embeddings of the tokens, later ones read what "
    "layers before them made."
)
_HEAD_HELP = "Each head of a layer looks in its own way."


@dataclass(frozen=True)
class SourceChoice:
    """The model, the text, and the head to look at."""

    model: str = link_string(pretrained.DEFAULT)
    random: bool = link_flag(False)
    text: str = link_string(DEFAULT_TEXT)
    several: bool = link_flag(False)
    shown: int = link_whole(1, 1, MOST_TEXTS)
    pair: str = link_string("")
    source_language: str = link_string("")
    target_language: str = link_string("")
    speech_task: str = link_choice("own", TASKS)
    adapter: bool = link_flag(True)
    without_picture: bool = link_flag(False)
    layer: int = link_whole(4, 1, 999)
    head: int = link_whole(2, 1, 999)
    colour: str = link_choice("auto", COLOURS)
    level: str = link_choice("pieces", LEVELS)


def model_and_text_controls(state, more):
    """Draw the choice of a model and of what it reads.

    Parameters
    ----------
    state : PageState
    more : DeltaGenerator
        The place of what is seldom chosen: several texts, and a second one.
    """
    if state.just_read:
        st.session_state.pop(state.key("names"), None)  # the link says itself which place is meant
    model_control(state)
    random_model_control(state)
    takes = _taken(state)
    if takes != "text":
        st.session_state[state.key("given")] = upload_control(state, GIVEN[takes.removesuffix(" and text")])
    if takes.endswith("text"):
        sentence_control(state, label="Text", help=TEXT_HELP, hints=not state.get("random"))
    if takes == "text":
        with more:
            several_texts_control(state)
    if takes.startswith("picture") or (takes == "text" and state.get("several")):
        return
    place = more if takes == "text" else st
    place.text_input(
        "Second text" if takes == "text" else "Text of the decoder",
        key=state.key("pair"),
        max_chars=visitor_settings().text_length,
        placeholder="None",
        help="The model reads it together with the first. In a model of an encoder and a decoder, it is the text that "
        "the decoder reads.",
    )


IN_ONE_PASS = (
    "The model reads all lines in one pass. Shorter ones are filled up with padding, which is hidden: each text is "
    "read as if it were alone."
)


def several_texts_control(state, help=IN_ONE_PASS):
    """Draw whether each line is a text of its own, and which of them is shown; `help` says how they are read."""
    st.toggle("Several texts, one per line", key=state.key("several"), help=help)
    lines = _lines(state)
    if not state.get("several") or len(lines) < 2:
        return
    if len(lines) > MOST_TEXTS:
        st.warning(f"At most {MOST_TEXTS} texts can be given: the first {MOST_TEXTS} of {len(lines):,} are used.")
    count = min(len(lines), MOST_TEXTS)
    state.clamp("shown", 1, count)
    st.selectbox(
        "Text in view",
        range(1, count + 1),
        format_func=lambda number: f"{number}: {lines[number - 1]}",
        key=state.key("shown"),
        help="The page shows this one of the texts.",
    )


def _lines(state):
    """Return the lines of the text that are not empty."""
    return _lines_of(state.get("text"))


def _lines_of(text):
    """Return the lines of a text that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def text_in_view(setup):
    """Return the text that a page reads which reads one at a time: of several the one in view.

    Parameters
    ----------
    setup : SourceChoice

    Returns
    -------
    str
    """
    lines = _lines_of(setup.text)[:MOST_TEXTS]
    return lines[min(setup.shown, len(lines)) - 1] if setup.several and len(lines) > 1 else setup.text


def _several_texts(state, text):
    """Return the lines of a text as texts of their own, where that is chosen and there are several."""
    lines = _lines(state)
    if not state.get("several") or len(lines) < 2:
        return text
    lines = lines[:MOST_TEXTS]
    long = next((at for at, line in enumerate(lines, start=1) if len(line) > LONGEST_LINE), None)
    if long:
        page_ask(
            state,
            f"Each of several texts may have at most {LONGEST_LINE} characters; text {long} has "
            f"{len(lines[long - 1]):,}.",
        )
    return models.SeveralTexts(tuple(lines), min(state.get("shown"), len(lines)) - 1)


def _taken(state):
    """Return what the model in view takes: "text", "picture", "picture and text" or "sound"."""
    return st.session_state.get(state.key("takes"), "text")


TEXT_HELP = "The model's own tokenizer cuts it into tokens: words, signs, and pieces of rarer words."
GIVEN = {
    "picture": UploadKind(
        "picture",
        ImageInput,
        lambda own: own.pixels(models.SIDE),
        pictures.PICTURES,
        "Drawn by a rule. The model's own image processor turns it into numbers.",
        picture_files.ENDINGS,
        "Its middle square is used.",
    ),
    "sound": UploadKind(
        "sound",
        AudioInput,
        lambda own: own.samples(8000),
        sounds.SOUNDS,
        "Made by a rule, three seconds long. The model's own feature extractor turns it into numbers.",
        sounds.ENDINGS,
        f"Its first {sounds.LONGEST:g} seconds are used.",
    ),
}


def model_and_text_of(state):
    """Return the model and what it reads, sees or hears, as the cached functions of `attn.ui.models` take them."""
    takes, given = _taken(state), st.session_state.get(state.key("given"))
    if takes.endswith("text") and not state.get("text").strip():
        page_ask(state, "Type a text among the controls, or pick an example there.")
    if takes == "text":
        return tuple(state.get(name) for name in ("model", "random", "text", "pair"))
    if takes == "picture and text":
        given = PictureAndText(given, state.get("text"))
    return state.get("model"), state.get("random"), given, state.get("pair") if takes == "sound" else ""


def record_model_and_text(state, source, *, place, in_numpy=False):
    """Load the model and record it reading; where it cannot be recorded, show its own weights and stop.

    Parameters
    ----------
    state : PageState
    source : tuple
        As `model_and_text_of` returns it.
    place : DeltaGenerator
        Of the controls that only some models have.
    in_numpy : bool, default False
        Whether the pass is computed by `attn.models`, without torch, where that can be.

    Returns
    -------
    tuple
        The model and what it reads, with the languages that were chosen for it.
    Loaded
    Recording

    Raises
    ------
    ModelError
        As `attn.pretrained.load` and `attn.pretrained.record`.
    """
    models.permit_model(source[0])
    if isinstance(source[2], str):
        text = _several_texts(state, source[2])
        source = (*source[:2], text, source[3] if isinstance(text, str) and not state.get("several") else "")
    given = source
    source = models.source_in_numpy(source) if in_numpy else source
    with place:
        chosen = chosen_model_control(state, models.loaded_model(*source[:2]))
        source = (chosen if source is given else source[0], *source[1:])
        loaded = models.loaded_model(*source[:2])
        if isinstance(source[2], PictureAndText):
            source = (*source[:2], _without_picture_control(state, loaded, source[2]), source[3])
    state.lead(kind=numpy_kind(loaded.family))
    if loaded.takes != _taken(state):
        st.session_state[state.key("takes")] = loaded.takes
        st.rerun()  # with the controls for what this model takes
    if (kind := loaded.takes.removesuffix(" and text")) != "text":
        state.lead(**{kind: state.spelled()[kind]})  # a page that has none cannot be led to with this model
    if not loaded.recordable:
        if isinstance(source[2], models.SeveralTexts):  # such a family is read one text at a time
            source = (*source[:2], source[2].texts[source[2].shown], source[3])
        _own_only(state, loaded, models.model_own_weights(*source), place)
    recording = models.model_recording(*source)
    if (name := st.session_state.pop(state.key("follow_layer"), None)) is not None:
        at = next((layer.index for layer in recording.layers if layer.name == name), None)
        state.adjust(layer=state.get("layer") if at is None else at + 1)
    with place:
        word_level_control(state, recording.tokens, recording.decoder_tokens or ())
    if isinstance(source[2], str) and loaded.takes == "picture and text":
        st.caption(
            "Read without the picture: the language model reads the same text alone, in its template for questions. "
            "The places of the picture are not hidden but absent, and the words behind them stand earlier."
        )
    if isinstance(source[2], models.SeveralTexts) and (note := models.model_batch(*source[:3]).note):
        st.caption(note)
    return source, loaded, recording


def _without_picture_control(state, loaded, given):
    """Draw whether the text is read without its picture, where a model can; return what it reads.

    Returns
    -------
    PictureAndText or str
    """
    alone = pretrained.prompt_without_picture(loaded, given.text)
    if alone is None:  # two towers, of which neither looks into the other
        state.adjust(without_picture=False)
        return given
    if not alone.strip():
        return given

    def follow():  # the layer in view, whose number is another where no vision tower is passed
        st.session_state[state.key("follow_layer")] = st.session_state.get(state.key("layer_name"))

    st.toggle(
        "Without the picture",
        key=state.key("without_picture"),
        on_change=follow,
        help="The language model reads the same text without the picture. The figures then show what the words look "
        "at when there is nothing to see.",
    )
    return alone if state.get("without_picture") else given


def chosen_model_control(state, loaded):
    """Draw the choices that only some models have: the adapter, languages, what to do with speech; return what to load.

    Returns
    -------
    str or ChosenModel
    """
    if loaded.base is None:
        state.adjust(adapter=True)
    else:
        st.toggle(
            "With its adapter",
            key=state.key("adapter"),
            help="An adapter (LoRA) adds a product of two thin matrices to some of the model's weights. Without it "
            "the model is as it was before this fine-tuning.",
        )
    hears = loaded.speech_tasks
    sides = {
        "source_language": ("Language of the text", loaded.source_languages),
        "target_language": ("Language of the speech" if hears else _DECODERS, loaded.target_languages),
    }
    for name, (label, codes) in sides.items():
        if state.get(name) not in codes:
            state.adjust(**{name: ""})
        if codes:
            st.selectbox(
                label,
                ["", *codes],
                key=state.key(name),
                format_func=lambda code: code or TASKS["own"],
                help="A code of the model's own tokenizer. It tells the model which language it reads or writes.",
            )
    if not state.get("target_language") or state.get("speech_task") not in hears:
        state.adjust(speech_task="own")
    if hears and state.get("target_language"):
        st.selectbox(
            "What it does with the speech",
            ["own", *hears],
            key=state.key("speech_task"),
            format_func=TASKS.get,
            help="A token after the one for the language tells the decoder. Choose a language first.",
        )
    chosen = [state.get(name) for name in sides]
    name, adapter = state.get("model"), state.get("adapter")
    if adapter and not any(chosen):
        return name
    return models.ChosenModel(name, *chosen, adapter, task if (task := state.get("speech_task")) in hears else "")


def suggested_models():
    """Return the names of the models that are suggested to the visitor whose page is run, who may open them."""
    return [pretrained.DEFAULT] if visitor_settings().models == "default" else list(pretrained.model_suggestions())


def model_control(state, on_change=None):
    """Draw the choice of a model: one that is suggested, or any other where the server allows it."""
    settings, name = visitor_settings(), state.get("model")
    if settings.models == "default":
        if state.just_read and name != pretrained.DEFAULT:
            state.say_of_link(f"The link names {shortened(name)}, but this server opens {pretrained.DEFAULT} alone.")
            usual, _ = from_link(state.cls, {"text": state.get("text")})  # a head of the other model is no head of this
            names = ("layer", "head", "cell")
            state.adjust(**{name: getattr(usual, name) for name in names if hasattr(usual, name)})
        state.adjust(model=pretrained.DEFAULT)
        st.caption(f"Model: {pretrained.DEFAULT}")
        return
    options = list(dict.fromkeys([*suggested_models(), name]))
    st.selectbox(
        "Model",
        options,
        key=state.key("model"),
        on_change=on_change,
        format_func=_model_label,
        accept_new_options=True,
        help="Pick one, or type the id of any model on the Hugging Face hub (owner/name, owner/name@revision) or its "
        "link"
        + (", or the path of a local folder. " if settings.models == "any" else ". ")
        + f"Only safetensors are read, up to {settings.size_limit / 1e9:.3g} GB.",
    )
    about_model(name)


def about_model(name):
    """Say below the choice of a model which one it is and, of one that a package brings, what became of its weights."""
    st.caption(pretrained.model_suggestions().get(name) or as_text(name))
    if note := weights_note(name):
        st.caption(note)


def model_refused(state, error):
    """Say why a model cannot be opened or read, with a button for each that can be opened instead, and stop.

    A model that is on this machine is always among them, so that a slip in a name is no dead end.

    Parameters
    ----------
    state : PageState
    error : ModelError
    """
    here = (pretrained.DEFAULT, smollm2.NAME)  # where the error names none, what is on this machine for sure
    offers = error.offers or [name for name in suggested_models() if name in here and name != state.get("model")]
    offered = [(f"Open {_model_label(name)}", {"model": name}) for name in offers[:_MOST_OFFERED]]
    page_ask(state, str(error), st.error, offered)


def _model_label(name):
    """Return the last part of a model's name, path or link."""
    return name.strip("\"'`“” ").rstrip("/").split("/")[-1] or name


def random_model_control(state):
    """Draw whether the model is as it was before any training."""
    st.toggle(
        "Random weights",
        key=state.key("random"),
        help="The same model before any training: all its weights are drawn at random. What differs, training made.",
    )


def say_if_model_untrained(loaded):
    """Say, before anything else on a page, that the weights of a model are random, if they are."""
    if loaded.random_weights:
        st.markdown(
            f"{UNTRAINED} All weights of this model are drawn by chance, so what its heads look at has no meaning. "
            "Switch “Random weights” off among the controls to see what training made of them."
        )


def model_head_control(state, num_heads):
    """Draw the choice of a layer and a head, from the number of heads in each layer."""
    layer = _numbered(state, "layer", len(num_heads), _LAYER_HELP)
    _numbered(state, "head", num_heads[layer], _HEAD_HELP)


def model_layer_and_head_control(state, layers):
    """Draw the choice of a layer and a head, and return the layer."""
    layer = layers[_numbered(state, "layer", len(layers), _LAYER_HELP)]
    if len({one.part for one in layers}) > 1:
        st.caption(f"Layer {layer.block + 1} of the {part_name(layer.part)}.")
    elif len({one.kind for one in layers}) > 1:
        words = {"encoder": "in the encoder", "decoder": "in the decoder", "cross": "from the decoder to the encoder"}
        st.caption(f"Layer {layer.block + 1} {words[layer.kind]}.")
    _numbered(state, "head", layer.num_heads, _HEAD_HELP)
    st.session_state[state.key("layer_name")] = layer.name
    framed = st.session_state.get(state.key("framed"))
    chosen = state.get("cell") not in (state.cls().cell, framed and framed[1])
    _keep_chosen_words(state, layer)
    if not chosen and _taken(state) == "text":
        setup = state.choices()
        read = setup.model, setup.random, setup.text, setup.pair, setup.several, setup.shown
        cell = _cell_worth_a_frame(setup, state.cls(), layer, anew=not framed or framed[0] != read)
        st.session_state[state.key("framed")] = read, cell
        state.adjust(cell=cell)
        state.lead(cell="")  # another page frames the cell that is worth it there
    return layer


def _cell_worth_a_frame(setup, usual, layer, anew):
    """Return the cell of a text of which none was chosen: that of the key at which the query in view looks most.

    Of a text that is read anew, the query is the word worth looking at, and stays so while heads are compared.
    """
    if (setup.model, setup.text) == (usual.model, usual.text):
        return usual.cell  # whatever head: one place to hold them against each other
    level = word_level_of(setup.level, layer.query_tokens, layer.key_tokens)
    strongest = strongest_look_of(setup, layer, level) if anew else None
    row = level.cell(setup.cell)[0] if strongest is None else strongest.row
    pieces = list(level.rows[row].pieces) if setup.level == "words" else [row]
    alone = word_level_of(setup.level, [layer.query_tokens[at] for at in pieces], layer.key_tokens)
    weights = alone.weights(pretrained.from_scratch(layer, setup.head - 1, rows=pieces).weights[0, 0])[0]
    return pieces[0], alone.places[1][int(weights.argmax())]


def strongest_look_of(setup, layer, level):
    """Return the strongest look of the head in view at another word.

    Parameters
    ----------
    setup : SourceChoice
    layer : Layer
    level : WordLevel

    Returns
    -------
    Look or None
        None where no word looks at another, and of a long text, whose whole head would be computed for it.
    """
    if models.model_last_queries(layer):
        return None
    return next(iter(strongest_looks(level, level.weights(layer.weights(setup.head - 1)[0, 0]))), None)


def strongest_look_in_words(setup, layer, level, row, told):
    """Say so where the row in view is the one with the strongest look of its head at another word; else nothing.

    `told` is the label of the column of which the page has just said how much the row looks at it.
    """
    strongest = strongest_look_of(setup, layer, level)
    if strongest is None or strongest.row != row:
        return ""
    key = level.labels[1][strongest.column]
    what = "That" if key == told else f"Its look at **{as_text(key)}** ({share(strongest.weight)})"
    return f" {what} is the strongest look of this head at another word."


def _keep_chosen_words(state, layer):
    """Let the chosen query and key stay the words they are where other tokens are read, as by another model."""
    key = state.key("names")
    before, now = st.session_state.get(key), tuple(map(_names_of, (layer.query_tokens, layer.key_tokens)))
    st.session_state[key] = now
    if before not in (None, now):
        state.adjust(cell=tuple(map(_same_place, before, now, state.get("cell"))))


def _names_of(tokens):
    """Return what tells tokens apart whatever cut them: the word, which time it comes, and which piece of it."""
    names, times, last = [], Counter(), None
    for token in tokens:
        if token.word is not None and token.word == last:
            *word, piece = names[-1]
            names.append((*word, piece + 1))
        else:
            word, last = (token.word_text or token.text).casefold(), token.word
            alone = not token.text.strip("␣")  # some tokenizers have the space before a word as a piece of its own
            names.append((word, times[word], -1 if alone else 0))
            times[word] += 1
    return names


def _same_place(before, now, place):
    """Return where the word now stands that stood at a place; the place itself where the word is no more."""
    if place >= len(before):
        return place
    *word, piece = before[place]
    found = next((at for name in ((*word, piece), (*word, 0)) for at, each in enumerate(now) if each == name), None)
    return place if found is None else found


def model_and_text_lines(source):
    """Return the lines that load the model and bind ``recording``, with one thread of computation as the page has."""
    name, random_weights, text, pair = source
    if models.is_in_numpy(name):
        module = "language_model" if models.loaded_model(name).writes else "bert"
        return (
            f"from attn.pretrained import {module}\n"
            "from attn.pretrained.recording.in_numpy import InNumpy, record_in_numpy\n"
            f"{ONE_THREAD_CODE}\nmodel = InNumpy({module}.load({name.name!r}))\n"
            f"recording = record_in_numpy(model, {text!r})"
        )
    model = f"{ONE_THREAD_CODE}\nmodel = {models.model_loading_code(name, random_weights)}"
    if isinstance(text, ImageInput):
        return f"import attn\n\n{model}\nrecording = pretrained.record(model, images={text.code(models.SIDE)})"
    if isinstance(text, PictureAndText):
        picture = text.picture.code(models.SIDE)
        return f"import attn\n\n{model}\nrecording = pretrained.record(model, {text.text!r}, images={picture})"
    if isinstance(text, AudioInput):
        pair = f", {pair!r}" if pair else ""
        return (
            f"from attn import sounds\n\n{model}\n"
            "rate = model.feature_extractor.sampling_rate\n"
            f"recording = pretrained.record(model, inputs=pretrained.audio_inputs(model, {text.code('rate')}{pair}))"
        )
    if isinstance(text, models.SeveralTexts):
        return f"{model}\nrecording = pretrained.record(model, {list(text.texts)!r}).batch[{text.shown}]"
    pair = f", pair={pair!r}" if pair else ""
    return f"{model}\nrecording = pretrained.record(model, {text!r}{pair})"


def model_and_text_projections(loaded, layer):
    """Return the checkpoint's own matrices of a layer, or None if the family does not name them as BERT does."""
    if isinstance(loaded, InNumpy):
        return loaded.matrices(layer)
    try:
        return pretrained.parameters(loaded, layer)
    except pretrained.ModelError:
        return None


def _numbered(state, name, count, words):
    """Draw a slider from 1 to `count`, and return the choice counted from 0."""
    state.clamp(name, 1, count)
    if count > 1:
        st.slider(name.capitalize(), 1, count, key=state.key(name), help=words)
    return state.get(name) - 1


def _own_only(state, loaded, own, place):
    """Show the weights of a model that cannot be recorded, and stop the page there."""
    with place:
        word_level_control(state, *(side for sides in own.names for side in sides))
        layer = _numbered(state, "layer", len(own.weights), _LAYER_HELP)
        weights = own.weights[layer][0]
        head = _numbered(state, "head", len(weights), _HEAD_HELP)
        colour_scale_control(state)
    setup = state.commit()
    level = word_level_of(setup.level, *own.names[layer])
    rows, columns = level.labels
    say_if_model_untrained(loaded)
    st.info(
        f"Models of the {loaded.family} family compute their attention where it cannot be recorded, so their queries "
        "and keys are not known here. These are the weights that the model itself reports; there is nothing to compare "
        "them with."
    )
    models.say_model_verdict(pretrained.weights_finding(loaded), pretrained.input_finding(own), not_recorded(loaded))
    models.say_model_note(loaded)
    if any(token.id is None for token in own.names[layer][1]):
        st.caption("The keys have numbers: here they are places in a window or in a shortened text, not its tokens.")
    say_word_level(level)
    title = f"The model's own: layer {setup.layer}, head {setup.head}"
    shown = level.weights(weights[head])
    scale = colour_scale_of(setup.colour, shown)
    picture = charts.panel(shown, rows, columns, title=title, **scale)
    page_figure(
        charts.panels(page_theme(), page_width(), picture, tallest=page_plot_height(600)),
        "pretrained.own",
        tables={"own": lambda: charts.csv(shown, rows, columns)},
    )
    st.stop()
