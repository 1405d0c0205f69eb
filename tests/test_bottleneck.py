"""Bottleneck: what the page says and draws is what the models do."""

import json
import re

import pytest
from driving import check, matrices, opened, said, specs, tables
from numpy.testing import assert_allclose

from attn import charts, trained
from attn.architectures import recurrent, seq2seq
from attn.data import published
from attn.ui.pages.bottleneck import setup, two_models
from attn.ui.pages.bottleneck.setup import MODELS, TABS, Setup
from attn.ui.pages.bottleneck.two_models import FORMULAS, compute_two_models, one_of_two_models

WORD = {"task": "reverse", "typed": "attention"}


def page(**choices):
    """Open the page with these choices."""
    return check(opened("bottleneck", {**WORD, **choices}))


def sentence(app):
    """Return what the page says above the figure."""
    return next(text for text in said(app) if "The right answer is" in text)


# The figure


@pytest.mark.parametrize("task", trained.TASKS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_on_every_task(task, model):
    app = check(opened("bottleneck", task=task, left=model, right="bahdanau", trained_on="short", tab="states"))
    assert len(tables(app, "row", "column", "shade")) >= 2
    assert sentence(app).count(" wrote ") == 2


def test_the_map_is_the_alignment_of_the_model():
    task, model = trained.TASKS["reverse"], trained.load("reverse", "bahdanau")
    written = seq2seq.write(model, task.source_ids("attention"))
    (drawn,) = (maps[0] for title, maps in matrices(page()).items() if title.startswith("Bahdanau"))
    assert_allclose(drawn, written.weights, atol=1e-6)


def test_without_attention_the_map_is_influence():
    task, model = trained.TASKS["reverse"], trained.load("reverse", "fixed")
    ids = task.source_ids("attention")
    expected = seq2seq.influence(model, ids, seq2seq.write(model, ids).symbols)
    for show in setup.SHOWN:
        (drawn,) = (maps[0] for title, maps in matrices(page(show=show)).items() if title.startswith("Fixed"))
        assert_allclose(drawn, expected, atol=1e-6)


def test_rows_are_written_one_after_another():
    whole = page()
    app = page(unwritten="9")
    assert app.slider(key="bottleneck.at").value == 1
    for step in range(2, 6):
        app.button(key="bottleneck.next").click().run()
        assert check(app).slider(key="bottleneck.at").value == step
        assert app.query_params["unwritten"] == str(10 - step)
        for (title, (drawn, *_)), (full, *_) in zip(matrices(app).items(), matrices(whole).values(), strict=True):
            if "Bahdanau" in title or "Fixed" in title:
                assert_allclose(drawn[:step], full[:step])
                assert not drawn[step:].any()
        assert sentence(app).count(f"Row {step}:") == 1
    app.button(key="bottleneck.back").click().run()
    assert app.slider(key="bottleneck.at").value == 4
    app.slider(key="bottleneck.at").set_value(10).run()
    assert "unwritten" not in check(app).query_params
    assert app.button(key="bottleneck.next").disabled


def test_a_wrong_symbol_is_marked():
    side = one_of_two_models("reverse", "local-m", "long", tuple("recurrentnetworks"), "alignment")
    assert not all(side.right)
    target = "skrowtentnerrucer"
    all_written = side.symbols, [*target, "end"], len(side.symbols), len(side.symbols)
    labels = two_models.one_model_row_labels(*all_written, brief=False)
    assert [label.endswith("✓") for label in labels] == list(side.right)
    wrong = side.right.index(False)
    assert labels[wrong] == f"{wrong + 1} {side.symbols[wrong]} ≠ “{target[wrong]}”"
    assert two_models.one_model_row_labels(*all_written, brief=True)[wrong] == f"{wrong + 1} {side.symbols[wrong]} ≠"
    app = page(left="local-m", typed="recurrentnetworks")
    assert f"*Luong, local-m* wrote **{''.join(side.symbols[:-1])}**: {sum(side.right)} of 18 right" in sentence(app)
    assert "*Bahdanau* wrote the right answer" in sentence(app)


def test_the_switch_makes_one_model_the_other():
    """Context fixed: the same weights, no alignment, every row from the same vector."""
    result = compute_two_models(Setup(task="reverse", typed="attention", left="bahdanau-fixed"))
    whole, fixed = result.right, result.left
    assert fixed.model.decoder is whole.model.decoder
    assert not fixed.attends
    assert (fixed.written.context == fixed.written.read.summary).all()
    assert sum(fixed.right) < sum(whole.right) == 10
    assert FORMULAS["fixed"] == two_models.one_model_formula(fixed.model)


def test_an_empty_box_is_the_first_example():
    for task, one in trained.TASKS.items():
        app = check(opened("bottleneck", task=task))
        answer = one.glue.join(one.read(one.examples[0])[1])
        assert answer.replace("-", r"\-") in sentence(app)


def test_another_task_forgets_the_input():
    app = page()
    app.selectbox(key="bottleneck.task").set_value("dates").run()
    assert check(app).query_params == {"task": "dates"}
    assert not app.error


def test_words_of_the_vocabulary_are_added_to_the_input():
    app = check(opened("bottleneck", task="pair", typed="the"))
    assert "Type an article" in app.error[0].value  # it is not yet a sentence
    for kind, word in (("Adjectives", "blue"), ("Nouns", "moon")):
        app.pills(key=f"bottleneck.vocabulary.{kind}").set_value(word).run()
        assert app.pills(key=f"bottleneck.vocabulary.{kind}").value is None
    assert check(app).text_area(key="bottleneck.typed").value == "the blue moon"
    assert "The right answer is **la luna azul**" in sentence(app)
    assert not app.error
    words = [word for kind in trained.TASKS["pair"].vocabulary.values() for word in kind]
    assert sorted(words) == sorted(set(trained.TASKS["pair"].source_symbols) - {"<end>"})
    assert not [each for each in page().pills if "vocabulary" in each.key]  # letters need no list


def test_the_page_opens_where_the_fixed_vector_forgets():
    told = sentence(check(opened("bottleneck")))
    assert "*Fixed vector* wrote **el perro viejo detrás del gato ve un árbol**: 8 of 10 right" in told
    assert "The right answer is **el perro viejo detrás del árbol ve un gato**" in told
    assert "*Bahdanau* wrote the right answer" in told


def test_every_letter_of_a_formula_is_told():
    for name in two_models.MODELS:
        result = compute_two_models(Setup(task="reverse", typed="ab", left=name, right=name))
        formula, told = two_models.one_model_formula(result.left.model), two_models.two_models_memory(result)
        trained_ones = set(re.findall(r"[WUv]_[ap]", formula))
        assert trained_ones == set(re.findall(r"[WUv]_[ap]", told))
        assert ("as key and value" in told) == bool(trained_ones)
        assert ("when one symbol of the input is blurred" in told) == (not result.left.attends)


def test_the_page_says_who_came_before_attention():
    told = sentence(page())
    assert "A recurrent network hands on its last state, one vector for the whole input" in told
    assert "attention (Bahdanau et al., 2015) looks back at every state" in told


def test_what_was_not_trained_so_says_so():
    assert "It was not trained so" in sentence(page(right="bahdanau-fixed"))
    assert "It was not trained so" not in sentence(page())


def test_an_example_fills_the_box():
    app = page()
    app.pills(key="bottleneck.example").set_value("bottleneck").run()
    assert check(app).text_area(key="bottleneck.typed").value == "bottleneck"
    assert "kcenelttob" in sentence(app)


@pytest.mark.parametrize(
    ("task", "typed", "told"),
    [
        ("reverse", "two words", "Type letters from a to z"),
        ("reverse", "<script>alert(1)</script>", "Type letters from a to z"),
        ("dates", "31 June 1999", "A date must stand in the calendar"),
        ("pair", "the **bold** house", "Type words of the small vocabulary"),
        ("pair", "שלום", "Type words of the small vocabulary"),
        ("reverse", "x" * 400, "at most 24 letters"),
    ],
)
def test_bad_input_is_one_sentence_and_stays(task, typed, told):
    app = check(opened("bottleneck", task=task, typed=typed))
    (error,) = app.error
    assert told in error.value.replace("\\", "")
    assert error.value.replace("\\", "").endswith("The first example is shown instead.")
    assert app.text_area(key="bottleneck.typed").value == typed
    assert app.query_params["typed"] == typed


# The tabs


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("models", [("fixed", "bahdanau"), ("luong", "transformer"), ("transformer", "transformer")])
def test_every_tab(tab, models):
    left, right = models
    for side in setup.SIDES:
        check(opened("bottleneck", WORD, tab=tab, left=left, right=right, side=side), charts=1 + (tab != "code"))


def test_gates_of_every_kind():
    for model, part, names in [
        ("fixed", "backward", ["State", "Update gate", "Reset gate"]),
        ("luong", "encoder", ["State", "Cell", "Forget gate", "Input gate", "Output gate"]),
    ]:
        (states,) = (
            spec
            for spec in specs(page(tab="states", left=model, side="left", part=part))
            if "Output" in json.dumps(spec) or "Reset gate" in json.dumps(spec)
        )
        assert all(name in json.dumps(states) for name in names)


def test_a_part_that_a_model_has_not_falls_back():
    app = page(tab="states", left="luong", side="left", part="backward")
    assert app.session_state["bottleneck.part"] == "encoder"


def test_curves_are_what_was_measured_and_what_was_published():
    app = page(tab="Accuracy by length")
    (search,) = (t for t in tables(app, "name", "across", "up") if set(t["name"]) == {"RNNsearch-30"})
    assert search["up"].iloc[-1] == "7.6"
    (ours,) = (t for t in tables(app, "name", "across", "up") if set(t["name"]) == {"Bahdanau, trained up to 16"})
    noted = trained.accuracy("reverse", "bahdanau", "long")
    assert dict(zip(ours["across"].astype(int), ours["up"], strict=True)) == {
        length: f"{share:.0%}" for length, (share, _) in noted.items()
    }
    assert any("RNNsearch-30, trained on sentences of up to 30 words, at 7.6" in text for text in said(app))


def test_the_film_begins_uniform():
    app = page(tab="Film of training", frame="1")
    (drawn,) = (maps[0] for title, maps in matrices(app).items() if title == "Bahdanau after 0 steps")
    assert_allclose(drawn, 0.1, atol=1e-6)
    assert any(
        "Of the 10 symbols that it read, it then looks at an effective number of **10.0**" in text
        and "untrained" in text
        for text in said(app)
    )


def test_published_alignments_are_read_row_by_row():
    app = page(tab="Published alignments", panel="d", cell="13,3")
    assert any("To write **l\\'** it looks at man 0.50, the 0.32" in text for text in said(app))
    for one in published.alignments().values():
        assert one.weights.shape == (len(one.target), len(one.source))
        assert_allclose(one.weights.sum(axis=1), 1, atol=0.05)
    one = published.alignments()["a"]
    assert one.weights[one.target.index("été"), one.source.index("signed")] == pytest.approx(0.52, abs=0.01)
    assert one.weights[0, 0] == pytest.approx(0.5, abs=0.01)


def test_gradients_are_powers_and_those_of_the_models():
    app = page(tab="Gradient through time", factor="1.1", count="50")
    assert any("has **117** of the first symbol left" in text for text in said(app))
    model = trained.load("reverse", "bahdanau")
    read = model.read(trained.TASKS["reverse"].source_ids("attention"))
    norms = recurrent.gradient_norms(recurrent.bahdanau_gru, read.steps.forward, model.forward)
    assert any(f"**{norms[0]:.3g}** in *Bahdanau*" in text for text in said(app))


@pytest.mark.parametrize(
    "choices",
    [{}, {"right": "transformer", "show": "influence"}, {"left": "luong", "right": "transformer", "unwritten": "4"}],
    ids=["as it comes", "influence", "half written"],
)
def test_the_code_draws_the_picture(tmp_path, monkeypatch, choices):
    monkeypatch.chdir(tmp_path)
    app = page(tab="Code", code="draw", **choices)
    drawn = []
    monkeypatch.setattr(charts, "save", lambda picture, name: drawn.append(picture))
    exec(app.code[0].value, {})
    made = drawn[0].to_dict()
    assert without_names(made) == without_names(specs(app)[0])
    numbers = [[cell["shade"] for cell in data] for data in made["datasets"].values() if "shade" in data[0]]
    shown = [maps for title, maps in matrices(app).items() if " right" in title]
    assert sorted(numbers) == sorted(each.ravel().tolist() for maps in shown for each in maps)


def without_names(spec):
    """Return a picture's description without what differs from one drawing to the next."""
    return re.sub(r'"(name|view)": "[^"]*"', "", json.dumps(spec["hconcat"], sort_keys=True))
