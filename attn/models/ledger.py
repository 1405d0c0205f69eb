"""Why a score is as high as it is, and who spoke for a word: accounts that add up.

The state of a token is a sum: its embedding, its position, what each head of each earlier layer added, what each
feed-forward network added. Once the scale of each norm is held at the value it really had, all that follows up to a
score is linear. So a score is the sum of a table, parts of the query's token by parts of the key's, and the score of a
next word a sum over parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attn.block import Norm
from attn.functional import as_real, layer_norm, rms_norm, softmax, whole_number
from attn.models import bert, gpt2, llama, passes
from attn.models.checkpoint import token_ids
from attn.models.head_weights import num_heads
from attn.models.layer_parts import Model, Passed, attention_matrices, layer_attention
from attn.models.rotary_scaling import turning
from attn.positions import rotate


class Part(NamedTuple):
    """One summand of a state.

    The biases of values stand with what their heads wrote, and that of a feed-forward network with what it made.
    """

    kind: str  # embedding, position, type, head, feed_forward, or bias: what projections and norms add by themselves
    layer: int | None = None  # counted from 0
    head: int | None = None


class Parts(NamedTuple):
    """The summands of the state of one token."""

    names: tuple[Part, ...]
    vectors: np.ndarray  # (parts, d_model) in float64


class Ledger(NamedTuple):
    """A score as a sum over pairs of parts."""

    query_parts: tuple[Part, ...]
    key_parts: tuple[Part, ...]
    table: np.ndarray  # (query parts, key parts), which sums to the score before any softcap

    @property
    def score(self) -> float:
        """The sum of the table."""
        return float(self.table.sum())

    def largest(self, count: int) -> list[tuple[Part, Part, float]]:
        """Return the pairs of parts that moved the score most, the strongest first: of query, of key, how far."""
        order = np.argsort(-np.abs(self.table), axis=None)[: whole_number("count", count)]
        places = zip(*np.unravel_index(order, self.table.shape), strict=True)
        return [
            (self.query_parts[row], self.key_parts[column], float(self.table[row, column])) for row, column in places
        ]


def grouped(made: Ledger, by: str = "layer") -> Ledger:
    """Return a ledger whose parts are joined.

    Parameters
    ----------
    made
    by
        "layer": the heads of a layer are one part, and all biases are. "kind": all heads are one part, all
        feed-forward networks, and all biases.

    Returns
    -------
    Ledger
        With the same sum.

    Raises
    ------
    ValueError
        If `by` is another word.
    """
    if by not in ("layer", "kind"):
        raise ValueError(f"by must be layer or kind, got {by!r}")

    def groups(parts):
        joined = [Part(part.kind, None if part.kind == "bias" or by == "kind" else part.layer) for part in parts]
        names = list(dict.fromkeys(joined))
        return tuple(names), np.array([[name == each for each in joined] for name in names], float)

    (query_parts, rows), (key_parts, columns) = groups(made.query_parts), groups(made.key_parts)
    return Ledger(query_parts, key_parts, rows @ made.table @ columns.T)


def head_source(passed: Passed, part: Part, token: int) -> tuple[int, float]:
    """Return the token at which a head looks most from another, and with which weight.

    Parameters
    ----------
    passed
        As `state_parts` takes it.
    part
        What one head wrote.
    token
        Position in the text, from which it looks.

    Returns
    -------
    int
        Position in the text.
    float

    Raises
    ------
    ValueError
        If there is no such head or token.
    """
    weights = layer_attention(passed, _number_of("layer", part.layer)).weights
    rows = weights[whole_number("head", _number_of("head", part.head), most=len(weights) - 1)]
    row = rows[whole_number("token", token, most=len(rows) - 1)]
    return int(row.argmax()), float(row.max())


def _number_of(name, number):
    """Return the layer or the head of a part that must have one."""
    if number is None:
        raise ValueError(f"part must have a {name}, got one without")
    return number


def part_label(part: Part, passed: Passed, token: int, labels: Sequence[str]) -> str:
    """Return a part of the state of a token as a short label, layers and heads counted from 1.

    Parameters
    ----------
    part, passed, token
        As `head_source` takes them; the part may be of any kind.
    labels
        Of the tokens of the text.

    Returns
    -------
    str
        Of a head with the token at which it looks most: ``2.5 → animal`` of head 5 in layer 2.

    Raises
    ------
    ValueError
        As `head_source`, and if labels are not one for each token.
    """
    if len(labels) != len(passed.ids):
        raise ValueError(f"labels must be one for each of {len(passed.ids)} tokens, got {len(labels)}")
    if part.kind == "head":
        source, _ = head_source(passed, part, token)
        layer, head = _number_of("layer", part.layer), _number_of("head", part.head)
        return f"{layer + 1}.{head + 1} → {labels[source]}"
    if part.kind == "feed_forward":
        return f"feed-forward {_number_of('layer', part.layer) + 1}"
    if part.kind == "bias":
        return "first norm" if part.layer is None else f"biases of {part.layer + 1}"
    return "segment" if part.kind == "type" else part.kind


def group_label(part: Part) -> str:
    """Return a part of a ledger that was `grouped` as a short label, layers counted from 1.

    Examples
    --------
    >>> group_label(Part("head", 2)), group_label(Part("feed_forward"))
    ('heads 3', 'all feed-forward')
    """
    of_all = {"head": "all heads", "feed_forward": "all feed-forward", "bias": "biases", "type": "segment"}
    if part.layer is None:
        return of_all.get(part.kind, part.kind)
    return f"{'heads' if part.kind == 'head' else 'feed-forward'} {part.layer + 1}"


class Contributions(NamedTuple):
    """What each part of a last state said for a word."""

    parts: tuple[Part, ...]
    shares: np.ndarray  # (parts,), which sum to the word's score before any softcap

    @property
    def total(self) -> float:
        """The sum of all shares."""
        return float(self.shares.sum())


class LensWords(NamedTuple):
    """What each state would say, and how far it is from what the model says at the end."""

    ids: np.ndarray  # (num_layers + 1, n) of the likeliest word
    probabilities: np.ndarray  # (num_layers + 1, n) that it would have; of an encoder, the cosine
    ranks: np.ndarray  # (num_layers + 1, n) of the word that the last state says, from 1


def state_parts(model: Model, passed: Passed, layer: int, token: int) -> Parts:
    """Take the state that a layer reads apart into what made it.

    Parameters
    ----------
    model
    passed
        Of the model's own ``forward``, without a cache; of a model that writes with ``steps=True``.
    layer
        From 0; as many as there are layers means the state after the last.
    token
        Position in the text.

    Returns
    -------
    Parts
        Their sum is the state. Heads are as they arrive after the norms on their way, held at their real scales.

    Raises
    ------
    ValueError
        If there is no such layer or token, or a pass kept no steps.

    Notes
    -----
    That residual streams are sums is [1]_, "Residual Stream as a Communication Channel"; held norms are the
    appendix of [2]_.

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    .. [2] Kobayashi et al., 2021. arXiv:2109.07152
    """
    _check(model, passed, layer, token)
    walk = {bert.Bert: _of_bert, gpt2.GPT2: _of_gpt2, llama.Llama: _of_llama}[type(model)]
    parts = walk(model, passed, layer, token)
    return Parts(tuple(parts), np.array(list(parts.values())))


def projected_parts(
    model: Model, passed: Passed, layer: int, head: int, token: int, role: str, parts: Parts | None = None
) -> Parts:
    """Take a query or a key of a head apart into what the parts of its token's state become.

    Parameters
    ----------
    model, passed, layer, token
        As `state_parts` takes them; the layer is one that there is.
    head
        From 0, of the heads that ask.
    role
        "query": the query, times what multiplies scores. "key": the key that this head reads.
    parts
        Of the state; by default as `state_parts` returns them.

    Returns
    -------
    Parts
        In double precision, of d_k numbers each: behind the norm of the layer, projected, with its bias, normalised
        where the model does so, and turned by the position.

    Raises
    ------
    ValueError
        As `state_parts`, if there is no such head, or if `role` is another word.
    """
    whole_number("layer", layer, most=len(model.layers) - 1)
    whole_number("head", head, most=num_heads(model) - 1)
    if role not in ("query", "key"):
        raise ValueError(f"role must be query or key, got {role!r}")
    parts = state_parts(model, passed, layer, token) if parts is None else parts
    names, vectors, scale = _projected(model, parts, layer, head, token, passed, role)
    return Parts(names, scale * vectors if role == "query" else vectors)


def score_ledger(
    model: Model, passed: Passed, layer: int, head: int, query: int, key: int, against: ArrayLike | None = None
) -> Ledger:
    r"""Write a score of a head as a sum over pairs: a part of the token that asks with a part of the token asked.

    Parameters
    ----------
    model, passed, layer
        As `state_parts` takes them.
    head
        From 0.
    query, key
        Positions in the text. A key that the query may not see has a score as well, which the mask then hides.
    against : integers, shape (m,) or ()
        Other keys: what is taken apart is how far the score is above that of this one, or above the mean of theirs.

    Returns
    -------
    Ledger
        In double precision. Its sum is the score before any softcap, or that difference: that of `score_of_states`,
        but for what the pass rounded on its way to these states.

    Raises
    ------
    ValueError
        As `state_parts`, if there is no such head, or if `against` is empty.

    Notes
    -----
    With :math:`x_i = \sum_a x_i^a` and the norms' scales held, :math:`q_i = \sum_a q_i^a` and :math:`k_j = \sum_b
    k_j^b`, and so :math:`s_{ij} = c \sum_{a,b} q_i^a \cdot k_j^b` with :math:`c` the scale of scores, mostly
    :math:`1/\sqrt{d_k}`: the terms of [1]_, section "QK circuit", with one
    row for each source. Rotary positions are linear and go through; a softcap comes after. A softmax over keys sees
    differences of scores alone, :math:`w_{ij} / w_{ij'} = e^{s_{ij} - s_{ij'}}`, and such a difference is a table, too:
    :math:`s_{ij} - \frac1m \sum_{j'} s_{ij'} = c \sum_{a,b} q_i^a \cdot (k_j^b - \frac1m \sum_{j'} k_{j'}^b)`.

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    """
    of_query = projected_parts(model, passed, layer, head, query, "query")
    of_key = projected_parts(model, passed, layer, head, key, "key")
    rows = of_key.vectors
    if against is not None:
        others = _others(against)
        rows = rows - np.mean([projected_parts(model, passed, layer, head, at, "key").vectors for at in others], axis=0)
    return Ledger(of_query.names, of_key.names, of_query.vectors @ rows.T)


def score_of_states(
    model: Model, passed: Passed, layer: int, head: int, query: int, key: int, against: ArrayLike | None = None
) -> float:
    """Compute a score in double precision from the states that its layer read, which is what a ledger adds up to.

    A pass computes in single precision, with about seven digits: its own score is the rounded one.

    Parameters
    ----------
    model, passed, layer, head, query, key, against
        As `score_ledger` takes them.

    Returns
    -------
    float
        Before any softcap.

    Raises
    ------
    ValueError
        As `score_ledger`.
    """
    whole_number("layer", layer, most=len(model.layers) - 1)

    def projected(token, role):
        _check(model, passed, layer, token)
        states = passed.blocks[layer].hidden if isinstance(passed, bert.Pass) else passed.states[layer]
        whole = Parts((Part("embedding"),), states[token][None].astype(float))
        return projected_parts(model, passed, layer, head, token, role, whole).vectors.sum(axis=0)  # (d_k,)

    row = projected(key, "key")
    if against is not None:
        row = row - np.mean([projected(at, "key") for at in _others(against)], axis=0)
    return float(projected(query, "query") @ row)


def _others(against):
    """Return the keys that a score is held against."""
    others = np.atleast_1d(as_real(against, "against"))
    if not others.size:
        raise ValueError("against must name at least one key, got none")
    return [whole_number("token", at) for at in others.tolist()]


def word_contributions(
    model: llama.Llama | gpt2.GPT2, passed: passes.Pass, token: int, word: int, instead_of: int | None = None
) -> Contributions:
    """Write the score of a next word as a sum over what each head and each feed-forward network added.

    Parameters
    ----------
    model, passed
        As `state_parts` takes them.
    token
        Position after which the word would come.
    word
        Its id.
    instead_of
        The id of a rival: then the sum is the difference of the two scores.

    Returns
    -------
    Contributions

    Raises
    ------
    ValueError
        As `state_parts`, and if the model has no such word.

    Notes
    -----
    Direct logit attribution: the state after the last layer, its norm held, times the word's row of the unembedding
    ([1]_, "Logit attribution").

    References
    ----------
    .. [1] Elhage et al., 2021, A mathematical framework for transformer circuits.
    """
    if isinstance(model, bert.Bert):
        raise ValueError("model must write words, got an encoder")
    rows = model.unembedding
    direction = rows[whole_number("word", word, most=len(rows) - 1)].astype(float)
    if instead_of is not None:
        direction = direction - rows[whole_number("instead_of", instead_of, most=len(rows) - 1)]
    parts = state_parts(model, passed, len(model.layers), token)
    names, vectors = _read(parts, model.norm, model.epsilon, len(model.layers))
    return Contributions(names, vectors @ direction)


def state_contributions(model: Model, passed: Passed, token: int) -> Contributions:
    """Write the length of a last state as a sum over what each part added in its direction.

    Parameters
    ----------
    model, passed, token
        As `state_parts` takes them.

    Returns
    -------
    Contributions
        Of an encoder, which says no word: how much of what a state is, each part made.

    Raises
    ------
    ValueError
        As `state_parts`.
    """
    parts = state_parts(model, passed, len(model.layers), token)
    state = parts.vectors.sum(axis=0)
    return Contributions(parts.names, parts.vectors @ (state / max(float(np.linalg.norm(state)), 1e-300)))


def logit_lens(model: llama.Llama | gpt2.GPT2, passed: passes.Pass, words: ArrayLike | None = None) -> np.ndarray:
    """Return how likely each next word would be if the model stopped after each layer.

    Parameters
    ----------
    model, passed
    words : integers, shape (w,)
        Ids; by default all of the vocabulary.

    Returns
    -------
    shape (num_layers + 1, n, w)
        The first row is of the embeddings alone, the last what the model says.

    Raises
    ------
    ValueError
        If the model has no such words.

    Notes
    -----
    Each state, normalised as the last one is, times the unembedding [1]_.

    References
    ----------
    .. [1] nostalgebraist, 2020, Interpreting GPT: the logit lens.
    """
    if isinstance(model, bert.Bert):
        raise ValueError("model must write words, got an encoder")
    rows = model.unembedding
    ids = None if words is None else token_ids(words, len(rows))
    shares = []
    for state in passed.states:
        read = _normalised(model, state)
        probabilities = softmax(_capped(model, read @ rows.T))  # (n, vocabulary)
        shares.append(probabilities if ids is None else probabilities[:, ids])
    return np.array(shares)


def lens_words(model: Model, passed: Passed) -> LensWords:
    """Return the word that each state is nearest to, and where the word that comes out in the end ranks.

    Parameters
    ----------
    model, passed
        As `state_parts` takes them. Of an encoder, which has no words to say, the nearest embedding by cosine.

    Returns
    -------
    LensWords
        One layer at a time is held in memory.

    Notes
    -----
    As `logit_lens`.
    """
    rows, sizes, read = _lens(model, passed)
    said = (read[-1] @ rows.T / sizes).argmax(axis=-1)  # (n,)
    found = []
    for state in read:
        logits = _capped(model, state @ rows.T / sizes)  # (n, vocabulary)
        shares = logits if isinstance(model, bert.Bert) else softmax(logits)
        own = np.take_along_axis(logits, said[:, None], axis=-1)
        found.append((logits.argmax(axis=-1), shares.max(axis=-1), 1 + (logits > own).sum(axis=-1)))
    return LensWords(*(np.array(each) for each in zip(*found, strict=True)))


def _lens(model, passed):
    """Return the row of each word, what its products are divided by, and all states as they are held against these."""
    if not isinstance(model, bert.Bert):
        return model.unembedding, np.float32(1), [_normalised(model, state) for state in passed.states]
    sizes = np.sqrt(np.einsum("vd,vd->v", model.embedding, model.embedding))  # without a copy of the vocabulary
    states = [*(block.hidden for block in passed.blocks), passed.output]
    read = [state / np.linalg.norm(state, axis=-1, keepdims=True) for state in states]
    return model.embedding, np.maximum(sizes, np.float32(1e-12)), read


def _capped(model, logits):
    """Return logits as the model caps them, where it does."""
    return llama.capped(model, logits) if isinstance(model, llama.Llama) else logits


def _normalised(model, state):
    """Return a state as the unembedding reads it."""
    if isinstance(model.norm, Norm):
        return layer_norm(state, *model.norm, model.epsilon)
    return rms_norm(state, model.norm, model.epsilon)


def _check(model, passed, layer, token):
    """Refuse a layer or token that is not there, and a pass that did not keep its steps."""
    whole_number("layer", layer, most=len(model.layers))
    steps = passed.blocks if isinstance(passed, bert.Pass) else passed.layers
    if len(steps) != len(model.layers):
        raise ValueError(f"passed must hold every step of {len(model.layers)} layers (steps=True), got {len(steps)}")
    whole_number("token", token, most=len(passed.ids) - 1)
    if isinstance(passed, passes.Pass) and passed.cache.length != len(passed.ids):
        raise ValueError(
            f"passed must hold the whole text, got the last {len(passed.ids)} of {passed.cache.length} tokens"
        )


def _held(vectors, norm, epsilon):
    """Return the parts of a sum as a norm hands them on, its scale held, and what it adds whatever comes in."""
    if norm is None:
        return vectors, None
    total = vectors.sum(axis=0)
    if isinstance(norm, Norm):
        centred = vectors - vectors.mean(axis=-1, keepdims=True)
        return centred / np.sqrt(total.var() + epsilon) * norm.gain, np.asarray(norm.bias, float)
    return vectors / np.sqrt((total * total).mean() + epsilon) * norm, None


def _through(parts, norm, epsilon, layer):
    """Pass all parts through a norm; what it adds joins the biases of a layer."""
    vectors, shift = _held(np.array(list(parts.values())), norm, epsilon)
    after = dict(zip(parts, vectors, strict=True))
    _add(after, Part("bias", layer), shift)
    return after


def _add(parts, part, vector):
    """Add a part to a state, or to what of it is there already."""
    if vector is not None:
        parts[part] = parts.get(part, 0.0) + np.asarray(vector, float)


def _add_heads(parts, layer, context, w_o, held=1.0):
    """Add what each head of a layer wrote for a token: context (num_heads, d_v), through its rows of w_o."""
    rows = np.asarray(w_o, float).reshape(*context.shape, -1)  # (num_heads, d_v, d_model)
    for head, written in enumerate(np.einsum("hd,hdm->hm", context.astype(float), rows)):
        _add(parts, Part("head", layer, head), written * held)


def _of_bert(model, passed, layer, token):
    """Walk an encoder, which normalises after each sum: all parts so far go through every norm."""
    parts = {Part("embedding"): np.asarray(model.embedding[passed.ids[token]], float)}
    _add(parts, Part("position"), model.positions[token])
    if model.types is not None:
        _add(parts, Part("type"), model.types[passed.types[token]])
    parts = _through(parts, model.embedding_norm, model.epsilon, None)
    for number, (weights, block) in enumerate(zip(model.layers[:layer], passed.blocks, strict=False)):
        _add_heads(parts, number, block.attention.context[:, token], weights.attention.w_o)
        _add(parts, Part("bias", number), weights.attention.b_o)
        parts = _through(parts, weights.attention_norm, model.epsilon, number)
        _add(parts, Part("feed_forward", number), block.feed_forward_output[token])
        parts = _through(parts, weights.feed_forward_norm, model.epsilon, number)
    return parts


def _of_gpt2(model, passed, layer, token):
    """Walk a GPT-2, whose norms stand beside the residual stream."""
    parts = {Part("embedding"): np.asarray(model.embedding[passed.ids[token]], float)}
    _add(parts, Part("position"), model.positions[token])
    for number, (weights, step) in enumerate(zip(model.layers[:layer], passed.layers, strict=False)):
        _add_heads(parts, number, step.attention.context[:, token], weights.w_o)
        _add(parts, Part("bias", number), weights.b_o)
        _add(parts, Part("feed_forward", number), step.feed_forward_output[token])
    return parts


def _of_llama(model, passed, layer, token):
    """Walk a Llama; where a norm stands behind a sublayer, its scale is held for each head."""
    parts = {Part("embedding"): np.asarray(passed.states[0][token], float)}
    for number, (weights, step) in enumerate(zip(model.layers[:layer], passed.layers, strict=False)):
        context, held = step.attention.context[:, token], 1.0
        if weights.attention_output_norm is not None:
            written = context.astype(float).ravel() @ weights.w_o + (0.0 if weights.b_o is None else weights.b_o)
            held = weights.attention_output_norm / np.sqrt((written * written).mean() + model.epsilon)
        _add_heads(parts, number, context, weights.w_o, held)
        if weights.b_o is not None:
            _add(parts, Part("bias", number), weights.b_o * held)
        _add(parts, Part("feed_forward", number), step.feed_forward_output[token])
    return parts


def _read(parts, norm, epsilon, layer):
    """Return the parts of a state as a sublayer reads them, behind its norm."""
    vectors, shift = _held(parts.vectors, norm, epsilon)
    return _with_shift(parts.names, vectors, shift, layer)


def _with_shift(names, vectors, shift, layer):
    """Add what a layer adds by itself to its own part."""
    if shift is None:
        return names, vectors
    part = Part("bias", layer)
    if part in names:
        vectors = vectors.copy()
        vectors[names.index(part)] += shift
        return names, vectors
    return (*names, part), np.vstack([vectors, shift])


def _projected(model, parts, layer, head, token, passed, role):
    """Return the parts of a query or key: their names, (parts, d_k), and what multiplies the products."""
    weights, encodes = model.layers[layer], isinstance(model, bert.Bert)
    names, vectors = parts
    if not encodes:
        names, vectors = _read(parts, weights.attention_norm, model.epsilon, layer)
    matrices = attention_matrices(weights)
    w, b = (matrices.w_q, matrices.b_q) if role == "query" else (matrices.w_k, matrices.b_k)
    d_k = matrices.w_q.shape[1] // num_heads(model)
    own = head if role == "query" else head // (matrices.w_q.shape[1] // matrices.w_k.shape[1])  # the head of its group
    columns = slice(own * d_k, (own + 1) * d_k)
    names, projected = _with_shift(names, vectors @ w[:, columns], None if b is None else b[columns], layer)
    if not isinstance(model, llama.Llama):
        return names, projected, d_k**-0.5 if encodes else weights.scale
    gain = weights.query_norm if role == "query" else weights.key_norm
    if gain is not None and gain.size == model.d_k:
        projected, _ = _held(projected, gain, model.epsilon)
    elif gain is not None:  # of all heads together
        whole = vectors.sum(axis=0) @ w + (0.0 if b is None else b)
        projected = projected / np.sqrt((whole * whole).mean() + model.epsilon) * gain[columns]
    if weights.rope is not None:
        turned = turning(model.ropes[weights.rope], model.d_k, len(passed.ids), model.max_tokens)
        angles = np.repeat(turned.angles(token, 1), len(projected), axis=0)
        projected = rotate(projected, angles, factor=turned.factor)
    return names, projected, model.scale
