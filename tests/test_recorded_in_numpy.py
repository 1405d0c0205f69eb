"""A recording without torch is that of transformers, layer by layer, and Inside shows it."""

import numpy as np
import pytest
from driving import check, opened, said
from processes import printed

from attn import pretrained
from attn.charts.labels import number
from attn.data import examples
from attn.pretrained import bert, language_model
from attn.pretrained.loading import smollm2
from attn.pretrained.recording.in_numpy import InNumpy, fits_in_numpy, record_in_numpy
from attn.ui.models import model_layer_weights

TEXT = examples.SENTENCES[0].text
NAMES = [pretrained.DEFAULT, smollm2.NAME]


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


def test_inside_is_compared_when_that_is_asked_for():
    pytest.importorskip("torch")
    app = check(opened("inside"))
    assert any("Computed here in numpy" in each for each in said(app))
    back = np.diagonal(model_layer_weights(TEXT, 3, 1), -1).mean()
    assert f"In view is layer 4, head 2, which has {number(back)} there." in " ".join(said(app))
    app.button(key="inside.compare").click().run()
    assert any("**Agrees.**" in each for each in said(check(app)))
    assert any("gives the same weights as transformers to within" in each for each in said(app))
    assert any("**Agrees.**" in each for each in said(opened("inside")))
