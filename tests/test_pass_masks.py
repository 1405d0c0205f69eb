"""The masks of one pass: what one does, made once, and the cases in which it is hard to say whether it is causal."""

import gc
import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.families import tiny_models
from attn.pretrained.recording import registry
from attn.pretrained.recording.pass_masks import NO_MASK, PassMasks

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")

N = 7
LEAST = torch.finfo(torch.float32).min


def call_of(visible, n_q=N, n_k=N, calls_itself_causal=False):
    """Return a call with a mask; `visible` is booleans, a tensor as a model gives it, or None."""
    query, key = torch.zeros(len(visible) if visible is not None else 1, 3, n_q, 5), torch.zeros(1, 3, n_k, 5)
    mask = torch.from_numpy(visible) if isinstance(visible, np.ndarray) else visible
    return registry.Call(SimpleNamespace(is_causal=calls_itself_causal), query, key, key, mask)


def grid(n_q=N, n_k=N):
    """Return the places of queries and keys among the keys, to be compared."""
    return np.arange(n_k - n_q, n_k)[:, None], np.arange(n_k)[None]


def texts(*masks):
    """Return masks of several texts as one of a batch, (batch, 1, n_q, n_k)."""
    return np.stack(np.broadcast_arrays(*masks))[:, None]


ROW, COLUMN = grid()
EARLIER = COLUMN <= ROW
WINDOW = abs(ROW - COLUMN) <= 2
ALL = np.ones((N, N), dtype=bool)
PADDED = COLUMN < 4  # at the right
LEFT_PADDED = COLUMN >= 3
PICTURE = EARLIER | ((ROW < 4) & (COLUMN < 4))  # patches that see one another, then a text
LATE_ROW, LATE_COLUMN = grid(3)
LATE = LATE_COLUMN <= LATE_ROW

# mask, whether it is causal in a module that does not call itself causal, in one that does, and whether only causal
CASES = {
    "causal": (texts(EARLIER), True, True, True),
    "both ways": (texts(ALL), False, False, False),
    "a window to the left": (texts(EARLIER & WINDOW), True, True, False),
    "a window to both sides": (texts(WINDOW), False, False, False),
    "itself alone": (texts(ROW == COLUMN), False, True, False),
    "causal, a text padded": (texts(EARLIER, EARLIER & PADDED), True, True, False),
    "causal, a text padded at the left": (texts(EARLIER, EARLIER & LEFT_PADDED), True, True, False),
    "both ways, a text padded": (texts(ALL, PADDED), False, False, False),
    "both ways, a text padded at the left": (texts(ALL, LEFT_PADDED), False, False, False),
    "a window to both sides, padded": (texts(WINDOW & PADDED), False, False, False),
    "one token and padding": (texts(COLUMN < 1), False, True, False),
    "one row for all queries": (texts(COLUMN < N), False, False, False),
    "one row for all queries, padded": (texts(COLUMN < 4), False, False, False),
    "a picture before a text": (texts(PICTURE), False, True, False),
    "one text of a batch both ways": (texts(EARLIER, ALL), False, True, False),
    "one query": (np.ones((1, 1, 1, N), dtype=bool), False, True, True),
    "one query, the first keys hidden": (texts(COLUMN >= 2)[..., :1, :], False, True, False),
    "the last queries": (texts(LATE), True, True, True),
    "the last queries, both ways": (texts(np.ones((3, N), dtype=bool)), False, False, False),
    "the last queries, as if they were the first": (texts(EARLIER[:3]), False, True, False),
    "the last queries in a window": (
        texts((LATE_COLUMN <= LATE_ROW) & (LATE_ROW - LATE_COLUMN < 3)),
        True,
        True,
        False,
    ),
}
N_Q = {"one row for all queries": N, "one row for all queries, padded": N}


@pytest.mark.parametrize("name", CASES)
def test_a_call_is_causal_if_it_hides_later_keys(name):
    visible, without, calling_itself, _ = CASES[name]
    n_q = N_Q.get(name, visible.shape[2])
    for given in (visible, torch.from_numpy(visible), torch.where(torch.from_numpy(visible), 0.0, LEAST)):
        found = [PassMasks().is_causal(call_of(given, n_q, N, calls)) for calls in (False, True)]
        assert found == [without, calling_itself]


@pytest.mark.parametrize("name", CASES)
def test_a_mask_is_only_causal_if_it_hides_nothing_else(name):
    visible, _, _, only = CASES[name]
    assert PassMasks().is_only_causal(visible, N_Q.get(name, visible.shape[2]), N) is only


def test_without_a_mask_nothing_is_hidden_whatever_a_module_calls_itself():
    masks = PassMasks()
    for n_q, calls in itertools.product((1, N), (False, True)):
        assert masks.is_causal(call_of(None, n_q, N, calls)) is False
    assert masks.is_only_causal(None, N, N) is False
    assert masks.of(call_of(None)) == NO_MASK


def test_pairs_of_tokens_are_counted_as_by_a_loop():
    rng, seen = np.random.default_rng(5), set()
    for n_q, n_k in ((5, 5), (3, 5), (1, 5), (5, 3)):
        for visible in rng.random((40, 2, 1, n_q, n_k)) < 0.3:
            later = earlier = 0
            for text, row, key in itertools.product(range(2), range(n_q), range(n_k)):
                place = row + n_k - n_q
                real = place >= 0 and visible[text, 0, max(n_q - n_k, 0) :, place].any()
                if real and visible[text, 0, row, key] and key >= n_k - n_q:
                    later, earlier = later + (key > place), earlier + (key < place)
            expected = later < earlier if later else earlier > 0
            calls = call_of(visible, n_q, n_k, calls_itself_causal=True)
            assert PassMasks().is_causal(calls) is (bool(expected) or later == earlier == 0)
            seen.add(bool(expected))
    assert seen == {False, True}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_mask_to_be_added_is_taken_apart(dtype):
    least, visible = torch.finfo(dtype).min, torch.from_numpy(texts(EARLIER, EARLIER & PADDED))
    hiding = torch.where(visible, 0.0, least).to(dtype)
    mask = PassMasks().of(call_of(hiding))
    np.testing.assert_array_equal(mask.visible, visible)
    assert mask.bias is None
    assert mask.compact.dtype == torch.bool
    assert np.shares_memory(mask.compact.numpy(), mask.visible)
    assert not mask.visible.flags.writeable
    biased = torch.where(visible, 1.5, 0.9 * least).to(dtype)
    mask = PassMasks().of(call_of(biased))
    np.testing.assert_array_equal(mask.visible, visible)
    np.testing.assert_array_equal(mask.bias.float(), np.where(visible, 1.5, 0))
    assert mask.compact is biased


def test_a_row_for_all_queries_is_a_row_for_each():
    """So the encoder of Switch Transformers is given its mask: pages draw a row for each query."""
    mask = PassMasks().of(call_of(torch.from_numpy(texts(PADDED[:1]))))
    np.testing.assert_array_equal(mask.visible, np.broadcast_to(PADDED, (1, 1, N, N)))
    assert not mask.visible.flags.writeable
    built = tiny_models.tiny("switch_transformers")
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "decoder_input_ids": ids[:, :3]}
    recording = pretrained.record(pretrained.wrap(built.model), inputs=inputs)
    assert {layer.mask.shape for layer in recording.layers if layer.kind == "encoder"} == {(1, 1, 5, 5)}
    assert max(difference.largest for difference in pretrained.compare(recording)) <= pretrained.TOLERANCE


def test_all_that_is_made_of_a_mask_is_made_once():
    masks, made = PassMasks(), []

    def make(mask, *settings):
        made.append((mask, settings))
        return len(made)

    first, second = torch.from_numpy(texts(EARLIER)), torch.from_numpy(texts(EARLIER))
    assert [masks.once(make, first), masks.once(make, second), masks.once(make, first), masks.once(make, None)] == [
        1, 2, 1, 3,
    ]  # fmt: skip
    assert [masks.once(make, first, N), masks.once(make, first, N), masks.once(make, None)] == [4, 4, 3]
    assert masks.of(call_of(first)) is masks.of(call_of(first, calls_itself_causal=True))
    assert masks.of(call_of(first)).visible is not masks.of(call_of(second)).visible


def test_a_mask_is_held_so_that_no_other_takes_its_identity():
    masks = PassMasks()
    mask = torch.where(torch.from_numpy(texts(EARLIER)), 0.0, LEAST)  # what is made of it does not hold it
    held = weakref.ref(mask)
    masks.of(call_of(mask))
    del mask
    gc.collect()
    assert held() is not None
    del masks
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("n_q", [1, 3, N])
def test_a_causal_flag_for_the_fused_attention_counts_from_the_last_key(n_q):
    query, key, value = (torch.randn(1, 3, n, 5, generator=torch.manual_seed(n)) for n in (n_q, N, N))
    mask = torch.where(torch.ones(n_q, N).tril(N - n_q).bool(), 0.0, LEAST)[None, None]
    call = registry.Call(SimpleNamespace(), query, key, value, mask, scaling=0.4)
    np.testing.assert_allclose(registry.fused(call, causal=True)[0], registry.fused(call)[0], atol=1e-6)


def test_one_word_and_padding_are_no_decoder():
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 17}
    for family, kind in (("Bert", "encoder"), ("Llama", "decoder")):
        config = getattr(transformers, f"{family}Config")(vocab_size=53, pad_token_id=0, **sizes)
        loaded = pretrained.wrap(transformers.AutoModel.from_config(config))
        inputs = {"input_ids": torch.tensor([[11, 0, 0]]), "attention_mask": torch.tensor([[1, 0, 0]])}
        assert {layer.kind for layer in pretrained.record(loaded, inputs=inputs).layers} == {kind}
