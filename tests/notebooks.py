"""The example notebook, run cell by cell. Run ``python tests/notebooks.py`` to write its pictures anew."""

import ast
import sys
from pathlib import Path

import nbformat

FILE = Path(__file__).parents[1] / "attn" / "charts" / "in_a_notebook.ipynb"
PICTURE = Path(__file__).parent / "screenshots" / "notebook.png"


def run(notebook):
    """Run a notebook as Jupyter does, and return the last value of each cell of code."""
    names, values = {}, []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            body = ast.parse(cell.source).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
            values.append(eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None)
    return values


def refresh():
    """Write what each cell shows into the notebook, and the last picture for the README."""
    from attn import charts

    notebook = nbformat.read(FILE, as_version=4)
    values = run(notebook)
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    for count, (cell, value) in enumerate(zip(cells, values, strict=True), 1):
        cell.execution_count, cell.outputs = count, []
        if value is not None:
            shown = value._repr_mimebundle_() | {"text/plain": type(value).__name__}
            cell.outputs.append(nbformat.v4.new_output("execute_result", shown, execution_count=count))
    nbformat.validate(notebook)
    nbformat.write(notebook, FILE)
    PICTURE.write_bytes(charts.png(values[-1]))


if __name__ == "__main__":
    sys.path.insert(0, str(FILE.parents[2]))
    refresh()
