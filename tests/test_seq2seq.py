"""Encoder-decoders against numbers by hand, torch's layers, and one another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attn import alignment, local_attention
from attn.architectures import seq2seq
from attn.architectures.recurrent import Carried, Recurrent, bahdanau_gru
from attn.architectures.seq2seq import END, START, Bahdanau, Luong, Transformer, influence, write
from attn.block import FeedForward, Layer, Norm
from attn.functional import softmax
from attn.multi_head import MultiHeadParameters

V_X, V_Y, M, N, HIDDEN, DEEP = 11, 7, 5, 3, 13, 2  # symbols read and written; widths
SOURCE, TARGET = np.array([4, 9, 2, 10, 4, 1]), np.array([3, 3, 6, 2, 1])


def arrays(rng, **shapes):
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def layer(rng, d_in, n, gates):
    return Recurrent(rng.normal(size=(d_in, gates * n)), rng.normal(size=(n, gates * n)), rng.normal(size=gates * n))


def bahdanau(seed=0):
    rng = np.random.default_rng(seed)
    return Bahdanau(
        **arrays(rng, source_embedding=(V_X, M), target_embedding=(V_Y, M), w_s=(N, N), b_s=N),
        **arrays(rng, u_o=(N, 2 * DEEP), v_o=(M, 2 * DEEP), c_o=(2 * N, 2 * DEEP), b_o=2 * DEEP, w_o=(DEEP, V_Y)),
        **arrays(rng, w_a=(N, HIDDEN), u_a=(2 * N, HIDDEN), v_a=HIDDEN),
        forward=layer(rng, M, N, 3),
        backward=layer(rng, M, N, 3),
        decoder=layer(rng, M + 2 * N, N, 3),
    )


def luong(seed=0, **options):
    rng = np.random.default_rng(seed)
    score = options.get("score", "general")
    given = arrays(rng, w_a=(2 * N, HIDDEN) if score == "concat" else (N, N), v_a=HIDDEN, w_p=(N, HIDDEN), v_p=HIDDEN)
    return Luong(
        **arrays(rng, source_embedding=(V_X, M), target_embedding=(V_Y, M), w_c=(2 * N, N), w_s=(N, V_Y), b_s=V_Y),
        **given,
        encoder=layer(rng, M, N, 4),
        decoder=layer(rng, M + N, N, 4),
        **options,
    )


def ported(module, cross=False):
    """Return the weights of a torch Transformer layer."""
    numbers = {name: tensor.detach().numpy().astype(np.float64) for name, tensor in module.named_parameters()}

    def attention(name):
        w, b = np.split(numbers[f"{name}.in_proj_weight"], 3), np.split(numbers[f"{name}.in_proj_bias"], 3)
        w_o, b_o = numbers[f"{name}.out_proj.weight"].T, numbers[f"{name}.out_proj.bias"]
        return MultiHeadParameters(*(one.T for one in w), w_o, *b, b_o, num_heads=module.self_attn.num_heads)

    def norm(at):
        return Norm(numbers[f"norm{at}.weight"], numbers[f"norm{at}.bias"])

    feed = FeedForward(
        numbers["linear1.weight"].T, numbers["linear1.bias"], numbers["linear2.weight"].T, numbers["linear2.bias"]
    )
    if not cross:
        return Layer(attention("self_attn"), norm(1), feed, norm(2))
    return Layer(attention("self_attn"), norm(1), feed, norm(3), attention("multihead_attn"), norm(2))


def transformer():
    """Return a Transformer of ours and the torch layers that it was made of."""
    torch.manual_seed(0)
    options = {"dim_feedforward": HIDDEN, "dropout": 0.0, "batch_first": True, "dtype": torch.float64}
    readers = [torch.nn.TransformerEncoderLayer(6, 2, **options) for _ in range(2)]
    writers = [torch.nn.TransformerDecoderLayer(6, 2, **options) for _ in range(2)]
    with torch.no_grad():
        for parameter in (p for module in (*readers, *writers) for p in module.parameters()):
            parameter += 0.3 * torch.randn_like(parameter)  # norms begin at 1 and 0, biases at 0
    rng = np.random.default_rng(0)
    ours = Transformer(
        **arrays(rng, source_embedding=(V_X, 6), target_embedding=(V_Y, 6), w_out=(6, V_Y), b_out=V_Y),
        encoder=tuple(map(ported, readers)),
        decoder=tuple(ported(module, cross=True) for module in writers),
    )
    return ours, readers, writers


MODELS = {
    "bahdanau": bahdanau(),
    "fixed": bahdanau().without_attention(),
    "luong": luong(),
    "local-m": luong(reach="local-m", half_width=1),
    "local-p": luong(reach="local-p", half_width=2),
    "transformer": transformer()[0],
}
each = pytest.mark.parametrize("name", MODELS)


# By hand


def test_the_additive_score_and_its_context_are_those_of_the_paper():
    """e, alpha and c for s = (1, 0), h = (1, 0), (0, 1), (1, 1), with unit matrices."""
    model = replace(bahdanau(), w_a=np.eye(2), u_a=np.eye(2), v_a=np.ones(2))
    read = model.read(SOURCE)._replace(annotations=np.array([[1.0, 0], [0, 1], [1, 1]]))
    weights, context = model.look(read, np.array([1.0, 0]))
    assert_allclose(weights, [0.204462, 0.357645, 0.437893], atol=5e-7)
    assert_allclose(context, [0.642355, 0.795538], atol=5e-7)


def test_weights_and_context_of_given_scores():
    assert_allclose(softmax([2, 0.5, 1]), [0.628532, 0.140244, 0.231224], atol=5e-7)
    assert_allclose(softmax([0, 0, np.log(2)]), [0.25, 0.25, 0.5])
    context = alignment.soft_read(softmax([2, 0.5, 1]), np.array([[1.0, 0], [0, 1], [1, 1]]))
    assert_allclose(context, [0.859756, 0.371468], atol=5e-7)


def test_without_v_a_every_weight_is_the_same():
    """Training begins there, appendix B.1."""
    weights = write(replace(bahdanau(), v_a=np.zeros(HIDDEN)), SOURCE, given=TARGET).weights
    assert_allclose(weights, 1 / len(SOURCE))


def test_the_concatenated_form_moves_nothing():
    model = bahdanau()
    read, state = model.read(SOURCE), np.random.default_rng(1).normal(size=N)
    scores = alignment.concat(state, read.annotations, w=np.vstack([model.w_a, model.u_a]), v=model.v_a)
    assert_allclose(model.look(read, state)[0], softmax(scores))


def test_what_is_the_same_for_every_row_can_be_computed_once():
    model = bahdanau()
    read, state = model.read(SOURCE), np.random.default_rng(1).normal(size=N)
    kept = read.annotations @ model.u_a
    scores = alignment.additive(state, kept, w_q=model.w_a, w_k=np.eye(HIDDEN), v=model.v_a)
    assert_allclose(model.look(read, state)[0], softmax(scores))


def test_a_step_of_bahdanau_written_out():
    model = bahdanau()
    read = model.read(SOURCE)
    state = np.tanh(read.steps.backward.state[0] @ model.w_s + model.b_s)
    assert_array_equal(read.start.carried.state, state)
    y = model.target_embedding[START]
    scores = [model.v_a @ np.tanh(model.w_a.T @ state + model.u_a.T @ h) for h in read.annotations]
    context = softmax(scores) @ read.annotations
    deep = state @ model.u_o + y @ model.v_o + context @ model.c_o + model.b_o
    pairs = np.array([max(deep[0], deep[1]), max(deep[2], deep[3])])
    moment = model.advance(read, read.start, START)
    assert_allclose(moment.probabilities, softmax(pairs @ model.w_o))
    next_state = bahdanau_gru(np.concatenate([y, context]), Carried(state), model.decoder).state
    assert_allclose(moment.carried.state, next_state)


@pytest.mark.parametrize("score", seq2seq.SCORES)
def test_a_step_of_luong_written_out(score):
    model = luong(score=score)
    written = write(model, SOURCE, given=TARGET)
    keys, query = written.read.annotations, written.steps.state[2]
    match = {
        "dot": lambda key: query @ key,
        "general": lambda key: query @ model.w_a @ key,
        "concat": lambda key: model.v_a @ np.tanh(np.concatenate([query, key]) @ model.w_a),
    }[score]
    assert_allclose(written.weights[2], softmax([match(key) for key in keys]))
    fed = np.tanh(np.concatenate([written.weights[2] @ keys, query]) @ model.w_c)
    assert_allclose(written.probabilities[2], softmax(fed @ model.w_s + model.b_s))


def test_local_m_walks_with_the_step():
    weights = write(MODELS["local-m"], SOURCE, given=TARGET).weights
    places = np.arange(len(SOURCE))
    for step, row in enumerate(weights):
        assert_array_equal(row > 0, abs(places - step) <= 1)
    assert_allclose(weights.sum(axis=1), 1)


def test_local_p_looks_where_it_predicts_and_its_weights_sum_to_less_than_1():
    written = write(MODELS["local-p"], SOURCE, given=TARGET)
    model, query = MODELS["local-p"], written.steps.state[1]
    centre = len(SOURCE) / (1 + np.exp(-(np.tanh(query @ model.w_p) @ model.v_p)))
    assert_allclose(written.centre[1], centre)
    near = local_attention.local_p(alignment.general(query, written.read.annotations, w=model.w_a), centre, 2)
    assert_allclose(written.weights[1], near.weights)
    assert (written.weights.sum(axis=1) < 1).all()


# The switch


def test_fixing_the_context_gives_the_plain_encoder_decoder():
    """Every row reads the same vector, and the alignment's weights no longer matter."""
    whole, fixed = bahdanau(), bahdanau().without_attention()
    written = write(fixed, SOURCE, given=TARGET)
    steps = written.read.steps
    assert written.weights is None
    assert_array_equal(written.context, np.tile(written.read.summary, (len(TARGET), 1)))
    assert_array_equal(written.read.summary, np.concatenate([steps.forward.state[-1], steps.backward.state[0]]))
    assert (np.abs(written.probabilities - write(whole, SOURCE, given=TARGET).probabilities).max(axis=1) > 1e-3).all()


def test_attention_that_has_one_symbol_to_read_is_the_switch():
    """With one symbol the only annotation is both last states."""
    one = np.array([3])
    attending, fixed = (write(model, one, given=TARGET) for model in (bahdanau(), bahdanau().without_attention()))
    assert_allclose(attending.probabilities, fixed.probabilities)


def test_not_feeding_is_feeding_nothing():
    model = luong()
    deaf = model.decoder.w_x.copy()
    deaf[M:] = 0
    silent = replace(model, decoder=replace(model.decoder, w_x=deaf))
    found = write(model.without_feeding(), SOURCE, given=TARGET).probabilities
    assert_allclose(found, write(silent, SOURCE, given=TARGET).probabilities)
    assert np.abs(found - write(model, SOURCE, given=TARGET).probabilities).max() > 1e-3


# torch's layers


def test_torch_reads_and_writes_the_same():
    ours, readers, writers = transformer()
    written = write(ours, SOURCE, given=TARGET)
    with torch.no_grad():
        memory = torch.tensor(ours.placed(ours.source_embedding, SOURCE))[None]
        for module in readers:
            memory = module(memory)
        assert_allclose(written.read.annotations, memory[0], atol=1e-10)
        before = np.array([START, *TARGET[:-1]])
        x = torch.tensor(ours.placed(ours.target_embedding, before))[None]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(len(before), dtype=torch.float64)
        for module in writers:
            x = module(x, memory, tgt_mask=mask)
    assert_allclose(written.probabilities, softmax(x[0].numpy() @ ours.w_out + ours.b_out), atol=1e-10)
    assert written.weights.shape == (2, 2, len(TARGET), len(SOURCE))


# Properties


@each
def test_probabilities_and_weights_are_shares(name):
    written = write(MODELS[name], SOURCE, given=TARGET)
    assert written.probabilities.shape == (len(TARGET), V_Y)
    assert_allclose(written.probabilities.sum(axis=-1), 1)
    if written.weights is not None:
        assert written.weights.shape[-2:] == (len(TARGET), len(SOURCE))
        assert (written.weights >= 0).all()
        if name != "local-p":
            assert_allclose(written.weights.sum(axis=-1), 1)


@each
def test_what_is_written_later_changes_nothing_before(name):
    other = TARGET.copy()
    other[3] = 5
    one, two = (write(MODELS[name], SOURCE, given=given).probabilities for given in (TARGET, other))
    assert_allclose(one[:4], two[:4], atol=1e-15)
    assert np.abs(one[4] - two[4]).max() > 1e-6


@each
def test_writing_freely_is_writing_what_one_has_written(name):
    free = write(MODELS[name], SOURCE, most=9)
    forced = write(MODELS[name], SOURCE, given=free.symbols)
    assert_allclose(forced.probabilities, free.probabilities)
    assert_array_equal(free.symbols, free.probabilities.argmax(axis=-1))
    assert len(free.symbols) <= 9
    assert END not in free.symbols[:-1]


@each
def test_influence_is_a_share_and_finds_what_matters(name):
    moved = influence(MODELS[name], SOURCE, TARGET)
    assert moved.shape == (len(TARGET), len(SOURCE))
    assert (moved >= 0).all()
    assert (moved <= 1).all()
    model, one_less = MODELS[name], SOURCE.copy()
    blurred = np.vstack([model.source_embedding, model.source_embedding.mean(axis=0)])
    one_less[2] = V_X
    other = write(replace(model, source_embedding=blurred), one_less, given=TARGET).probabilities
    expected = np.abs(other - write(model, SOURCE, given=TARGET).probabilities).sum(axis=1) / 2
    assert_allclose(moved[:, 2], expected)


def test_influence_of_what_is_never_read_is_none():
    """An encoder that carries nothing on, and windows that do not reach the last symbols."""
    model = MODELS["local-m"]
    bias = np.where(np.arange(4 * N) // N == 1, -1e9, model.encoder.b_x)  # every forget gate shut
    carries_nothing = replace(model.encoder, w_h=np.zeros_like(model.encoder.w_h), b_x=bias)
    moved = influence(replace(model, encoder=carries_nothing), [4, 9, 2, 10, 4, 1, 7], TARGET[:3])
    seen_so_far = np.tri(3, 6, 1, dtype=bool)  # what the decoder saw, it carries on; the last symbol it begins with
    assert_array_equal(moved[:, :-1] > 1e-12, seen_so_far)


# Bad inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: write(bahdanau(), []), "source must be one row of whole numbers, got float64 of shape (0,)"),
        (lambda: write(bahdanau(), [[1]]), "got int64 of shape (1, 1)"),
        (lambda: write(bahdanau(), [0.5]), "source must be one row of whole numbers, got float64 of shape (1,)"),
        (lambda: write(bahdanau(), [V_X]), "source must hold numbers from 0 to 10, got 11 to 11"),
        (lambda: write(luong(), [1], given=[-1]), "given must hold numbers from 0 to 6, got -1 to -1"),
        (lambda: write(luong(), [1], most=0), "most must be a whole number"),
        (lambda: luong(score="cosine"), "score must be one of general, dot, concat, got 'cosine'"),
        (lambda: luong(reach="near"), "reach must be one of global, local-m, local-p, got 'near'"),
        (lambda: luong(half_width=0), "half_width must be a whole number"),
    ],
)
def test_bad_inputs(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert message in str(error.value)
