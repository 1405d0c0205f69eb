"""Attention over pixels and patches: by hand, against torch, and what moving the pixels does."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from attn import scaled_dot_product_attention, softmax
from attn.architectures import image_attention
from attn.data import pictures

SAGAN = json.loads((Path(__file__).parent / "data" / "memory_checks.json").read_text())["sagan"]
DIGITS = 5e-7  # six decimals are written down
EYE = np.eye(2)


def test_image_attention_by_hand():
    x = np.array(SAGAN["x_columns_are_pixels"]).T
    still, half = (image_attention.image_attention(x, EYE, EYE, EYE, gamma=gamma) for gamma in (0, 0.5))
    np.testing.assert_allclose(half.scores.T, SAGAN["s_ij"], atol=1e-12)
    np.testing.assert_allclose(half.weights.T, SAGAN["alpha_columns_sum_to_1"], atol=DIGITS)
    np.testing.assert_allclose(half.weights.sum(axis=1), SAGAN["col_sums"])
    np.testing.assert_allclose(half.weights.sum(axis=0), SAGAN["row_sums"], atol=2 * DIGITS)
    np.testing.assert_allclose(half.attended.T, SAGAN["o"], atol=DIGITS)
    np.testing.assert_allclose(half.output.T, SAGAN["y_gamma_half"], atol=DIGITS)
    np.testing.assert_array_equal(still.output.T, SAGAN["y_gamma0"])


def test_image_attention_against_torch():
    rng = np.random.default_rng(0)
    x, w_f, w_g = rng.normal(size=(11, 5)), rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    w_h, w_v = rng.normal(size=(5, 3)), rng.normal(size=(3, 5))
    steps = image_attention.image_attention(x, w_f, w_g, w_h, w_v, gamma=0.3)
    t, f, g, h, v = (torch.tensor(a) for a in (x, w_f, w_g, w_h, w_v))
    scores = (t @ f) @ (t @ g).T  # s_ij, softmax over i
    alpha = torch.softmax(scores, dim=0)
    expected = t + 0.3 * (alpha.T @ (t @ h)) @ v
    np.testing.assert_allclose(steps.output, expected, atol=1e-12)


def test_image_attention_has_no_root():
    x = np.random.default_rng(0).normal(size=(7, 3))
    eye = np.eye(3)
    ours = image_attention.image_attention(x, eye, eye, eye).weights
    np.testing.assert_allclose(ours, scaled_dot_product_attention(x, x, x, scale=1).weights)
    assert np.abs(ours - scaled_dot_product_attention(x, x, x).weights).max() > 0.05


def test_moving_the_pixels_moves_the_output_along():
    rng = np.random.default_rng(0)
    x, order = rng.normal(size=(13, 3)), rng.permutation(13)
    matrices = [rng.normal(size=(3, 3)) for _ in range(4)]
    plain, moved = (image_attention.image_attention(pixels, *matrices, gamma=1).output for pixels in (x, x[order]))
    np.testing.assert_allclose(moved, plain[order], atol=1e-12)


def test_patches_are_cut_row_by_row():
    image = np.arange(6 * 4 * 3).reshape(6, 4, 3)
    cut = image_attention.patches(image, 2)
    assert cut.shape == (6, 4, 3)
    for at in range(6):
        row, column = divmod(at, 2)
        np.testing.assert_array_equal(
            cut[at].reshape(2, 2, 3), image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        )
    assert image_attention.patches(np.zeros((224, 224, 2)), 16).shape == (196, 256, 2)  # 14 × 14 of the paper


def test_features_of_patches():
    picture = np.zeros((8, 8, 3))
    picture[:4, :4, 0] = 1  # red at the top left
    features = image_attention.patch_features(image_attention.patches(picture, 4), 2)
    np.testing.assert_allclose(features[0], [0.5, -0.5, -0.5, 0, -0.5, 0.5])
    np.testing.assert_allclose(features[3], [-0.5, -0.5, -0.5, 0, 0.5, -0.5])
    weights = softmax(9 * features @ np.array([1, -0.7, -0.7, 0, 0, 0]))
    assert weights.argmax() == 0


@pytest.mark.parametrize("picture", pictures.PICTURES.values(), ids=pictures.PICTURES)
@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_picture_is_one(picture, size):
    drawn = picture.draw(size)
    assert drawn.shape == (size, size, 3)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert size < 7 or len(np.unique(drawn.reshape(-1, 3), axis=0)) > 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_are_kept(dtype):
    x, eye = np.random.default_rng(0).random((5, 3)).astype(dtype), np.eye(3, dtype=dtype)
    assert {a.dtype for a in image_attention.image_attention(x, eye, eye, eye)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: image_attention.image_attention(EYE, np.eye(3), EYE, EYE),
            "x must be (n, d_model) and w_f, w_g, w_h must have d_model rows, got (2, 2), (3, 3), (2, 2), (2, 2)",
        ),
        (
            lambda: image_attention.image_attention(EYE, EYE, EYE, np.ones((2, 3))),
            "what is read must be as wide as the image (2, 2), got (2, 3)",
        ),
        (
            lambda: image_attention.patches(np.zeros((6, 5, 3)), 2),
            "image must be (height, width, channels) with sides that 2 divides, got (6, 5, 3)",
        ),
        (
            lambda: image_attention.patch_features(np.zeros((5, 4, 3)), 2),
            "cut must be (n_patches, n_pixels, 3) in rows of 2 patches, got (5, 4, 3)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
