"""Models built of torch's own parts, and of sentence-transformers: recorded as they are, whatever path torch takes."""

import copy
import io
import threading

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.run import output_gap, run
from attn.pretrained.recording import registry

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
nn = torch.nn
pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),
]

BATCH, N_Q, N_K, D = 3, 7, 5, 12


def drawn(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(build, *args, **options):
    torch.manual_seed(11)
    return build(*args, **options).eval()


def passed(module, inputs):
    with torch.inference_mode():
        return module(**inputs)


def largest(recording):
    return max(difference.largest for difference in pretrained.compare(recording))


def later_hidden(n):
    return torch.ones(n, n, dtype=torch.bool).triu(1)


# torch.nn.MultiheadAttention


OPTIONS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "bias of keys and values": {"add_bias_kv": True},
    "zero attention": {"add_zero_attn": True, "batch_first": True},
    "both": {"add_bias_kv": True, "add_zero_attn": True},
    "other widths": {"kdim": 8, "vdim": 10, "batch_first": True},
}
MASKS = {
    "nothing": {},
    "no weights": {"need_weights": False},
    "each head": {"average_attn_weights": False},
    "booleans": {"attn_mask": torch.ones(N_Q, N_K, dtype=torch.bool).triu(2)},
    "numbers": {"attn_mask": drawn(N_Q, N_K)},
    "a mask a head": {"attn_mask": drawn(BATCH * 4, N_Q, N_K), "need_weights": False},
    "padding": {"key_padding_mask": torch.arange(N_K)[None] >= torch.tensor([[5], [3], [4]])},
    "both": {"attn_mask": torch.ones(N_Q, N_K, dtype=torch.bool).triu(2), "need_weights": False,
             "key_padding_mask": torch.arange(N_K)[None] >= torch.tensor([[5], [3], [4]])},
}  # fmt: skip


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("options", OPTIONS)
def test_attention_from_scratch_is_that_of_torch(options, masks):
    options, masks = OPTIONS[options], MASKS[masks]
    module = seeded(nn.MultiheadAttention, D, 4, **options)
    first = bool(options.get("batch_first"))
    shapes = {"query": (N_Q, D), "key": (N_K, options.get("kdim", D)), "value": (N_K, options.get("vdim", D))}
    made = {name: drawn(BATCH, *shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    inputs = {name: x if first else x.transpose(0, 1) for name, x in made.items()} | masks
    own, weights = passed(module, inputs | {"need_weights": True, "average_attn_weights": False})
    loaded = pretrained.wrap(module)
    (layer,) = pretrained.record(loaded, inputs=inputs).layers
    assert (layer.kind, layer.num_heads, layer.name) == ("cross", 4, "MultiheadAttention")
    np.testing.assert_allclose(layer.weights(), weights.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(layer.reference_weights(), weights.numpy())
    merged = torch.from_numpy(layer.attention().context).transpose(1, 2).flatten(2)
    ours = module.out_proj(merged).detach()
    np.testing.assert_allclose(ours.numpy(), (own if first else own.transpose(0, 1)).numpy(), rtol=0, atol=1e-5)
    assert output_gap(loaded, inputs=inputs) < 1e-5


def test_a_layer_of_one_sequence_is_no_cross_attention():
    x = drawn(BATCH, N_Q, D)
    loaded = pretrained.wrap(seeded(nn.MultiheadAttention, D, 4, batch_first=True))
    causal = {"attn_mask": later_hidden(N_Q), "is_causal": True, "need_weights": False}
    kinds = {}
    for name, inputs in {
        "one array": {"query": x, "key": x, "value": x},
        "one array of numpy": dict.fromkeys(("query", "key", "value"), x.numpy()),
        "equal arrays": {"query": x, "key": x.clone(), "value": x.clone()},
        "causal": {"query": x, "key": x, "value": x} | causal,
        "another": {"query": x, "key": x + 1, "value": x},
    }.items():
        (layer,) = pretrained.record(loaded, inputs=inputs).layers
        kinds[name] = layer.kind
    expected = {"one array": "encoder", "one array of numpy": "encoder", "equal arrays": "encoder"}
    assert kinds == expected | {"causal": "decoder", "another": "cross"}


@pytest.mark.parametrize("hint", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_a_causal_hint_does_what_torch_makes_of_it(hint, wanted):
    x = drawn(BATCH, N_Q, D)
    module = seeded(nn.MultiheadAttention, D, 3, batch_first=True)
    options = {"attn_mask": later_hidden(N_Q), "is_causal": hint, "need_weights": wanted}
    inputs = {"query": x, "key": x, "value": x} | options
    own = passed(module, inputs)[0]
    (layer,) = pretrained.record(pretrained.wrap(module), inputs=inputs).layers
    assert not layer.mask[0, 0, 2, 3]
    assert layer.mask[0, 0, 3, 2]
    ours = module.out_proj(torch.from_numpy(layer.attention().context).transpose(1, 2).flatten(2)).detach()
    np.testing.assert_allclose(ours.numpy(), own.numpy(), rtol=0, atol=1e-5)


def test_without_a_batch_there_is_one_row():
    x = drawn(N_Q, D)
    module = seeded(nn.MultiheadAttention, D, 2)
    _own, weights = passed(module, {"query": x, "key": x, "value": x})
    (layer,) = pretrained.record(pretrained.wrap(module), inputs={"query": x, "key": x, "value": x}).layers
    assert layer.query.shape == (1, 2, N_Q, D // 2)
    np.testing.assert_allclose(layer.weights().mean(axis=1)[0], weights.numpy(), rtol=0, atol=1e-6)


def test_heads_and_rows_of_the_reference_are_those_that_are_asked_for():
    x = drawn(BATCH, N_Q, D)
    module = seeded(nn.MultiheadAttention, D, 4, batch_first=True)
    (layer,) = pretrained.record(pretrained.wrap(module), inputs={"query": x, "key": x, "value": x}).layers
    whole = layer.reference_weights()
    np.testing.assert_array_equal(layer.reference_weights(2, slice(1, 4)), whole[:, 2:3, 1:4])
    np.testing.assert_array_equal(layer.reference_weights([3, 0]), whole[:, [3, 0]])


def test_a_query_that_sees_nothing_reaches_no_other():
    x = drawn(BATCH, N_Q, D)
    module = seeded(nn.TransformerEncoder, nn.TransformerEncoderLayer(D, 2, 19, batch_first=True), 2)
    left = torch.arange(N_Q)[None] < torch.tensor([[0], [3], [1]])  # with the causal mask, padding sees nothing
    inputs = {"src": x, "mask": later_hidden(N_Q), "src_key_padding_mask": left}
    recording = pretrained.record(pretrained.wrap(module), inputs=inputs)
    assert largest(recording) < 1e-6
    assert np.isfinite(recording.layers[1].weights()).all()
    one = pretrained.record(pretrained.wrap(module), inputs={"src": x[1:2, 3:], "mask": later_hidden(N_Q - 3)})
    np.testing.assert_allclose(
        recording.layers[1].weights()[1, :, 3:, 3:], one.layers[1].weights()[0], rtol=0, atol=1e-6
    )


# stacks


def stack(kind, first, norm_first=False):
    options = {"batch_first": first, "norm_first": norm_first, "dropout": 0.3}
    if kind == "encoder":
        layer = nn.TransformerEncoderLayer(D, 4, 19, **options)
        return nn.TransformerEncoder(layer, 3, enable_nested_tensor=not norm_first)
    if kind == "decoder":
        return nn.TransformerDecoder(nn.TransformerDecoderLayer(D, 4, 19, **options), 2)
    return nn.Transformer(D, 4, 2, 2, 19, **options)


def stack_inputs(kind, first, padded=True):
    source, target = drawn(BATCH, N_K, D, seed=1), drawn(BATCH, N_Q, D, seed=2)
    source, target = (source, target) if first else (source.transpose(0, 1), target.transpose(0, 1))
    padding = torch.arange(N_K)[None] >= torch.tensor([[5], [3], [4]])
    if kind == "encoder":
        return {"src": source} | ({"src_key_padding_mask": padding} if padded else {})
    if kind == "decoder":
        mask = {"memory_key_padding_mask": padding} if padded else {}
        return {"tgt": target, "memory": source, "tgt_mask": later_hidden(N_Q)} | mask
    mask = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding} if padded else {}
    return {"src": source, "tgt": target, "tgt_mask": later_hidden(N_Q), "tgt_is_causal": True} | mask


KINDS = {
    "encoder": ["encoder"] * 3,
    "decoder": ["decoder", "cross"] * 2,
    "both": ["encoder"] * 2 + ["decoder", "cross"] * 2,
}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("first", "norm_first"), [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_stacks_are_recorded_layer_by_layer_though_torch_has_faster_paths(kind, first, norm_first, padded):
    module = seeded(stack, kind, first, norm_first)
    inputs = stack_inputs(kind, first, padded)
    plain = passed(module, inputs)
    loaded = pretrained.wrap(module)
    recording = pretrained.record(loaded, inputs=inputs)
    assert [layer.kind for layer in recording.layers] == KINDS[kind]
    assert loaded.num_layers == len(KINDS[kind])
    assert loaded.num_heads == 4
    assert largest(recording) < 1e-6
    with registry.handling(registry.eager, module):
        handled = passed(module, inputs)
    real = torch.ones(plain.shape[:2], dtype=torch.bool)
    if kind == "encoder" and padded:  # of padding the fast path makes 0
        real = ~inputs["src_key_padding_mask"] if first else ~inputs["src_key_padding_mask"].T
    np.testing.assert_allclose(handled[real].numpy(), plain[real].numpy(), rtol=0, atol=2e-6)
    assert output_gap(loaded, inputs=inputs) < 1e-5
    assert torch.equal(passed(module, inputs), plain)  # which takes the fast path again


def test_the_fast_path_of_an_encoder_is_left_only_within_a_recorded_pass(monkeypatch):
    taken = []
    fast = torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *given: taken.append(1) or fast(*given))
    module, inputs = seeded(stack, "encoder", True), stack_inputs("encoder", True)
    loaded = pretrained.wrap(module)
    passed(module, inputs)
    assert len(taken) == 3
    assert len(pretrained.record(loaded, inputs=inputs).layers) == 3
    assert len(taken) == 3


# one's own modules


class Classifier(nn.Module):
    """Embeddings, an encoder of torch, and a look at all of it by a learned query."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(40, D)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 2, 17, batch_first=True), 2)
        self.query = nn.Parameter(torch.randn(1, 1, D))
        self.look = nn.MultiheadAttention(D, 3, batch_first=True)
        self.head = nn.Linear(D + 1, 2)

    def forward(self, input_ids, attention_mask=None):
        hidden_keys = None if attention_mask is None else attention_mask == 0
        x = self.encoder(self.words(input_ids), src_key_padding_mask=hidden_keys)
        pooled, weights = self.look(self.query.expand(len(x), -1, -1), x, x, key_padding_mask=hidden_keys)
        return self.head(torch.cat([pooled[:, 0], weights[:, 0, :1]], dim=-1))


class Block(nn.Module):
    """Causal attention of grouped heads with torch's function, called by a method of its own."""

    def __init__(self, causal=True, grouped=False):
        super().__init__()
        self.causal, self.kv = causal, 2 if grouped else 4
        self.q, self.k, self.v = nn.Linear(D, D), nn.Linear(D, 3 * self.kv), nn.Linear(D, 3 * self.kv)

    def attend(self, q, k, v):
        mask = None if self.causal else torch.full((N_Q, N_Q), 0.3).triu()
        options = {"attn_mask": mask, "is_causal": self.causal, "scale": 0.4, "enable_gqa": self.kv < 4}
        return nn.functional.scaled_dot_product_attention(q, k, v, **options)

    def forward(self, x):
        q, k, v = (y.unflatten(-1, (-1, 3)).transpose(1, 2) for y in (self.q(x), self.k(x), self.v(x)))
        return x + self.attend(q, k, v).transpose(1, 2).flatten(2)


class OneHead(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


class OnBert(nn.Module):
    """A head of one's own on a model of transformers."""

    def __init__(self, implementation="sdpa"):
        super().__init__()
        config = transformers.BertConfig(vocab_size=40, hidden_size=D, num_hidden_layers=2, num_attention_heads=3,
                                         intermediate_size=17)  # fmt: skip
        self.bert = transformers.BertModel._from_config(config, attn_implementation=implementation)
        self.look = nn.MultiheadAttention(D, 2)

    def forward(self, input_ids):
        x = self.bert(input_ids).last_hidden_state.transpose(0, 1)
        return self.look(x[:1], x, x, need_weights=False)[0][0]


IDS = torch.tensor([[7, 3, 11, 5, 2], [4, 9, 8, 1, 0]])


def test_a_model_of_ones_own_is_recorded_with_all_its_parts():
    module = seeded(Classifier)
    loaded = pretrained.wrap(module, name="mine")
    inputs = {"input_ids": IDS, "attention_mask": (IDS > 1).long()}
    plain = passed(module, inputs)
    recording = pretrained.record(loaded, inputs=inputs)
    names = [f"encoder.layers.{i}.self_attn" for i in range(2)]
    assert [layer.name for layer in recording.layers] == [*names, "look"]
    assert [layer.kind for layer in recording.layers] == ["encoder", "encoder", "cross"]
    for row, one in enumerate(recording.batch):
        read = IDS[row][IDS[row] > 1].tolist()
        assert [token.text for token in one.layers[0].query_tokens] == [str(id) for id in read]
    assert largest(recording) < 1e-6
    assert not recording.layers[2].mask[1, 0, 0, 3]
    assert output_gap(loaded, inputs=inputs) < 1e-6
    assert (loaded.name, loaded.family, loaded.num_heads) == ("mine", "Classifier", None)
    assert torch.equal(passed(module, inputs), plain)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_torchs_function_is_recorded_wherever_a_module_calls_it(causal, grouped):
    x = drawn(BATCH, N_Q, D)
    module = seeded(lambda: nn.Sequential(Block(causal, grouped), Block(causal, grouped)))
    loaded = pretrained.wrap(module)
    recording = pretrained.record(loaded, inputs={"input": x})
    assert [layer.name for layer in recording.layers] == ["0", "1"]
    assert {layer.kind for layer in recording.layers} == {"decoder" if causal else "encoder"}
    assert {(layer.num_heads, layer.num_kv_heads, layer.scale) for layer in recording.layers} == {
        (4, 2 if grouped else 4, 0.4)
    }
    assert largest(recording) < 1e-6
    context = recording.layers[1].attention().context
    own = passed(module, {"input": x})
    before = torch.from_numpy(recording.layers[0].attention().context).transpose(1, 2).flatten(2) + x
    np.testing.assert_allclose(
        (torch.from_numpy(context).transpose(1, 2).flatten(2) + before).numpy(), own.numpy(), rtol=0, atol=1e-5
    )
    assert output_gap(loaded, inputs={"input": x}) < 1e-5


@pytest.mark.parametrize("shape", [(N_Q, D), (BATCH, N_Q, D), (BATCH, 2, N_Q, D), (2, BATCH, 4, N_Q, D)])
def test_arrays_of_any_number_of_axes_keep_their_shape(shape):
    x = drawn(*shape)
    loaded = pretrained.wrap(seeded(OneHead))
    (layer,) = pretrained.record(loaded, inputs={"x": x}).layers
    heads = shape[-3] if len(shape) > 3 else 1
    np.testing.assert_array_equal(layer.query, x.reshape(-1, heads, N_Q, D).numpy())
    assert largest(pretrained.record(loaded, inputs={"x": x})) < 1e-6
    with registry.handling(registry.eager, loaded.model):
        assert passed(loaded.model, {"x": x}).shape == x.shape


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_model_of_transformers_inside_asks_the_registry(implementation):
    module = seeded(OnBert, implementation)
    plain = passed(module, {"input_ids": IDS})
    loaded = pretrained.wrap(module)
    recording = pretrained.record(loaded, inputs={"input_ids": IDS})
    assert [layer.kind for layer in recording.layers] == ["encoder", "encoder", "cross"]
    assert [layer.name for layer in recording.layers][::2] == ["bert.encoder.layer.0.attention.self", "look"]
    assert loaded.num_layers == 3
    assert largest(recording) < 1e-6
    assert output_gap(loaded, inputs={"input_ids": IDS}) < 1e-6
    assert torch.equal(passed(module, {"input_ids": IDS}), plain)


@pytest.mark.parametrize("number_type", [torch.bfloat16, torch.float16])
def test_shorter_numbers_are_compared_in_float32(number_type):
    module = seeded(stack, "encoder", True).to(number_type)
    loaded = pretrained.wrap(module)
    inputs = {"src": drawn(BATCH, N_Q, D).to(number_type), "is_causal": False}
    recording = pretrained.record(loaded, inputs=inputs)
    assert largest(recording) < 1e-6
    rounded = pretrained.compare(recording, in_float32=False)
    assert 1e-5 < max(difference.largest for difference in rounded) < 1e-2
    assert output_gap(loaded, inputs=inputs) < 1e-5
    assert recording.nbytes > inputs["src"].nbytes


def test_a_change_reaches_what_a_module_makes_of_its_weights():
    module = seeded(Classifier)
    loaded = pretrained.wrap(module)
    inputs = {"input_ids": IDS}
    with registry.handling(registry.eager, module):
        own = passed(module, inputs)
    plain = run(loaded, inputs=inputs)
    changed = run(loaded, changes=Changes(patterns={(2, 1): "first"}), inputs=inputs)
    assert (plain.logits, plain.hidden, plain.num_heads) == (None, None, (2, 2, 3))
    np.testing.assert_array_equal(changed.weights(2, 1), [[1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(changed.weights(2, 0), plain.weights(2, 0))
    taken = []
    keep = module.head.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    run(loaded, changes=Changes(patterns={(2, head): "first" for head in range(3)}), inputs=inputs)
    keep.remove()
    np.testing.assert_allclose(taken[0][:, -1].numpy(), 1, atol=1e-6)  # the weight of the first key
    assert own.shape == (2, 2)


def test_a_layer_comes_from_its_input():
    x = drawn(BATCH, N_Q, D)
    module = seeded(stack, "encoder", True)
    loaded = pretrained.wrap(module)
    layer = pretrained.record(loaded, inputs={"src": x}).layers[1]
    made = pretrained.from_input(loaded, layer)
    np.testing.assert_allclose(made.steps.output, made.reference_output, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(made.parameters.w_k, module.layers[1].self_attn.in_proj_weight[D : 2 * D].T.detach())


# outside a recorded pass nothing is ours


def test_nothing_of_ours_is_in_the_model_or_in_torch():
    functions = nn.MultiheadAttention.forward, nn.functional.multi_head_attention_forward
    module, inputs = seeded(Classifier), {"input_ids": IDS}
    untouched = seeded(Classifier)
    pretrained.record(pretrained.wrap(module), inputs=inputs)
    assert (nn.MultiheadAttention.forward, nn.functional.multi_head_attention_forward) == functions
    assert vars(module).keys() == vars(untouched).keys()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    assert b"attn" not in file.getvalue().replace(b"self_attn", b"")
    for each in (module, copy.deepcopy(module)):
        assert torch.equal(passed(each, inputs), passed(untouched, inputs))
    assert [len(part._forward_pre_hooks) for part in module.modules()] == [0] * len(list(module.modules()))
    scripted = torch.jit.script(seeded(nn.MultiheadAttention, D, 2))
    x = drawn(N_Q, 1, D)
    assert scripted(x, x, x)[0].shape == x.shape


def test_a_plain_pass_beside_a_recorded_one_is_not_recorded():
    module, inputs = seeded(stack, "encoder", True), stack_inputs("encoder", True)
    loaded = pretrained.wrap(module)
    expected = passed(module, inputs)
    stop, results = threading.Event(), []

    def plainly():
        while not stop.is_set():
            results.append(torch.allclose(passed(module, inputs), expected, atol=1e-6))

    thread = threading.Thread(target=plainly)
    thread.start()
    counts = [len(pretrained.record(loaded, inputs=inputs).layers) for _ in range(20)]
    stop.set()
    thread.join()
    assert set(counts) == {3}
    assert results
    assert all(results)


def test_training_mode_is_left_and_said():
    module = stack("encoder", True).train()
    assert "was in training mode" in pretrained.wrap(module, name="mine").note
    assert not module.training
    compiled = torch.compile(module, backend="eager")
    recording = pretrained.record(pretrained.wrap(compiled), inputs=stack_inputs("encoder", True))
    assert len(recording.layers) == 3


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Linear(3, 3), "there is no attention in Linear, which is a Linear model"),
        (5, "a model must be a torch.nn.Module, got int"),
        ("a-name", "a model must be a torch.nn.Module, got str"),
    ],
)
def test_what_has_no_attention_is_refused(model, sentence):
    with pytest.raises(pretrained.ModelError, match=sentence):
        pretrained.wrap(model)


def test_attention_written_by_hand_is_refused():
    class HandmadeAttention(nn.Module):
        def forward(self, x):
            return (x @ x.transpose(-1, -2)).softmax(-1) @ x

    with pytest.raises(pretrained.ModelError, match="HandmadeAttention attends in a way of its own: a model that is"):
        pretrained.wrap(HandmadeAttention())


def test_bad_inputs_say_why():
    loaded = pretrained.wrap(seeded(nn.MultiheadAttention, D, 2), name="mine")
    x = drawn(N_Q, BATCH, D)
    with pytest.raises(pretrained.ModelError, match=r"mine cannot read this input: .*missing"):
        pretrained.record(loaded, inputs={"query": x})
    with pytest.raises(pretrained.ModelError, match=r"mine cannot read this input: .*attn_mask.* should be"):
        pretrained.record(loaded, inputs={"query": x, "key": x, "value": x, "attn_mask": later_hidden(N_Q + 1)})
    with pytest.raises(pretrained.ModelError, match="mine has no tokenizer"):
        pretrained.record(loaded, "a text")


# sentence-transformers


class FirstModule(nn.Module):
    """What the first module of a SentenceTransformer has: a model of transformers and its tokenizer."""

    def __init__(self, model, tokenizer, max_seq_length):
        super().__init__()
        self.auto_model, self.tokenizer, self.max_seq_length = model, tokenizer, max_seq_length

    def forward(self, features):
        hidden = self.auto_model(**features).last_hidden_state
        return features | {"token_embeddings": hidden}


class Pooling(nn.Module):
    def forward(self, features):
        real = features["attention_mask"][..., None]
        return features | {"sentence_embedding": (features["token_embeddings"] * real).sum(1) / real.sum(1)}


class StandIn(nn.Sequential):
    """What a SentenceTransformer is: modules one after another, and a way to encode."""

    def encode(self, text):
        with torch.inference_mode():
            return self(self[0].tokenizer(text, return_tensors="pt"))["sentence_embedding"][0].numpy()


def sentence_transformer(kind, minilm):
    if kind == "stand-in":
        return StandIn(FirstModule(minilm.model, minilm.tokenizer, 9), Pooling())
    package = pytest.importorskip("sentence_transformers")
    minilm.model.save_pretrained(kind)
    minilm.tokenizer.save_pretrained(kind)
    return package.SentenceTransformer(str(kind), device="cpu")


@pytest.mark.parametrize("kind", ["stand-in", "package"])
def test_a_sentence_transformer_is_its_first_module(kind, tmp_path):
    minilm = pretrained.load()
    model = sentence_transformer(kind if kind == "stand-in" else tmp_path, minilm).eval()
    if kind == "package":
        model.max_seq_length = 9
    text = "The keys are on the table."
    loaded = pretrained.wrap(model, name="mine")
    recording = pretrained.record(loaded, text)
    own = pretrained.record(minilm, text)
    assert [token.text for token in recording.tokens] == [token.text for token in own.tokens]
    for one, other in zip(recording.layers, own.layers, strict=True):
        np.testing.assert_allclose(one.weights(), other.weights(), rtol=0, atol=1e-6)
    assert largest(recording) < 1e-6
    assert pretrained.record(loaded, text * 3).truncated_from == 23
    assert len(pretrained.record(loaded, text * 3).tokens) == loaded.max_tokens == 9
    embedding = model.encode(text)
    np.testing.assert_allclose(run(loaded, text).embedding, embedding / np.linalg.norm(embedding), rtol=0, atol=1e-5)
