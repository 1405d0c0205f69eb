"""Next word, the numbers of a part as a pass computed them, and how one of them is a sum: the lines to copy show these.

Layers and heads are counted from 0; ``kv_head`` is the one whose keys and values the head reads.
"""

import numpy as np

from attn.models.layer_parts import attention_matrices, feed_forward_matrices


def embeddings(passed):
    """Return what the first layer reads: (n, d_model)."""
    return passed.states[0]


def normalised_for_attention(passed, layer):
    """Return what attention reads: (n, d_model)."""
    return passed.layers[layer].attention_input


def queries(passed, layer, head):
    """Return the queries of a head as they are compared: (n, d_k)."""
    return passed.layers[layer].query[head]


def keys(passed, layer, kv_head):
    """Return the keys that a head reads: (n, d_k)."""
    return passed.layers[layer].key[kv_head]


def values_read(passed, layer, kv_head):
    """Return the values that a head reads: (n, d_v)."""
    return passed.layers[layer].value[kv_head]


def head_weights(passed, layer, head):
    """Return the weights of a head: (n, n)."""
    return passed.layers[layer].attention.weights[head]


def hidden_keys(passed, layer, head):
    """Return where a query may not look: (n, n)."""
    return np.isneginf(passed.layers[layer].attention.masked_scores[head])


def head_context(passed, layer, head):
    """Return the context of a head: (n, d_v)."""
    return passed.layers[layer].attention.context[head]


def head_adds(model, passed, layer, head):
    """Return what a head adds to each state, through its own rows of w_o: (n, d_model)."""
    context = passed.layers[layer].attention.context[head]
    d_v = context.shape[1]
    return context @ model.layers[layer].w_o[head * d_v : (head + 1) * d_v]


def after_attention(passed, layer):
    """Return the states after attention: (n, d_model)."""
    return passed.layers[layer].x + passed.layers[layer].attention_output


def normalised_for_feed_forward(passed, layer):
    """Return what the feed-forward network reads: (n, d_model)."""
    return passed.layers[layer].feed_forward_input


def inner_layer(passed, layer):
    """Return the inner layer of the feed-forward network: (n, d_ff)."""
    return passed.layers[layer].inner


def feed_forward_adds(passed, layer):
    """Return what the feed-forward network adds: (n, d_model)."""
    return passed.layers[layer].feed_forward_output


def after_layer(passed, layer):
    """Return the states that a layer gives on: (n, d_model)."""
    return passed.layers[layer].output


def last_norm(passed):
    """Return the last states, normalised: (n, d_model)."""
    return passed.output


def word_logits(passed, ids):
    """Return the logits of some words after each token: (n, words)."""
    return passed.logits[:, ids]


def embedding_summands(model, passed, row, column):
    """Return the token's number and that of its place."""
    return [model.embedding[passed.ids[row], column], model.positions[row, column]]


def query_factors(model, passed, layer, head, row, column):
    """Return what is read, and the column of the matrix that it meets."""
    d_k = passed.layers[layer].query.shape[-1]
    w_q = attention_matrices(model.layers[layer]).w_q
    return passed.layers[layer].attention_input[row], w_q[:, head * d_k + column]


def key_factors(model, passed, layer, kv_head, row, column):
    """Return what is read, and the column of the matrix that it meets."""
    d_k = passed.layers[layer].key.shape[-1]
    w_k = attention_matrices(model.layers[layer]).w_k
    return passed.layers[layer].attention_input[row], w_k[:, kv_head * d_k + column]


def value_factors(model, passed, layer, kv_head, row, column):
    """Return what is read, and the column of the matrix that it meets."""
    d_v = passed.layers[layer].value.shape[-1]
    w_v = attention_matrices(model.layers[layer]).w_v
    return passed.layers[layer].attention_input[row], w_v[:, kv_head * d_v + column]


def score_factors(passed, layer, head, kv_head, row, column):
    """Return a query and a key."""
    return passed.layers[layer].query[head, row], passed.layers[layer].key[kv_head, column]


def context_factors(passed, layer, head, kv_head, row, column):
    """Return the weights of a token and the values that they average."""
    return passed.layers[layer].attention.weights[head, row], passed.layers[layer].value[kv_head, :, column]


def head_adds_factors(model, passed, layer, head, row, column):
    """Return the context of a token, and the head's rows of a column of w_o."""
    context = passed.layers[layer].attention.context[head, row]
    return context, model.layers[layer].w_o[head * len(context) : (head + 1) * len(context), column]


def after_attention_summands(passed, layer, row, column):
    """Return what came in and what attention adds."""
    step = passed.layers[layer]
    return [step.x[row, column], step.attention_output[row, column]]


def inner_factors(model, passed, layer, row, column):
    """Return what the network reads, and the column of its first matrix, of a gated one that of the gate."""
    matrices = feed_forward_matrices(model.layers[layer])
    first = matrices.w_1 if matrices.w_gate is None else matrices.w_gate
    return passed.layers[layer].feed_forward_input[row], first[:, column]


def feed_forward_factors(model, passed, layer, row, column):
    """Return the inner layer of a token, and the column of the last matrix."""
    return passed.layers[layer].inner[row], feed_forward_matrices(model.layers[layer]).w_2[:, column]


def after_layer_summands(passed, layer, row, column):
    """Return what came in, what attention adds, and what the feed-forward network adds."""
    step = passed.layers[layer]
    return [step.x[row, column], step.attention_output[row, column], step.feed_forward_output[row, column]]


def logit_factors(model, passed, ids, row, column):
    """Return a last state, and the row of a word."""
    return passed.output[row], model.unembedding[ids[column]]
