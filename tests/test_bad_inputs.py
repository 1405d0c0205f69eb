"""Whatever is given to the functions of attn.pretrained, what is wrong with it is said in one sentence."""

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained import Settings, bert
from attn.pretrained.errors import takes
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.generation import generate, writes
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.prediction import compare_runs, predictions, probability_of, similarity, token_id
from attn.pretrained.intervention.run import output_gap, run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")


class Given:
    """Good arguments, each to be given beside a bad one."""

    def __init__(self):
        self.loaded = pretrained.load()
        config = transformers.GPT2Config(vocab_size=30522, n_embd=12, n_layer=2, n_head=3, n_positions=40)
        self.writer = pretrained.wrap(transformers.GPT2LMHeadModel(config), self.loaded.tokenizer, name="writer")
        self.recording = pretrained.record(self.loaded, "a b")
        self.layer = self.recording.layers[0]
        self.run = run(self.writer, "a b c")
        self.encoder = bert.load()
        self.found = pretrained.inspect()


@pytest.fixture(scope="module")
def good():
    return Given()


def refused(call, *arguments):
    """Assert that a call raises a ValueError with one sentence."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(*arguments)
    sentence = str(raised.value)
    assert sentence
    assert "\n" not in sentence
    assert len(sentence) < 500


KINDS = {
    "record": lambda good, bad: pretrained.record(bad, "a"),
    "own_weights": lambda good, bad: pretrained.own_weights(bad, "a"),
    "image_inputs": lambda good, bad: pretrained.image_inputs(bad, np.zeros((8, 8, 3))),
    "audio_inputs": lambda good, bad: pretrained.audio_inputs(bad, np.zeros(100)),
    "parameters": lambda good, bad: pretrained.parameters(bad, good.layer),
    "parameters, layer": lambda good, bad: pretrained.parameters(good.loaded, bad),
    "from_input": lambda good, bad: pretrained.from_input(bad, good.layer),
    "from_input, layer": lambda good, bad: pretrained.from_input(good.loaded, bad),
    "compare": lambda good, bad: pretrained.compare(bad),
    "compare_layer": lambda good, bad: pretrained.compare_layer(bad),
    "compare_layer_from_input": lambda good, bad: pretrained.compare_layer_from_input(bad, good.layer),
    "compare_layer_from_input, layer": lambda good, bad: pretrained.compare_layer_from_input(good.loaded, bad),
    "from_scratch": lambda good, bad: pretrained.from_scratch(bad),
    "layer_metrics": lambda good, bad: pretrained.layer_metrics(bad),
    "keys_of_layer": lambda good, bad: pretrained.keys_of_layer(bad),
    "patch_grid": lambda good, bad: pretrained.patch_grid(bad, good.layer),
    "patch_grid, layer": lambda good, bad: pretrained.patch_grid(good.recording, bad),
    "run": lambda good, bad: run(bad, "a"),
    "output_gap": lambda good, bad: output_gap(bad, "a"),
    "generate": lambda good, bad: generate(bad, "a"),
    "writes": lambda good, bad: writes(bad),
    "ablate_heads": lambda good, bad: ablate_heads(bad, "a", similarity),
    "ablate_heads, measure": lambda good, bad: ablate_heads(good.writer, "a", bad),
    "predictions": lambda good, bad: predictions(bad),
    "similarity": lambda good, bad: similarity(good.run, bad),
    "compare_runs": lambda good, bad: compare_runs(bad, good.run),
    "token_id": lambda good, bad: token_id(bad, "a"),
    "check_hub_cache": lambda good, bad: pretrained.check_hub_cache(bad, 5),
    "check_size": lambda good, bad: pretrained.check_size(bad, 5),
    "fetch": lambda good, bad: pretrained.fetch(bad),
    "wrap": lambda good, bad: pretrained.wrap(bad),
    "bert.encode": lambda good, bad: bert.encode(bad, "a"),
}


@pytest.mark.parametrize("call", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("bad", [None, "a name", 5, [], torch.nn.Linear(2, 2)], ids=str)
def test_arguments_of_another_kind_are_refused(good, call, bad):
    if call is KINDS["ablate_heads, measure"] and callable(bad):
        return
    refused(call, good, bad)


def test_where_an_argument_comes_from_is_said(good):
    with pytest.raises(ValueError, match="loaded must be a Loaded, as attn"):
        pretrained.record("bert-base-uncased", "a")
    with pytest.raises(ValueError, match="changes must be a Changes, got dict"):
        run(good.loaded, "a", {"off": [(0, 1)]})


def test_what_is_decorated_keeps_its_name_and_what_it_says():
    @takes(given="int")
    def twice(given=None):
        """Return it twice."""
        return given and 2 * given

    assert (twice.__name__, twice.__doc__) == ("twice", "Return it twice.")
    assert (twice(4), twice(given=True), twice(), twice(None)) == (8, 2, None, None)  # a bool is an int
    with pytest.raises(ValueError, match="given must be a int, got str"):
        twice("a")


TEXTS = {
    "record": lambda good, bad: pretrained.record(good.loaded, bad),
    "record, pair": lambda good, bad: pretrained.record(good.loaded, "a", pair=[bad]),
    "own_weights": lambda good, bad: pretrained.own_weights(good.loaded, bad),
    "run": lambda good, bad: run(good.loaded, bad),
    "generate": lambda good, bad: generate(good.writer, bad, 1),
    "ablate_heads": lambda good, bad: ablate_heads(good.writer, [bad], probability_of(3)),
    "token_id": lambda good, bad: token_id(good.loaded, bad),
    "bert.encode": lambda good, bad: bert.encode(good.encoder, bad),
}


@pytest.mark.parametrize("call", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("bad", [None, 5, b"a", {}, [5], "x" * 300_000], ids=lambda bad: repr(bad)[:9])
def test_texts_that_are_none_are_refused(good, call, bad):
    refused(call, good, bad)


INPUTS = [
    *(5, "x", [], {5: [[1]]}, {"nonsense": [[1]]}, {"input_ids": "x"}, {"input_ids": None}, {"input_ids": [["a"]]}),
    *({"input_ids": [[-1]]}, {"input_ids": [[99_999]]}, {"input_ids": [[]]}, {"input_ids": []}, {"input_ids": [1, 2]}),
    *({"input_ids": 5}, {"input_ids": [[1.5]]}, {"input_ids": [[1, 2], [3]]}, {"input_ids": [[1] * 600]}),
    {"input_ids": [[1]], "position_ids": [[9999]]},
    {"pixel_values": np.zeros((1, 3, 4, 4))},
]


@pytest.mark.parametrize("bad", INPUTS, ids=lambda bad: str(bad)[:40])
def test_inputs_that_are_none_are_refused(good, bad):
    for loaded in (good.loaded, good.writer):
        refused(lambda: pretrained.record(loaded, inputs=bad))  # noqa: B023
        refused(lambda: pretrained.own_weights(loaded, inputs=bad))  # noqa: B023
        refused(lambda: run(loaded, inputs=bad))  # noqa: B023


NUMBERS = {
    "record, layers": lambda good, bad: pretrained.record(good.loaded, "a", layers=bad),
    "record, language": lambda good, bad: pretrained.record(good.loaded, "a", source_language=bad),
    "from_scratch, heads": lambda good, bad: pretrained.from_scratch(good.layer, bad),
    "from_scratch, rows": lambda good, bad: pretrained.from_scratch(good.layer, 0, rows=bad),
    "layer_metrics, rows": lambda good, bad: pretrained.layer_metrics(good.layer, rows=bad),
    "layer_metrics, level": lambda good, bad: pretrained.layer_metrics(good.layer, level=bad),
    "from_scratch, num_heads": lambda good, bad: pretrained.from_scratch(good.layer, 0, num_heads=bad),
    "from_scratch, scale": lambda good, bad: pretrained.from_scratch(good.layer, 0, scale=bad),
    "reference_weights": lambda good, bad: good.layer.reference_weights(bad),
    "attention": lambda good, bad: good.layer.attention(bad),
    "run, positions": lambda good, bad: run(good.writer, "a b", positions=bad),
    "run, changes": lambda good, bad: run(good.writer, "a b", bad),
    "generate, max_new_tokens": lambda good, bad: generate(good.writer, "a", bad),
    "predictions, count": lambda good, bad: predictions(good.run, bad),
    "predictions, position": lambda good, bad: predictions(good.run, 3, bad),
    "probability_of": lambda good, bad: probability_of(bad)(good.run),
    "bert.parameters, layer": lambda good, bad: bert.parameters(good.encoder.tensors, bad, 12),
    "bert.parameters, num_heads": lambda good, bad: bert.parameters(good.encoder.tensors, 0, bad),
    "load, size_limit": lambda good, bad: pretrained.load(size_limit=bad),
    "load, settings": lambda good, bad: pretrained.load(settings=bad),
    "check_hub_cache": lambda good, bad: pretrained.check_hub_cache(good.found, bad),
    "check_size": lambda good, bad: pretrained.check_size(good.found, bad),
    "Settings": lambda good, bad: Settings(bad),
    "Settings, models": lambda good, bad: Settings(5, bad),
    "wrap, tokenizer": lambda good, bad: pretrained.wrap(good.writer.model, bad),
    "Changes, off": lambda good, bad: Changes(off=bad),
    "Changes, patterns": lambda good, bad: Changes(patterns=bad),
    "Changes, hidden": lambda good, bad: Changes(hidden=bad),
    "Changes, temperature": lambda good, bad: Changes(temperature=bad),
}


@pytest.mark.parametrize("call", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("bad", ["a", ["a"], [None], [1.5], {"a": 1}], ids=str)
def test_numbers_that_are_none_are_refused(good, call, bad):
    refused(call, good, bad)


def test_numbers_beyond_what_there_is_are_refused(good):
    refused(lambda: pretrained.record(good.loaded, "a", layers=[99]))
    refused(lambda: pretrained.record(good.loaded, "a", layers=[-1]))
    refused(lambda: pretrained.from_scratch(good.layer, 99))
    refused(lambda: pretrained.from_scratch(good.layer, rows=[99]))
    refused(lambda: good.layer.reference_weights(99))
    refused(lambda: run(good.writer, "a b", positions=[99]))
    refused(lambda: run(good.writer, "a b", Changes(off=[(99, 0)])))
    refused(lambda: predictions(good.run, position=99))
    refused(lambda: probability_of(99_999)(good.run))
    refused(lambda: generate(good.writer, "a", 0))
    refused(lambda: pretrained.load(size_limit=5))
    refused(lambda: pretrained.record(pretrained.wrap(good.writer.model), "a"))
