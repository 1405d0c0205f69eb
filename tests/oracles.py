"""Attention written as slowly and plainly as possible, to hold the real one against."""

import math

import numpy as np


def slow_attention(query, key, value, visible, bias, scale, softcap, top_k=None, sinks=None):
    """Attend with one loop per axis, in float64, for arrays of two axes."""
    n_q, n_k, d_v = len(query), len(key), value.shape[1]
    scores, weights, context = np.zeros((n_q, n_k)), np.zeros((n_q, n_k)), np.zeros((n_q, d_v))
    for i in range(n_q):
        for j in range(n_k):
            score = scale * sum(float(a) * float(b) for a, b in zip(query[i], key[j], strict=True))
            scores[i, j] = score if softcap is None else softcap * math.tanh(score / softcap)
        seen = [j for j in range(n_k) if visible[i, j] and bias[i, j] != -math.inf]
        if not seen:
            continue
        if top_k is not None:
            least = sorted(scores[i, j] + bias[i, j] for j in seen)[-min(top_k, len(seen))]
            seen = [j for j in seen if scores[i, j] + bias[i, j] >= least]
        sink = -math.inf if sinks is None else float(sinks[i, 0])
        largest = max(sink, *(scores[i, j] + bias[i, j] for j in seen))
        exponentials = {j: math.exp(scores[i, j] + bias[i, j] - largest) for j in seen}
        for j in seen:
            weights[i, j] = exponentials[j] / (sum(exponentials.values()) + math.exp(sink - largest))
            for d in range(d_v):
                context[i, d] += weights[i, j] * float(value[j, d])
    return scores, weights, context


def slow_visible(n_q, n_k, causal=False, query_offset=None, window=(None, None)):
    """Say pair by pair who may look at whom."""
    offset = n_k - n_q if query_offset is None else query_offset
    left, right = window if isinstance(window, tuple) else (window, window)
    visible = np.zeros((n_q, n_k), dtype=bool)
    for i in range(n_q):
        for j in range(n_k):
            position = i + offset
            visible[i, j] = (
                (not causal or j <= position)
                and (left is None or j >= position - left)
                and (right is None or j <= position + right)
            )
    return visible
