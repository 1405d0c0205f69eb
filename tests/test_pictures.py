"""Pictures: made into the inputs of a vision model, whose tokens are then patches with a row and a column."""

import json

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.families import tiny_models

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.usefixtures("one_thread")

LEADING = {
    "vit": 1,
    "deit": 2,
    "dinov2": 1,
    "dinov2_with_registers": 5,
    "clip_vision_model": 1,
    "siglip_vision_model": 0,
}
PROCESSORS = {"deit": "DeiTImageProcessor", "clip_vision_model": "CLIPImageProcessor"}


def saved(family, folder):
    """Save a tiny model with what makes inputs of pictures for it: their size is that of four by four patches."""
    model = tiny_models.tiny(family).model
    model.save_pretrained(folder)
    side = {"height": model.config.image_size, "width": model.config.image_size}
    processor = {"image_processor_type": PROCESSORS.get(family, "ViTImageProcessor"), "size": side, "crop_size": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return pretrained.load(folder)


def striped(height=50, width=70):
    """Return a picture of red stripes on blue."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:, :, 2] = 255
    picture[::10] = (255, 0, 0)
    return picture


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return saved("vit", tmp_path_factory.mktemp("vit"))


@pytest.mark.parametrize("family", LEADING)
def test_tokens_are_patches_in_rows_and_columns_after_the_leading_ones(family, tmp_path):
    loaded = saved(family, tmp_path)
    recording = pretrained.record(loaded, inputs=pretrained.image_inputs(loaded, striped()))
    leading = LEADING[family]
    for layer in recording.layers:
        assert pretrained.patch_grid(recording, layer) == (4, 4, tuple(range(leading, leading + 16)))
        assert len(layer.key_tokens) == leading + 16
        assert [token.special for token in layer.key_tokens] == [True] * leading + [False] * 16
        assert [token.text for token in layer.key_tokens[leading:]][3:6] == ["1·4", "2·1", "2·2"]
    assert max(difference.largest for difference in pretrained.compare(recording)) < 2e-6


def test_a_picture_may_be_a_file_an_array_or_an_image(vit, tmp_path):
    Image.fromarray(striped()).save(tmp_path / "stripes.png")
    given = [tmp_path / "stripes.png", str(tmp_path / "stripes.png"), Image.fromarray(striped()), striped() / 255]
    expected = pretrained.image_inputs(vit, striped())["pixel_values"]
    assert expected.shape == (1, 3, 64, 64)
    for picture in given:
        np.testing.assert_array_equal(pretrained.image_inputs(vit, picture)["pixel_values"], expected)


def test_grey_pictures_are_read_too(vit):
    grey = striped()[..., 0]
    expected = pretrained.image_inputs(vit, np.stack([grey] * 3, axis=-1))
    np.testing.assert_array_equal(pretrained.image_inputs(vit, grey)["pixel_values"], expected["pixel_values"])


def test_the_place_of_a_patch_is_the_place_in_the_picture(vit):
    """Change one patch of the picture: in the first layer only its own token's query moves."""
    picture = np.asarray(Image.fromarray(striped()).resize((64, 64)))
    changed = picture.copy()
    changed[32:48, 16:32] = 0  # third row, second column of patches of 16 pixels
    queries = []
    for each in (picture, changed):
        recording = pretrained.record(vit, inputs=pretrained.image_inputs(vit, each))
        queries.append(recording.layers[0].query[0])
    grid = pretrained.patch_grid(recording, recording.layers[0])
    (moved,) = np.flatnonzero(np.abs(queries[0] - queries[1]).max(axis=(0, 2)) > 1e-6)
    assert divmod(grid.keys.index(moved), grid.columns) == (2, 1)
    assert recording.layers[0].key_tokens[moved].text == "3·2"


def test_texts_and_windows_have_no_grid():
    bert, swin = tiny_models.tiny("bert"), tiny_models.tiny("swin")
    for built in (bert, swin):
        recording = pretrained.record(pretrained.wrap(built.model), inputs=built.inputs)
        assert pretrained.patch_grid(recording, recording.layers[0]) is None


def test_in_a_model_of_texts_and_pictures_only_the_pictures_layers_have_a_grid():
    built = tiny_models.tiny("clip")
    recording = pretrained.record(pretrained.wrap(built.model), inputs=built.inputs)
    grids = {layer.name.split(".")[0]: pretrained.patch_grid(recording, layer) for layer in recording.layers}
    assert grids == {"vision_model": (4, 4, tuple(range(1, 17))), "text_model": None}


@pytest.mark.parametrize(
    ("picture", "kind", "sentence"),
    [
        (np.zeros((5, 7, 2)), ValueError, r"shape \(height, width\) or \(height, width, 3\), got \(5, 7, 2\)"),
        (np.zeros(7), ValueError, r"got \(7,\)"),
        ("no/such.png", pretrained.ModelError, "no/such.png cannot be opened as a picture"),
        (__file__, pretrained.ModelError, "cannot be opened as a picture"),
    ],
)
def test_what_is_no_picture_is_refused(vit, picture, kind, sentence):
    with pytest.raises(kind, match=sentence):
        pretrained.image_inputs(vit, picture)


def test_models_of_texts_take_no_picture_and_models_of_pictures_no_text(vit):
    with pytest.raises(pretrained.ModelError, match="no image processor"):
        pretrained.image_inputs(pretrained.wrap(tiny_models.tiny("bert").model), striped())
    with pytest.raises(pretrained.ModelError, match="takes a picture instead of a text"):
        pretrained.record(vit, "a picture of stripes")


def test_a_model_in_memory_takes_an_image_processor():
    processor = transformers.models.vit.image_processing_pil_vit.ViTImageProcessorPil(size={"height": 64, "width": 64})
    loaded = pretrained.wrap(tiny_models.tiny("vit").model, image_processor=processor)
    assert pretrained.image_inputs(loaded, striped())["pixel_values"].shape == (1, 3, 64, 64)
