"""Home."""

from dataclasses import dataclass

from attn.ui.setup import text


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Home."""

    text: str = text("The animal didn't cross the street because it was too tired.")
