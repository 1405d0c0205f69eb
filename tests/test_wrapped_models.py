"""A model goes on working as before, whatever was recorded of it: outside a recorded pass nothing of it is ours."""

import copy
import io
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.run import run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IDS = torch.tensor([[7, 3, 11, 5, 2]])
TARGET = torch.tensor([[2, 13, 4]])
SMALL = {"vocab_size": 29, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
BERT = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 17}
BART = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in
        {"layers": 2, "attention_heads": 2, "ffn_dim": 17}.items()}  # fmt: skip
MODELS = {
    "bert": (transformers.BertModel, SMALL | BERT),
    "llama": (transformers.LlamaForCausalLM, SMALL | BERT | {"num_attention_heads": 6, "num_key_value_heads": 3}),
    "gpt2": (transformers.GPT2LMHeadModel, SMALL | {"n_embd": 24, "n_layer": 3, "n_head": 2, "n_positions": 19}),
    "bart": (transformers.BartForConditionalGeneration, SMALL | BART | {"d_model": 24, "decoder_start_token_id": 2}),
    "t5": (transformers.T5ForConditionalGeneration, SMALL | {"d_model": 24, "d_kv": 12, "d_ff": 17, "num_layers": 2,
           "num_heads": 2, "decoder_start_token_id": 1}),
    "vit": (transformers.ViTModel, BERT | {"image_size": 12, "patch_size": 4}),
}  # fmt: skip
INPUTS = {
    "bart": {"input_ids": IDS, "decoder_input_ids": TARGET},
    "t5": {"input_ids": IDS, "decoder_input_ids": TARGET},
    "vit": {"pixel_values": torch.linspace(-1, 1, 3 * 12 * 12).reshape(1, 3, 12, 12)},
}
OURS = ("attention_lab", "attn.pretrained")


@pytest.fixture(scope="module")
def minilm():
    return pretrained.load()


def made(family, implementation):
    """Return a model with random weights, always the same ones."""
    model_class, config = MODELS[family]
    torch.manual_seed(5)
    config = model_class.config_class(**config, initializer_range=0.4)
    return model_class._from_config(config, attn_implementation=implementation).eval()


def inputs_of(family):
    return INPUTS.get(family, {"input_ids": IDS})


def passed(model, family, **options):
    """Return all tensors that a pass gives, by name."""
    with torch.inference_mode():
        output = model(**inputs_of(family), **options)
    flat = {}
    for name, value in output.items():
        if torch.is_tensor(value):
            flat[name] = value
        elif isinstance(value, tuple):
            flat |= {f"{name} {i}": each for i, each in enumerate(value) if torch.is_tensor(each)}
            flat[f"{name}: parts"] = torch.tensor(len(value))
    return flat


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(params=[(family, kind) for family in MODELS for kind in ("eager", "sdpa")], ids="-".join)
def pair(request):
    """A family, the implementation its model has, the model after it was wrapped and recorded, and an untouched one."""
    family, implementation = request.param
    model, untouched = made(family, implementation), made(family, implementation)
    loaded = pretrained.wrap(model)
    return family, implementation, loaded, pretrained.record(loaded, inputs=inputs_of(family)), untouched


def test_a_plain_pass_is_that_of_a_model_that_was_never_wrapped(pair):
    family, implementation, loaded, _, untouched = pair
    assert loaded.model.config._attn_implementation == implementation
    for options in ({}, {"output_hidden_states": True}, {"output_attentions": True}):
        assert_equal(passed(loaded.model, family, **options), passed(untouched, family, **options))


def test_what_was_recorded_is_what_the_model_reports_itself(pair):
    family, implementation, loaded, recording, _ = pair
    if implementation == "eager":
        own = passed(loaded.model, family, output_attentions=True)
    else:  # which gives no weights: another model with the same ones does
        own = passed(made(family, "eager"), family, output_attentions=True)
    reported = [value.numpy() for name, value in own.items() if "attentions" in name and value.ndim == 4]
    assert len(reported) == len(recording.layers) > 1
    for layer in recording.layers:
        weights = layer.weights()
        assert min(np.abs(weights - each).max() for each in reported if each.shape == weights.shape) < 1e-6
    assert max(difference.largest for difference in pretrained.compare(recording)) < 1e-6


def test_a_change_reaches_the_pass_it_is_for_and_no_other(pair):
    family, _, loaded, _, untouched = pair
    changed = run(loaded, changes=Changes(off=[(1, 1)]), inputs=inputs_of(family))
    plain = run(loaded, inputs=inputs_of(family))
    one, other = (each.hidden if each.logits is None else each.logits for each in (changed, plain))
    assert np.abs(one - other).max() > 1e-3
    assert_equal(passed(loaded.model, family), passed(untouched, family))


def test_nothing_of_ours_is_in_a_copy_or_a_file(pair, tmp_path):
    family, implementation, loaded, _, untouched = pair
    model = loaded.model
    assert model.config.to_dict() == untouched.config.to_dict()
    model.save_pretrained(tmp_path)
    assert not any(word in (tmp_path / "config.json").read_text(encoding="utf-8") for word in OURS)
    file = io.BytesIO()
    torch.save(model, file)
    assert not any(word.encode() in file.getvalue() for word in OURS)
    assert [len(module._forward_pre_hooks) for module in model.modules()] == [
        len(module._forward_pre_hooks) for module in untouched.modules()
    ]
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied.config._attn_implementation == implementation
        assert_equal(passed(copied, family), passed(untouched, family))
        again = pretrained.record(pretrained.wrap(copied), inputs=inputs_of(family))
        assert max(difference.largest for difference in pretrained.compare(again)) < 1e-6


def test_wrapping_twice_changes_nothing_more(pair):
    family, implementation, loaded, recording, untouched = pair
    again = pretrained.record(pretrained.wrap(loaded.model), inputs=inputs_of(family))
    assert loaded.model.config._attn_implementation == implementation
    assert_equal(passed(loaded.model, family), passed(untouched, family))
    for one, other in zip(recording.layers, again.layers, strict=True):
        np.testing.assert_array_equal(one.query, other.query)
        np.testing.assert_array_equal(one.hidden, other.hidden)


def test_the_implementation_can_still_be_chosen_after_wrapping():
    loaded = pretrained.wrap(made("llama", "sdpa"))
    loaded.model.set_attn_implementation("eager")
    assert len(passed(loaded.model, "llama", output_attentions=True)) > 3
    loaded.model.set_attn_implementation("flex_attention")
    assert loaded.model.config._attn_implementation == "flex_attention"
    recording = pretrained.record(loaded, inputs={"input_ids": IDS})
    assert max(difference.largest for difference in pretrained.compare(recording)) < 1e-6
    assert not recording.layers[0].mask[0, 0, 0, 1]  # causal, as the eager mask


@pytest.mark.parametrize("family", ["llama", "gpt2", "bart", "t5"])
def test_generation_reports_its_attentions(family):
    options = {"max_new_tokens": 3, "do_sample": False, "output_attentions": True, "return_dict_in_generate": True}
    model, untouched = made(family, "eager"), made(family, "eager")
    loaded = pretrained.wrap(model)
    pretrained.record(loaded, inputs=inputs_of(family))
    one, other = model.generate(IDS, **options), untouched.generate(IDS, **options)
    assert torch.equal(one.sequences, other.sequences)
    name = "decoder_attentions" if family in ("bart", "t5") else "attentions"
    assert len(one[name]) == len(other[name]) > 0
    for step, own in zip(one[name], other[name], strict=True):
        assert len(step) == len(own) >= 2
        assert all(torch.equal(a, b) for a, b in zip(step, own, strict=True))


def test_a_loaded_model_reports_its_attentions(minilm):
    encoded = minilm.tokenizer("The keys are on the table.", return_tensors="pt")
    with torch.inference_mode():
        own = minilm.model(**encoded, output_attentions=True).attentions
    recording = pretrained.record(minilm, "The keys are on the table.")
    assert minilm.model.config._attn_implementation == "eager"
    for layer, weights in zip(recording.layers, own, strict=True):
        np.testing.assert_allclose(layer.weights(), weights.numpy(), rtol=0, atol=1e-6)


def test_training_mode_is_said_and_refused():
    model = made("gpt2", "sdpa").train()
    loaded = pretrained.wrap(model, name="mine")
    assert "was in training mode and is now in eval mode" in loaded.note
    assert not model.training
    assert pretrained.wrap(model).note == ""
    model.train()
    with pytest.raises(pretrained.ModelError, match=r"mine is in training mode.* call model.eval\(\) first"):
        pretrained.record(loaded, inputs={"input_ids": IDS})
    loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters() if each.grad is not None)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["bert", "llama", "bart"])
def test_a_recorded_and_a_plain_pass_at_once_do_not_disturb_each_other(family, implementation):
    model = made(family, implementation)
    loaded = pretrained.wrap(model)
    with ThreadPoolExecutor(1) as pool:  # how sums are rounded hangs on the threads that a thread may use
        expected = pool.submit(passed, model, family, output_attentions=True).result()
    recorded = [layer.query for layer in pretrained.record(loaded, inputs=inputs_of(family)).layers]
    stop, failed = threading.Event(), []

    def plainly():
        while not stop.is_set():
            try:
                assert_equal(passed(model, family, output_attentions=True), expected)
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=plainly)
    thread.start()
    try:
        for _ in range(30):
            again = pretrained.record(loaded, inputs=inputs_of(family)).layers
            assert len(again) == len(recorded)
            assert all(np.array_equal(layer.query, query) for layer, query in zip(again, recorded, strict=True))
    finally:
        stop.set()
        thread.join()
    assert failed == []


def test_a_compiled_model_stays_in_one_graph():
    model = made("llama", "sdpa")
    expected = passed(model, "llama", use_cache=False)["logits"]
    pretrained.record(pretrained.wrap(model), inputs={"input_ids": IDS})
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.allclose(passed(compiled, "llama", use_cache=False)["logits"], expected, atol=1e-6)


def test_a_saved_model_opens_where_there_is_no_attention_lab(tmp_path):
    model = made("bert", "sdpa")
    pretrained.record(pretrained.wrap(model), inputs={"input_ids": IDS})
    torch.save(model, tmp_path / "whole.pt")
    code = (
        "import sys, torch; sys.modules['attn'] = None\n"
        f"model = torch.load({str(tmp_path / 'whole.pt')!r}, weights_only=False)\n"
        "print(model(input_ids=torch.tensor([[7, 3]]))[0].shape)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "torch.Size([1, 2, 24])" in told.stdout, told.stderr
