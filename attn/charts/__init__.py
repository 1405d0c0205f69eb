"""Figures: arrays, labels and a theme in, an Altair chart out."""

from attn.charts.bars import bars, products
from attn.charts.before_after import pairs
from attn.charts.concat_map import concat_map
from attn.charts.curves import Curve, curves
from attn.charts.diagram import Box, Frame, diagram
from attn.charts.fitting import enlarged, fit_to_room
from attn.charts.growing_square import growing_square
from attn.charts.head_grid import head_grid
from attn.charts.head_groups import head_groups
from attn.charts.heatmap import heatmap
from attn.charts.labels import counted, marked, quoted, token_labels
from attn.charts.layers_and_heads import head_switches, layer_head_map
from attn.charts.layout import above, beside
from attn.charts.lines import FAINTEST_LINE, MOST_LINED, lines
from attn.charts.local_window import places
from attn.charts.message import message
from attn.charts.mosaic import mosaic
from attn.charts.options import Axis, Pick, Scale, Style
from attn.charts.overview import overview, window_of
from attn.charts.panels import panel, panels, touched_cell
from attn.charts.pictures import photo
from attn.charts.points import points
from attn.charts.receptive_field import fan
from attn.charts.rotations import dials
from attn.charts.saving import COLUMNS, DOTS, html, pdf, png, save, svg, without_selection
from attn.charts.specification import specification, specified
from attn.charts.tables import csv, npz, table, words_csv
from attn.charts.theme import DARK, LIGHT, Theme, theme_named
from attn.charts.tokens import token_strip, token_strip_width
from attn.charts.vectors import arrows
from attn.charts.word_map import word_map
from attn.charts.work_grid import work_grid
from attn.data.picture_files import read_picture

__all__ = [
    "COLUMNS",
    "DARK",
    "DOTS",
    "FAINTEST_LINE",
    "LIGHT",
    "MOST_LINED",
    "Axis",
    "Box",
    "Curve",
    "Frame",
    "Pick",
    "Scale",
    "Style",
    "Theme",
    "above",
    "arrows",
    "bars",
    "beside",
    "concat_map",
    "counted",
    "csv",
    "curves",
    "diagram",
    "dials",
    "enlarged",
    "fan",
    "fit_to_room",
    "growing_square",
    "head_grid",
    "head_groups",
    "head_switches",
    "heatmap",
    "html",
    "layer_head_map",
    "lines",
    "marked",
    "message",
    "mosaic",
    "npz",
    "overview",
    "pairs",
    "panel",
    "panels",
    "pdf",
    "photo",
    "places",
    "png",
    "points",
    "products",
    "quoted",
    "read_picture",
    "save",
    "specification",
    "specified",
    "svg",
    "table",
    "theme_named",
    "token_labels",
    "token_strip",
    "token_strip_width",
    "touched_cell",
    "window_of",
    "without_selection",
    "word_map",
    "words_csv",
    "work_grid",
]
