"""One text of a batch: its rows in the arrays of a layer, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attn.pretrained.inputs.tokens import PADDING

if TYPE_CHECKING:
    from attn.pretrained.inputs.tokens import Token
    from attn.pretrained.recording.layer import Arrays
    from attn.pretrained.recording.registry import Call


class OneOfBatch(NamedTuple):
    """Where one text of a batch lies in the arrays of a layer.

    Parameters
    ----------
    row, num_rows
        Place in the batch, and how many texts are in it.
    n_q, n_k
        Queries and keys of the layer, with padding.
    queries, keys
        Those of the text.
    """

    row: int
    num_rows: int
    n_q: int
    n_k: int
    queries: slice | np.ndarray
    keys: slice | np.ndarray

    def shape(self, shape: tuple, places: slice | np.ndarray) -> tuple:
        """Return what is left of a shape (batch, num_heads, n, d) at the places of the text."""
        batch, num_heads, n, width = shape
        return len(range(batch)[self._rows(batch)]), num_heads, len(np.arange(n)[places]), width

    def arrays(self, arrays: Arrays) -> Arrays:
        """Return the arrays of the text, which share the memory of those of the batch where they can."""
        mask = self._square(arrays.mask)
        hidden = self._row(arrays.hidden)
        by_token = hidden is not None and hidden.ndim == 3 and hidden.shape[1] == self.n_q
        return arrays._replace(
            query=self._row(arrays.query)[:, :, self.queries],
            key=self._row(arrays.key)[:, :, self.keys],
            value=self._row(arrays.value)[:, :, self.keys],
            mask=None if mask is None or mask.all() else mask,
            bias=self._square(arrays.bias),
            sinks=self._square(arrays.sinks),
            hidden=hidden[:, self.queries] if by_token else hidden,
            call=self._call(arrays.call),
        )

    def output(self, output: np.ndarray | None) -> np.ndarray | None:
        """Return the output (batch, num_heads, n_q, d_v) of the text."""
        return None if output is None else self._row(output)[:, :, self.queries]

    def _call(self, call: Call) -> Call:
        """Return what the model handed over for the text."""
        options = {
            name: self._square(value) if getattr(value, "ndim", 0) == 4 else value
            for name, value in call.options.items()
        }
        return replace(
            call,
            query=self._row(call.query)[:, :, self.queries],
            key=self._row(call.key)[:, :, self.keys],
            value=self._row(call.value)[:, :, self.keys],
            mask=self._square(call.mask),
            options=options,
            hidden=None,
            given=None,
            own_weights=None if call.own_weights is None else lambda: self._square(call.own_weights()),
        )

    def _rows(self, length: int) -> slice:
        """Return the rows of the text: all where texts share them, several where a text has several windows."""
        each = length // self.num_rows
        return slice(self.row * each, (self.row + 1) * each) if length % self.num_rows == 0 else slice(None)

    def _row(self, array: Any) -> Any:
        """Return the rows of the text in an array or a tensor."""
        return None if array is None else array[self._rows(len(array))]

    def _square(self, array: Any) -> Any:
        """Return what belongs to the text in what fits (batch, num_heads, n_q, n_k)."""
        array = self._row(array)
        if array is None or array.ndim != 4:
            return array
        array = array[:, :, self.queries] if array.shape[2] == self.n_q else array
        return array[:, :, :, self.keys] if array.shape[3] == self.n_k else array


def places(names: Sequence[Token]) -> slice | np.ndarray:
    """Return where names are that are not padding.

    Parameters
    ----------
    names
        With `PADDING` among them.

    Returns
    -------
    slice, or ndarray of int
        A slice where nothing lies between them.
    """
    real = [place for place, name in enumerate(names) if name != PADDING]
    first, behind = real[0], real[-1] + 1
    return slice(first, behind) if behind - first == len(real) else np.array(real)
