"""Where in a picture the tokens lie that a model reads in its place: in the vision tower, and within a text."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attn.pretrained.inputs.tokens import Patch, Token

if TYPE_CHECKING:
    from attn.pretrained.inputs.prepared_inputs import PreparedInputs
    from attn.pretrained.loading.load import Loaded

PARTS = ("vision", "image")  # how configurations call the part that sees
RESAMPLERS = ("qformer", "perceiver")  # and one that looks at it with queries of its own
_CLASS_LAST = "llama4"  # reads the class token behind the patches
_MOST_LEADING = 16  # class token and registers
_LINE_END = re.compile(r"break|newline", re.IGNORECASE)  # [IMG_BREAK] of Pixtral, |NEWLINE| of Fuyu
_TILE = re.compile(r"row_(\d+)_col_(\d+)")  # <row_1_col_2> of Idefics 3 and SmolVLM, <|img_row_1_col_2|> of LFM2-VL
_BETWEEN_TILES = re.compile(r"TILE|IMG_|tile_|row_|col_")
_NEXT_ROW = re.compile(r"tile_y_separator|IMG_ROW")  # of Llama 4 and Ovis 2
_NEXT_COLUMN = re.compile(r"tile_x_separator|IMG_COL")
# whose vectors of a picture are trained queries that have looked at all of it
_RESAMPLED = (
    "qformer_config",
    "perceiver_config",
    "latent_query_num",
    "projector_patch_to_query_dict",
    "num_query_tokens",
)


class Tiles(NamedTuple):
    """How a vision tower cuts what it reads of one picture: into tiles, and each of them into patches."""

    number: int
    rows: int  # of patches in a tile
    columns: int


def mark_of(loaded: Loaded) -> int | None:
    """Return the token that stands in a text for each vector of a picture, or None where a model has no such token."""
    config = getattr(loaded.model, "config", None)
    named = (getattr(config, name, None) for name in ("image_token_id", "image_token_index", "img_token_id"))
    return next((mark for mark in named if isinstance(mark, int)), None)


def vision_config(loaded: Loaded) -> Any:
    """Return the part of a configuration that is about pictures, or all of it."""
    whole = getattr(loaded.model, "config", None)
    parts = (getattr(whole, name, None) for name in ("vision_config", "image_config", "encoder"))
    return next((part for part in parts if hasattr(part, "patch_size")), whole)


def in_tower(loaded: Loaded, inputs: PreparedInputs, names: Sequence[Token] = ()) -> tuple[Token, ...]:
    """Name the patches that a vision tower reads of one picture, in its order.

    Parameters
    ----------
    loaded
    inputs
    names : sequence of Token
        Of the text that is read with it.

    Returns
    -------
    tuple of Token
        Empty where it is not known. Of a picture that is read in tiles, those of the first tile read, which have no
        `Token.patch`. Of a spectrogram that is read as a picture, ``f2 t5`` for its second band and fifth time.
    """
    if sound := _spectrogram(loaded, inputs):
        return sound
    grids = _grids(inputs)
    if grids is not None:
        _, rows, columns = grids[0]
        order, whole = _merge_order(loaded, inputs, rows, columns), True
    else:
        tiles = _tiles(loaded, inputs, names)
        if tiles is None:
            return ()
        _, rows, columns = tiles
        order, whole = [*itertools.product(range(rows), range(columns))], tiles.number == 1
    patches = tuple(
        Token(_label(i, j), None, False, picture=0, patch=Patch(i, j, rows, columns) if whole else None)
        for i, j in order
    )
    if (shapes := inputs.get("spatial_shapes")) is not None:  # filled up to one length
        if "pixel_values" not in inputs:
            return ()
        filled = inputs["pixel_values"].shape[-2] - len(patches)
        return (*patches, *[Token("filled up", None, True, filler=True)] * filled) if len(shapes) == 1 else ()
    class_token = Token(f"[{len(patches)}]", None, True, picture=0)
    return (*patches, class_token) if loaded.family.startswith(_CLASS_LAST) else patches


def with_leading(patches: Sequence[Token], length: int) -> tuple[Token, ...]:
    """Return the names of all tokens of a vision tower: its class token and registers besides the patches.

    Parameters
    ----------
    patches : sequence of Token
        As `in_tower` returns them.
    length : int
        Number of all.

    Returns
    -------
    tuple of Token
        Those that come first as ``[0]``. Empty where so many tokens are not the patches of one picture.
    """
    leading = length - len(patches)
    if not 0 <= leading < min(_MOST_LEADING, len(patches)):
        return ()
    return (*(Token(f"[{i}]", None, True, picture=patches[0].picture) for i in range(leading)), *patches)


def in_text(loaded: Loaded, inputs: PreparedInputs, names: Sequence[Token]) -> tuple[Token, ...]:
    """Name the tokens of a text that stand for a picture by their place in it.

    Parameters
    ----------
    loaded
    inputs
    names : sequence of Token
        Of ``input_ids``, as a tokenizer alone can tell.

    Returns
    -------
    tuple of Token
        As many. Of a picture that is read whole and in pieces, what it is read whole in is called ``whole 1·2``;
        vectors of no one place are numbered, ``picture 3/32``.
    """
    at = marked(loaded, names)
    if not at:
        return tuple(names)
    named = list(names)
    for picture, (places, patches) in enumerate(_pictures(loaded, inputs, names, at)):
        lead = f"picture {picture + 1}, " if len(places) < len(at) else ""
        fine = max((patch.rows * patch.columns for patch in patches if isinstance(patch, Patch)), default=0)
        for number, (place, patch) in enumerate(zip(places, patches, strict=True), start=1):
            text = f"picture {picture + 1}, {number}/{len(places)}" if lead else f"picture {number}/{len(places)}"
            if isinstance(patch, Patch):
                whole = "whole " if patch.rows * patch.columns < fine else ""
                text = f"{lead}{whole}{_label(patch.row, patch.column)}"
            elif patch is not None:
                text = f"{lead}{patch}"
            named[place] = named[place]._replace(
                text=text, special=isinstance(patch, str), picture=picture,
                patch=patch if isinstance(patch, Patch) else None, inside=False, word=None, word_text="",
            )  # fmt: skip
    return tuple(named)


def _label(row, column):
    """Return the name of a place in a picture, counted from 1."""
    return f"{row + 1}·{column + 1}"


def _spectrogram(loaded, inputs):
    """Name the patches of a spectrogram (batch, times, bands), which overlap: band by band, as AST reads them."""
    config, values = getattr(loaded.model, "config", None), inputs.get("input_values")
    steps = [getattr(config, name, None) for name in ("frequency_stride", "time_stride", "patch_size")]
    if values is None or values.ndim != 3 or not all(isinstance(step, int) for step in steps):
        return ()
    down, along, size = steps
    times, bands = values.shape[1:]
    grid = itertools.product(range((bands - size) // down + 1), range((times - size) // along + 1))
    return tuple(Token(f"f{band + 1} t{time + 1}", None, False) for band, time in grid)


def windows_of(model: Any) -> Callable | None:
    """Return what says in which order a vision tower reads the windows of a picture; None where it has no windows.

    It takes the grid of one picture, and returns the places of merged patches and where each window ends.
    """
    tower = next((part for part in model.modules() if hasattr(part, "permute_input_for_window_attn")), None)
    if tower is None:
        return None
    from transformers.vision_utils import get_vision_window_index

    sizes = {name: getattr(tower, name) for name in ("spatial_merge_size", "window_size", "patch_size")}
    return lambda grid: get_vision_window_index(grid, **sizes)


def _has_windows(model):
    """Say whether a tower reads windows, by transformers' own function for their order."""
    homes = {type(part).__module__ for part in model.modules()}
    return any(hasattr(sys.modules.get(home), "get_vision_window_index") for home in homes)


def _grids(inputs):
    """Return frames, rows and columns of each picture that comes as a row of patches; None if none does."""
    grid = inputs.get("image_grid_thw", inputs.get("spatial_shapes"))
    if grid is None or getattr(grid, "ndim", 0) != 2:
        return None
    return [(1, *each)[-3:] for each in grid.tolist()]


def _tiles(loaded, inputs, names):
    """Return how a vision tower cuts a picture, if it cuts what was given into patches of one size."""
    pixels = inputs.get("pixel_values")
    size = getattr(vision_config(loaded), "patch_size", None)
    size = (size, size) if isinstance(size, int) else size
    if pixels is None or pixels.ndim not in (4, 5) or not isinstance(size, list | tuple) or len(size) != 2:
        return None
    rows, columns = pixels.shape[-2] // size[0], pixels.shape[-1] // size[1]
    at, mark = marked(loaded, names), mark_of(loaded)
    if not at:
        alone = pixels.ndim == 4 or pixels.shape[1] == 1  # a picture in each row of a batch
        return Tiles(1, rows, columns) if alone else None
    share = len(at) / int((inputs["input_ids"] == mark).sum())
    number = math.prod(pixels.shape[:-3]) * share / _count_pictures(inputs, names, at)
    return Tiles(int(number), rows, columns) if number == int(number) else None


def marked(loaded: Loaded, names: Sequence[Token]) -> list[int]:
    """Return which tokens of a text stand for a vector of a picture."""
    mark = mark_of(loaded)
    return [place for place, token in enumerate(names) if mark is not None and token.id == mark]


def _count_pictures(inputs, names, at):
    """Return how many pictures there are in the first text, given where in it their tokens stand."""
    texts, pixels = len(inputs["input_ids"]), inputs.get("pixel_values")
    if inputs.sizes or "image_sizes" in inputs:
        count = len(inputs.sizes or inputs["image_sizes"]) // texts or 1
    else:
        tiled = any(_BETWEEN_TILES.search(token.text) for token in names[max(0, at[0] - 1) : at[-1]])
        starts = 1 + sum(after - before > 1 for before, after in itertools.pairwise(at))
        count = starts if not tiled and pixels is not None and pixels.ndim == 4 and starts * texts == len(pixels) else 1
    return 1 if len(at) % count else count


def _merged(loaded):
    """Return how many patches along each side become one token of the text, where pictures come as rows of patches."""
    config = vision_config(loaded)
    names = ("spatial_merge_size", "merge_size", "merge_kernel_size")
    side = next((side for name in names if (side := getattr(config, name, None))), 1)
    return side if isinstance(side, int) else side[0]


def _merge_order(loaded, inputs, rows, columns):
    """Return the row and column of each patch of a row of patches: those that become one token follow one another."""
    side = _merged(loaded) if "image_grid_thw" in inputs else 1
    if rows % side or columns % side:
        return []
    groups = [*itertools.product(range(rows // side), range(columns // side))]
    windows = windows_of(loaded.model)
    if windows is None and _has_windows(loaded.model):
        return []  # in an order that is not known here
    if windows is not None:  # Qwen 2.5 puts what lies in one window side by side
        groups = [groups[at] for at in windows(inputs["image_grid_thw"][:1])[0].tolist()]
    return [(side * row + i, side * column + j) for row, column in groups for i in range(side) for j in range(side)]


def _pictures(loaded, inputs, names, at):
    """Yield for each picture where its tokens stand in the text, and what each is.

    A `Patch`, None for what has no one place, or what else it is called.
    """
    if (grids := _grids(inputs)) is not None:
        yield from _of_grids(grids[: len(grids) // len(inputs["input_ids"]) or 1], _merged(loaded), at)
        return
    count = _count_pictures(inputs, names, at)
    size = len(at) // count
    for picture in range(count):
        places = at[picture * size : (picture + 1) * size]
        yield places, _layout(loaded, inputs, names, places, picture)


def _of_grids(grids, side, at):
    """Yield the tokens of pictures that are given as rows of patches: side × side of them make one token."""
    sizes = [frames * (rows // side) * (columns // side) for frames, rows, columns in grids]
    if sum(sizes) != len(at):
        yield at, [None] * len(at)
        return
    ends = [0, *itertools.accumulate(sizes)]
    for (start, end), (frames, rows, columns) in zip(itertools.pairwise(ends), grids, strict=True):
        yield at[start:end], frames * _cells(rows // side, columns // side)


def _cells(rows, columns, whole=None, row=0, column=0):
    """Return the patches of a grid, which may be a part of a larger one that begins at a row and a column."""
    all_rows, all_columns = whole or (rows, columns)
    return [Patch(row + i, column + j, all_rows, all_columns) for i in range(rows) for j in range(columns)]


def _layout(loaded, inputs, names, places, picture):
    """Return what each token of one picture is."""
    nowhere = [None] * len(places)
    if any(getattr(loaded.model.config, name, None) is not None for name in _RESAMPLED):
        return nowhere
    if (rows := _rows_with_ends(names, places)) is not None:
        return rows
    tiles = _tiles(loaded, inputs, names)
    if tiles is None:
        return nowhere
    if getattr(loaded.model.config, "image_grid_pinpoints", None) and "image_sizes" in inputs:
        height, width = (int(side) for side in inputs["image_sizes"][picture])
        return _any_resolution(loaded, tiles, (height, width), len(places)) or nowhere
    if len(places) == tiles.rows * tiles.columns + 1:  # Llava may keep the class token
        return ["class", *_cells(tiles.rows, tiles.columns)]
    grid = _pooled(tiles, len(places))
    if grid is None:
        return nowhere
    if tiles.number == 1:
        return _cells(*grid)
    size = inputs.sizes[picture] if picture < len(inputs.sizes) else None
    return _tiled(names, places, tiles.number, grid, size) or nowhere


def _rows_with_ends(names, places):
    """Return the patches of a picture whose rows end in a token of their own, or None."""
    runs = [*_runs(places)]
    if len(runs) < 2 or len({len(run) for run in runs}) > 1:
        return None
    between = [names[before[-1] + 1 : after[0]] for before, after in itertools.pairwise(runs)]
    ended = all(len(ends) == 1 and _LINE_END.search(ends[0].text) for ends in between)
    return _cells(len(runs), len(runs[0])) if ended else None


def _runs(places):
    """Yield places that follow one another, together."""
    run = []
    for place in places:
        if run and place != run[-1] + 1:
            yield run
            run = []
        run.append(place)
    yield run


def _pooled(tiles, count):
    """Return the rows and columns of tokens that a tile becomes: its patches, or squares of them put together."""
    for side in range(1, min(tiles.rows, tiles.columns) + 1):
        rows, columns = tiles.rows // side, tiles.columns // side
        if tiles.rows % side == tiles.columns % side == 0 and rows * columns * tiles.number == count:
            return rows, columns
    return None


def _any_resolution(loaded, tiles, size, count):
    """Return the tokens of a picture after LLaVA-NeXT: whole, then in tiles without their padding, rows with an end.

    References
    ----------
    .. [1] Liu et al., 2024, LLaVA-NeXT; and for ``anyres_max`` Li et al., 2024, section 3.2, arXiv:2408.03326.
    """
    from transformers.image_processing_utils import select_best_resolution

    config = loaded.model.config
    side = vision_config(loaded).image_size
    best = select_best_resolution(size, config.image_grid_pinpoints)
    rows, columns = tiles.rows * (best[0] // side), tiles.columns * (best[1] // side)
    if size[1] / size[0] > columns / rows:
        rows -= (rows - int(round(size[0] * columns / size[1], 7))) // 2 * 2
    else:
        columns -= (columns - int(round(size[1] * rows / size[0], 7))) // 2 * 2
    most = re.search(r"anyres_max_(\d+)", str(getattr(config, "vision_aspect_ratio", "")))
    shrunk = math.sqrt(rows * columns / (int(most[1]) * tiles.rows**2)) if most else 1
    if shrunk > 1.1:
        rows, columns = int(rows // shrunk), int(columns // shrunk)
    fine = _cells(rows, columns)
    ended = [each for row in range(rows) for each in [*fine[row * columns : (row + 1) * columns], f"end {row + 1}"]]
    found = [*_cells(tiles.rows, tiles.columns), *ended]
    return found if len(found) == count else None


def _tiled(names, places, count, grid, size):
    """Return the tokens of a picture that is read in tiles, and besides them once whole; None if it is not known how.

    Parameters
    ----------
    names, places
        Of the text, and where in it the picture stands.
    count : int
        Number of tiles, with the whole.
    grid : tuple of int
        Rows and columns of tokens in each.
    size : tuple of int, or None
        Height and width of the picture.
    """
    per_tile = grid[0] * grid[1]
    starts = [0, *(places[at - 1] + 1 for at in range(per_tile, len(places), per_tile))]
    before = ["".join(token.text for token in names[a:b]) for a, b in zip(starts, places[::per_tile], strict=True)]
    corners = _corners_by_number(before) or _corners_by_step(before) or _corners_by_shape(count, size)
    if not corners:
        return None
    rows, columns = (1 + max(corner[axis] for corner in corners if corner) for axis in (0, 1))
    whole = rows * grid[0], columns * grid[1]
    return [
        patch
        for corner in corners
        for patch in (_cells(*grid, whole, corner[0] * grid[0], corner[1] * grid[1]) if corner else _cells(*grid))
    ]


def _corners_by_number(before):
    """Return the row and column of each tile as the text before it names them, None for what is the whole picture."""
    found = [[*_TILE.finditer(text)] for text in before]
    return [(int(each[-1][1]) - 1, int(each[-1][2]) - 1) if each else None for each in found] if any(found) else None


def _corners_by_step(before):
    """Return the row and column of each tile where the text says when to step on in a row and when to the next."""
    steps = ["row" if _NEXT_ROW.search(text) else "column" if _NEXT_COLUMN.search(text) else "" for text in before]
    if not any(steps):
        return None
    first = 1 if len(steps) > 1 and not steps[1] else 0  # Ovis 2 reads the whole first, Llama 4 last
    corners, row, column = [None] * first, 0, 0
    for step in steps[first:] if first else steps[:-1]:
        row, column = (row + 1, 0) if step == "row" else (row, column + (step == "column"))
        corners.append((row, column))
    return corners if first else [*corners, None]


def _corners_by_shape(count, size):
    """Return the row and column of each tile: of the shapes with so many, the one most like the picture is taken.

    That is the rule of InternVL and its kin, with the whole picture last. None if the picture's size is not known.
    """
    if size is None:
        return None
    shapes = [(rows, (count - 1) // rows) for rows in range(1, count) if (count - 1) % rows == 0]
    rows, columns = min(shapes, key=lambda shape: abs(size[1] / size[0] - shape[1] / shape[0]))
    return [*itertools.product(range(rows), range(columns)), None]
