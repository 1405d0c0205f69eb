"""The models that come along: their tasks, their weights, and the training that made them."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attn import analysis, trained
from attn.architectures import seq2seq
from attn.trained import CHANGED, MODELS, TASKS, TRAINED_ON, training
from attn.trained.__main__ import main
from attn.trained.tasks import END, START

TINY = training.Recipe(width=8, embedding=4, most_steps=4, batch=4, examples=40, held_out=20, check=2, half_width=2)
EVERY = [(task, model, trained_on) for task in TASKS for model in MODELS for trained_on in TRAINED_ON]
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


# Tasks


@pytest.mark.parametrize(
    ("task", "text", "answer"),
    [
        ("reverse", "Attention", "noitnetta"),
        ("reverse", " a ", "a"),
        ("dates", "3 March 1999", "1999-03-03"),
        ("dates", "3 MAR 1999", "1999-03-03"),
        ("dates", "march 3, 1999", "1999-03-03"),
        ("dates", "24.12.1987", "1987-12-24"),
        ("dates", "Wednesday  the 3rd of March 1999", "1999-03-03"),
        ("dates", "29 February 2000", "2000-02-29"),
        ("dates", "Sunday the 29th of February in the year 2004", "2004-02-29"),
        ("pair", "the big red house", "la casa roja grande"),
        ("pair", "The small black cat sees a moon.", "el gato negro pequeño ve una luna"),
        ("pair", "a dog behind the tree", "un perro detrás del árbol"),
        ("pair", "a dog behind the house", "un perro detrás de la casa"),
        ("pair", "a dog near a tree and the moon", "un perro cerca de un árbol y la luna"),
    ],
)
def test_right_answers(task, text, answer):
    task = TASKS[task]
    assert task.glue.join(task.read(text)[1]) == answer


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("reverse", "", "Type letters from a to z"),
        ("reverse", "two words", "such as “attention”, got “two words”."),
        ("reverse", "naïve", "got “naïve”."),
        ("reverse", "a" * 25, "An input must have at most 24 letters, got 25."),
        ("dates", "yesterday", "Type a date such as “3 March 1999”"),
        ("dates", "3/3/1999", "with “/”."),
        ("dates", "30 February 1999", "A date must stand in the calendar, got “30 February 1999”."),
        ("dates", "3 Nonember 1999", "A date must stand in the calendar"),
        ("dates", "3 March 1899", "A year must lie between 1900 and 2099, got 1899."),
        ("dates", "Someday, 3 March 1999", "A day of the week must be one, got “Someday”."),
        ("pair", " ", "Type an article, at most three adjectives and a noun"),
        ("pair", "the elephant", "got “elephant”."),
        ("pair", "the house <end> dog", "got “<end>”."),
        ("pair", "house the", "Type an article, at most three adjectives and a noun"),
        ("pair", "the big red old new house", "at most three adjectives"),
        ("pair", "the house the dog", "After a noun must come a verb, a place or “and”, got “house the”."),
        ("pair", "the dog sees", "Type an article, at most three adjectives and a noun"),
    ],
)
def test_what_is_no_input_is_told_in_one_sentence(task, text, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        TASKS[task].read(text)
    assert message in str(error.value)
    assert str(error.value).endswith(".")


@each_task
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_what_is_drawn_can_be_typed(task, seed, data):
    longest = data.draw(st.integers(task.limits[0], task.longest))
    source = task.draw(np.random.default_rng(seed), longest)
    assert 1 <= len(source) <= longest
    typed, answer = task.read(task.glue.join(source))
    assert typed == source
    assert answer == task.answer(source)
    assert set(source) <= set(task.source_symbols)
    assert set(answer) <= set(task.target_symbols)


def test_a_date_needs_room():
    with pytest.raises(ValueError, match="a date must have room for 10 characters, got 9"):
        TASKS["dates"].draw(np.random.default_rng(0), 9)


@each_task
def test_lengths_up_to_the_longest_are_drawn(task):
    rng = np.random.default_rng(0)
    lengths = {len(task.draw(rng, task.longest)) for _ in range(3000)}
    assert max(lengths) > task.longest - 4
    assert len(lengths) > 0.6 * (task.longest - min(lengths))


@each_task
def test_symbols_are_counted_once_and_begin_with_start_and_end(task):
    assert task.target_symbols[:2] == (START, END)
    assert task.target_symbols.index(START) == seq2seq.START
    assert task.target_symbols.index(END) == seq2seq.END
    assert task.source_symbols[-1] == END
    for symbols in (task.source_symbols, task.target_symbols):
        assert len(set(symbols)) == len(symbols)
    for text in task.examples:
        task.read(text)


# Weights


@pytest.mark.parametrize("model", MODELS)
def test_the_training_computes_what_numpy_does(model):
    task = TASKS["pair"]
    p = training.initial(model, task, TINY, seed=1)
    if "v_a" in p:
        p["v_a"] = torch.randn(p["v_a"].shape, generator=torch.Generator().manual_seed(0))  # begins at 0
    ours = trained.build(model, {name: t.detach().numpy() for name, t in p.items()}, TINY.num_heads, TINY.half_width)
    source, target = (np.array(ids) for ids in task.pairs(np.random.default_rng(3), 1, 9)[0])
    forced = torch.tensor(target[None])
    logits = training.logits(model, p, torch.tensor(source[None]), training.shifted(forced), TINY)
    found = seq2seq.write(ours, source, given=target).probabilities
    assert_allclose(found, logits.softmax(-1)[0].detach(), atol=1e-5)


def test_the_start_is_that_of_the_paper():
    """Uniform alignment, orthogonal matrices from state to state."""
    p = training.initial("bahdanau", TASKS["reverse"], TINY, seed=0)
    assert not p["v_a"].any()
    for w in p["decoder.w_h"].detach().split(TINY.width, dim=1):
        assert_allclose(w.T @ w, np.eye(TINY.width), atol=1e-5)


@pytest.mark.parametrize(("task", "model", "trained_on"), EVERY)
def test_a_model_does_what_is_noted(task, model, trained_on):
    """Where nearly all answers were right a few drawn here are too, and where nearly none, hardly any."""
    noted = {length: whole for length, (whole, _) in trained.accuracy(task, model, trained_on).items()}
    ours, task, rng = trained.load(task, model, trained_on), TASKS[task], np.random.default_rng(5)
    drawn = [task.draw(rng, task.longest) for _ in range(60)]
    sure = [source for source in drawn if noted.get(len(source), 0) >= 0.98][:6]
    lost = [source for source in drawn if noted.get(len(source), 1) <= 0.01][:6]
    assert sure
    assert sum(trained.answer(ours, task, source) == task.answer(source) for source in sure) >= len(sure) - 1
    assert sum(trained.answer(ours, task, source) == task.answer(source) for source in lost) <= 1


@each_task
def test_attention_goes_on_where_one_vector_has_given_up(task):
    """At the end of the training length; a date is the same few facts in any spelling, so there beyond it."""
    search = trained.accuracy(task.name, "bahdanau", "long")
    length = max(search) if task.name == "dates" else task.limits[1]
    assert search[length][0] > 0.95
    for vector in ("fixed", "fixed-wide"):
        assert trained.accuracy(task.name, vector, "long")[length][0] < 0.75


@pytest.mark.parametrize("changed", CHANGED)
@each_task
def test_what_is_taken_away_is_missed(task, changed):
    length = 10
    whole, without = (trained.accuracy(task.name, name, "long")[length][0] for name in (CHANGED[changed][0], changed))
    assert without < whole - 0.05
    assert trained.load(task.name, changed) is not trained.load(task.name, CHANGED[changed][0])


@each_task
def test_the_film_goes_from_uniform_to_sharp(task):
    frames = trained.film(task.name)
    assert next(iter(frames)) == 0
    assert len(frames) == 12
    assert frames[max(frames)] is trained.load(task.name, *trained.FILMED)
    source, target = task.read(task.examples[0])
    weights = [
        seq2seq.write(model, task.source_ids(source), given=task.target_ids(target)).weights
        for model in frames.values()
    ]
    assert_allclose(weights[0], 1 / (len(source) + 1), atol=1e-6)
    spread = [float(analysis.effective_keys(each).mean()) for each in weights]
    assert spread[-1] < spread[0] / 2


def test_what_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"^model must be one of fixed, .*, got 'oracle'$"):
        trained.load("reverse", "oracle")
    monkeypatch.setattr(trained, "WEIGHTS", tmp_path)
    with pytest.raises(ValueError, match=r"^there must be trained weights .* run python -m attn\.trained$"):
        trained.training_of.__wrapped__("pair", "transformer", "short")  # not what another test has had kept


def test_the_weights_are_small():
    assert sum(path.stat().st_size for path in trained.WEIGHTS.iterdir()) < 15e6


# Training


@pytest.mark.usefixtures("one_thread")
def test_a_small_model_learns():
    recipe = training.Recipe(
        width=32, embedding=16, most_steps=160, batch=64, rate=1e-2, warm_up=10, examples=3000, held_out=100, check=40
    )
    losses = []
    p, steps = training.train("bahdanau", TASKS["reverse"], 3, recipe, watch=lambda step, loss, p: losses.append(loss))
    assert losses[0] > np.log(28)  # no better than guessing
    assert losses[-1] < 0.3
    assert 0 < steps < 160
    before = training.measure(
        "bahdanau", training.initial("bahdanau", TASKS["reverse"], recipe, 0), TASKS["reverse"], recipe, count=20
    )
    after = training.measure("bahdanau", p, TASKS["reverse"], recipe, count=20)
    assert before[2][0] < 0.2
    assert after[2][0] > 0.8


@pytest.mark.usefixtures("one_thread")
def test_training_ends_where_the_held_out_loss_is_flat_and_keeps_the_best():
    """At a rate of 0 nothing is learnt: it is flat at once, and again after the one cut of the rate."""
    recipe, seen = TINY._replace(rate=0.0, most_steps=1000, patience=3), []
    p, steps = training.train("fixed", TASKS["reverse"], 3, recipe, watch=lambda step, loss, p: seen.append(step))
    assert steps == 0
    assert len(seen) == 2 * recipe.check * (1 + recipe.patience)
    first = training.initial("fixed", TASKS["reverse"], recipe, 0)
    assert all(torch.equal(p[name], first[name]) for name in first)


@each_task
def test_the_wider_vector_has_about_as_many_parameters_as_attention(task):
    wide, attention = (trained.training_of(task.name, model).parameters for model in ("fixed-wide", "bahdanau"))
    assert wide == pytest.approx(attention, rel=0.03)
    assert trained.load(task.name, "fixed-wide").decoder.n > trained.load(task.name, "fixed").decoder.n


@pytest.mark.usefixtures("one_thread")
def test_the_same_seed_trains_the_same_model():
    one, two = (training.train("luong", TASKS["reverse"], 4, TINY, seed=7)[0] for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.usefixtures("one_thread")
def test_what_is_there_is_not_trained_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "measure", partial(training.measure, count=2))
    monkeypatch.setattr(training, "keep", partial(training.keep, recipe=TINY))
    arguments = ["--folder", str(tmp_path), "--task", "reverse", "--model", "bahdanau"]
    main(arguments)
    names = {path.name for path in tmp_path.iterdir()}
    weights = {"reverse-bahdanau-short.safetensors", "reverse-bahdanau-long.safetensors", "reverse-film.safetensors"}
    assert names == weights | {"accuracy.json"}
    noted = json.loads((tmp_path / "accuracy.json").read_text())
    assert set(noted) == {f"reverse-bahdanau{end}-{on}" for end in ("", "-fixed") for on in TRAINED_ON}
    assert "step 0, held-out loss" in capsys.readouterr().out
    main(arguments)
    assert capsys.readouterr().out == ""
    (tmp_path / "reverse-bahdanau-short.safetensors").unlink()
    main(arguments)
    assert "reverse-bahdanau-short" in capsys.readouterr().out
