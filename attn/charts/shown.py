"""Figures that a notebook shows by itself, without a network."""

import altair as alt


class _Shown:
    """What Jupyter and others ask a figure for: a drawing, which needs neither a network nor scripts."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        from attn.charts.saving import svg  # which draws with what is made of these

        return {"image/svg+xml": svg(self).decode()}


class LayeredFigure(_Shown, alt.LayerChart):
    """Layers over one another."""


class FigureRow(_Shown, alt.HConcatChart):
    """Figures beside one another."""


class FigureColumn(_Shown, alt.VConcatChart):
    """Figures above one another."""
