"""Every mask that the pages offer: its row says what it builds, with which numbers, and in which line of code."""

import dataclasses

import numpy as np
import pytest

import attn
from attn.ui.controls.mask import MASKS, MaskChoice, mask_of

N = 6


def at_ends(name):
    """Return what may be chosen of a mask: the defaults, every number at its least, and at the most a link holds."""
    chosen = MaskChoice(mask=name, painted=((0, 1), (N, N)))  # a cell beyond the tokens waits
    numbers = [slider.name for slider in MASKS[name].sliders]
    return [chosen, *(dataclasses.replace(chosen, **dict.fromkeys(numbers, end)) for end in (0, 512))]


@pytest.mark.parametrize("n", [1, N])
@pytest.mark.parametrize("name", MASKS)
def test_the_line_of_code_builds_the_mask(name, n):
    for chosen in at_ends(name):
        mask, line = mask_of(chosen, n)
        again = eval(line, {"attn": attn, "np": np})
        np.testing.assert_array_equal(again.visible, mask.visible)
        assert again.words == mask.words
        assert np.broadcast_shapes(mask.visible.shape, (n, n)) == (n, n)


def test_a_number_ends_where_its_slider_does():
    assert mask_of(MaskChoice(mask="window", window=512), N)[1] == "attn.masks.sliding_window(6, 6, 5)"
    assert mask_of(MaskChoice(mask="strided", window=0), N)[1] == "attn.masks.strided(6, 1)"
    assert mask_of(MaskChoice(mask="blocks", length=9), N)[1] == "attn.masks.blocks([6, 0])"


def test_the_layers_of_modernbert_are_counted():
    from transformers import ModernBertConfig

    config = ModernBertConfig()  # of the base model
    near = config.layer_types.count("sliding_attention")
    assert f"as in {near} of the {config.num_hidden_layers} layers of ModernBERT base" in MASKS["window"].help


@pytest.mark.parametrize("name", MASKS)
def test_a_link_holds_every_number(name):
    fields = {field.name for field in dataclasses.fields(MaskChoice)}
    assert {slider.name for slider in MASKS[name].sliders} <= fields - {"mask", "painted"}
