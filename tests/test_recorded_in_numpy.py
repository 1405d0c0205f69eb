"""A recording without torch is that of transformers, layer by layer, and Inside shows it."""

import json

import numpy as np
import pytest
from driving import check, opened, said
from processes import printed

from attn import models, pretrained
from attn.charts.labels import number
from attn.data import examples
from attn.pretrained import bert, language_model
from attn.pretrained.families.tiny_tokenizers import tiny_tokenizer
from attn.pretrained.families.whole_models import DECODERS, ENCODERS
from attn.pretrained.loading import smollm2
from attn.pretrained.recording.in_numpy import InNumpy, fits_in_numpy, like_transformers, record_in_numpy
from attn.ui.models import metrics_by_layer, model_layer_weights

TEXT = examples.SENTENCES[0].text
NAMES = [pretrained.DEFAULT, smollm2.NAME]
TINY = {  # a family -> one of its models
    **{"bert": "BERT", "roberta": "RoBERTa", "distilbert": "DistilBERT", "gpt2": "GPT-2", "llama": "Llama"},
    **{"mistral": "Mistral", "qwen2": "Qwen 2 with windows", "qwen3": "Qwen 3", "smollm3": "SmolLM 3", "phi3": "Phi-3"},
    **{"olmo2": "OLMo 2", "gemma": "Gemma", "gemma2": "Gemma 2", "gemma3_text": "Gemma 3"},
}
TEXTS = (
    "The animal didn't cross the street because the keys are near the door.",
    "12 keys 🙂 é on <pad> a [MASK] table",  # with special tokens that somebody typed
)


def save(family, folder):
    """Write a tiny random model of a family and a tokenizer of its class, as transformers writes them."""
    import torch
    import transformers

    kind, numbers = {**DECODERS, **ENCODERS}[TINY[family]]
    tokenizer = tiny_tokenizer(family, folder)
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    known = {role: id for role, id in ids.items() if id is not None}
    config = getattr(transformers, f"{kind}Config")(**numbers | {"vocab_size": len(tokenizer)} | known)
    auto = transformers.AutoModelForCausalLM if TINY[family] in DECODERS else transformers.AutoModel
    torch.manual_seed(0)
    model = auto.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def open_in_numpy(folder):
    """Open a folder as Inside does."""
    family = json.loads((folder / "config.json").read_text())["model_type"]
    return like_transformers(folder, (bert if family in models.bert.FAMILIES else language_model).load)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models of all families that are written when they are first asked for."""
    pytest.importorskip("transformers")
    made = {}

    def folder(family):
        if family not in made:
            made[family] = save(family, tmp_path_factory.mktemp(family))
        return made[family]

    return folder


@pytest.fixture(scope="module", params=NAMES)
def both(request):
    """Record a model with torch and without."""
    pytest.importorskip("torch")
    if request.param == smollm2.NAME and not (smollm2.packaged() or smollm2.cached()):
        pytest.skip("SmolLM2 is not on this machine")
    opened_model = bert.load() if request.param == pretrained.DEFAULT else language_model.load(request.param)
    theirs = pretrained.record(pretrained.load(request.param), TEXT)
    return record_in_numpy(InNumpy(opened_model), TEXT), theirs


def test_every_layer_is_that_of_transformers(both):
    ours, theirs = both
    assert ours.tokens == theirs.tokens
    assert len(ours.layers) == len(theirs.layers)
    for mine, their in zip(ours.layers, theirs.layers, strict=True):
        assert (mine.name, mine.kind, mine.index, mine.block) == (their.name, their.kind, their.index, their.block)
        assert mine.scale == pytest.approx(their.scale)
        for one, other in ((mine.query, their.query), (mine.key, their.key), (mine.value, their.value)):
            assert one.shape == other.shape
            assert np.abs(one - other).max() < 1e-4 * np.abs(other).max()
        assert np.abs(mine.weights() - their.reference_weights()).max() < 1e-4
        assert np.abs(mine.output - their.output).max() < 1e-4 * np.abs(their.output).max()


def test_the_matrices_are_those_of_transformers(both):
    ours, theirs = both
    mine = ours.loaded.matrices(ours.layers[3])
    their = pretrained.parameters(theirs.loaded, theirs.layers[3])
    np.testing.assert_allclose(mine.w_o, their.w_o, atol=1e-7)


def test_long_texts_are_left_to_torch():
    model = InNumpy(bert.load())
    assert fits_in_numpy(model, TEXT)
    assert not fits_in_numpy(model, TEXT * 40)


@pytest.mark.parametrize("name", NAMES)
def test_inside_loads_neither_torch_nor_transformers(name):
    if name == smollm2.NAME and not (smollm2.packaged() or smollm2.cached()):
        pytest.skip("SmolLM2 is not on this machine")
    code = f"""if True:
        import sys
        sys.path.insert(0, "tests")
        from driving import check, opened
        for tab in ("matrix", "lines", "query", "heads", "rollout", "code"):
            check(opened("inside", model={name!r}, tab=tab, measure="contribution"))
        print(*sys.modules)
    """
    assert not {"torch", "transformers"} & {name.split(".")[0] for name in printed(code).split()}


@pytest.mark.parametrize("family", TINY)
def test_a_folder_of_a_known_family_is_recorded_as_by_transformers(folders, family):
    theirs, ours = pretrained.load(folders(family)), open_in_numpy(folders(family))
    assert ours.family == theirs.family == family
    assert ours.note == theirs.note
    assert ours.most_tokens == theirs.max_tokens  # of so small a model
    for text in TEXTS:
        mine, their = record_in_numpy(ours, text), pretrained.record(theirs, text)
        assert mine.tokens == their.tokens
        assert mine.inputs["input_ids"].tolist() == their.inputs["input_ids"].tolist()
        for one, other in zip(mine.layers, their.layers, strict=True):
            assert np.abs(one.weights() - other.weights()).max() < 1e-5
            assert (one.query_tokens, one.key_tokens) == (other.query_tokens, other.key_tokens)
            np.testing.assert_array_equal(*(True if each.mask is None else each.mask for each in (one, other)))
        for level in ("pieces", "words"):
            numbers, expected = (metrics_by_layer(each.layers, level) for each in (mine, their))
            assert numbers.keys() == expected.keys()
            for metric, table in expected.items():
                np.testing.assert_allclose(numbers[metric], table, rtol=1e-4, atol=1e-5, err_msg=metric)


def test_inside_loads_neither_torch_nor_transformers_for_a_folder(folders):
    chosen = [str(folders(family)) for family in ("bert", "roberta", "distilbert", "gpt2", "llama", "gemma2")]
    code = f"""if True:
        import sys
        sys.path.insert(0, "tests")
        from driving import check, opened, said
        for folder in {chosen!r}:
            for tab in ("matrix", "query", "rollout", "code"):
                app = check(opened("inside", model=folder, text={TEXTS[0]!r}, tab=tab, measure="contribution"))
                assert any("Computed here in numpy" in each for each in said(app))
        print(*sys.modules)
    """
    assert not {"torch", "transformers"} & {name.split(".")[0] for name in printed(code).split()}


def test_inside_compares_a_folder_when_that_is_asked_for(folders):
    app = check(opened("inside", model=str(folders("gpt2")), text=TEXTS[0]))
    app = check(app.button(key="inside.compare").click().run())
    assert any("**Agrees.**" in each for each in said(app))


def write(**said):
    """Return what changes a JSON file of a folder; None takes a name out."""

    def change(path):
        old = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({key: value for key, value in (old | said).items() if value is not None}))

    return change


def with_tensor(name, value):
    """Return what puts a tensor into a file of weights, or a number into one that is there."""

    def change(path):
        from safetensors.numpy import load_file, save_file

        tensors = load_file(path)
        if name in tensors:
            tensors[name].flat[0] = value
        save_file(tensors | ({} if name in tensors else {name: np.full(44, value, np.float32)}), path, {"format": "pt"})

    return change


DIGITS = {"type": "Digits", "individual_digits": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
SPLIT = {"type": "Sequence", "pretokenizers": [DIGITS, BYTES]}
ADDED = {"content": "<new>", "special": True, "lstrip": False, "rstrip": False, "single_word": False}


@pytest.mark.parametrize(
    ("family", "file", "change", "why"),
    [
        ("gpt2", "tokenizer.json", write(pre_tokenizer=SPLIT), "its tokenizer.json is none of a GPT2Tokenizer"),
        ("bert", "tokenizer_config.json", write(do_lower_case=False), "its tokenizer.json is none of a BertTokenizer"),
        ("roberta", "tokenizer_config.json", write(trim_offsets=False), "puts other tokens around a text than a Rob"),
        ("qwen3", "tokenizer_config.json", write(tokenizer_class="GPT2Tokenizer"), "none of a GPT2Tokenizer"),
        ("gpt2", "tokenizer_config.json", write(add_prefix_space="x"), "its settings make no GPT2Tokenizer: "),
        ("llama", "tokenizer_config.json", write(tokenizer_class="XLNetTokenizer"), "its class is XLNetTokenizer"),
        ("llama", "tokenizer_config.json", write(extra_special_tokens=["<new>"]), "“<new>” is none of the special"),
        ("llama", "tokenizer_config.json", write(image_token="<new>"), "“<new>” is none of the special tokens"),
        ("llama", "tokenizer_config.json", write(split_special_tokens=True), "has split_special_tokens"),
        ("llama", "tokenizer_config.json", write(added_tokens_decoder={"9": ADDED}), "adds other tokens than its tok"),
        ("llama", "tokenizer_config.json", write(unk_token=5), "unk_token of its tokenizer must be a text, got 5"),
        ("llama", "tokenizer_config.json", write(added_tokens_decoder=[9]), "cannot be computed in numpy: 'list'"),
        ("llama", "tokenizer_config.json", write(tokenizer_class=9), "cannot be computed in numpy: 'int' object"),
        ("llama", "added_tokens.json", write(new=9), "its added_tokens.json adds other tokens than"),
        ("llama", "tokenizer.4.0.json", write(model=0), "it has tokenizer.4.0.json"),
        ("mistral", "tekken.json", write(model=0), "it has tekken.json"),
        ("bert", "tokenizer_config.json", write(model_max_length="long"), "model_max_length of the tokenizer must be"),
        ("llama", "model.safetensors", with_tensor("model.layers.0.mlp.down_proj.bias", 1), "no part of the model"),
        ("llama", "config.json", write(num_hidden_layers=4), "which is no part of the model as configured"),
        ("llama", "model.safetensors", with_tensor("model.embed_tokens.weight", np.nan), "must be numbers, but 1 of"),
    ],
)  # fmt: skip
def test_what_transformers_may_read_otherwise_is_left_to_it(tmp_path, family, file, change, why):
    pytest.importorskip("transformers")
    folder = save(family, tmp_path)
    assert open_in_numpy(folder).family == family
    change(folder / file)
    with pytest.raises(pretrained.ModelError, match=why):
        open_in_numpy(folder)


def test_the_weights_are_not_opened_where_texts_are_cut_otherwise(tmp_path):
    pytest.importorskip("transformers")
    write(pre_tokenizer=SPLIT)(save("gpt2", tmp_path) / "tokenizer.json")
    with pytest.raises(pretrained.ModelError, match="may read otherwise"):
        like_transformers(tmp_path, lambda name: pytest.fail("they were opened"))


def test_inside_reads_with_transformers_what_is_left_to_it(tmp_path):
    pytest.importorskip("transformers")
    write(pre_tokenizer=SPLIT)(save("gpt2", tmp_path) / "tokenizer.json")
    app = check(opened("inside", model=str(tmp_path), text=TEXTS[0]))
    assert any("**Agrees.**" in each for each in said(app))
    (tmp_path / "tokenizer.json").write_text("{}")
    assert any("no tokenizer that can be opened" in each.value for each in opened("inside", model=str(tmp_path)).error)


@pytest.mark.parametrize(
    "choice", [{"pair": "The dog."}, {"random": "1"}, {"several": "1", "text": "a table\nthe keys"}]
)
def test_inside_leaves_pairs_several_texts_and_random_weights_to_transformers(folders, choice):
    app = check(opened("inside", {"model": str(folders("bert")), "text": TEXTS[0], **choice}))
    assert not any("Computed here in numpy" in each for each in said(app))


def test_inside_is_compared_when_that_is_asked_for():
    pytest.importorskip("torch")
    app = check(opened("inside"))
    assert any("Computed here in numpy" in each for each in said(app))
    back = np.diagonal(model_layer_weights(TEXT, 3, 1), -1).mean()
    assert f"lies one token back, and this one has {number(back)}." in " ".join(said(app))
    app.button(key="inside.compare").click().run()
    assert any("**Agrees.**" in each for each in said(check(app)))
    assert any("gives the same weights as transformers to within" in each for each in said(app))
    assert any("**Agrees.**" in each for each in said(opened("inside")))
