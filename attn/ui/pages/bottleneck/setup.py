"""What the link of the page Bottleneck holds."""

from dataclasses import dataclass

from attn import trained
from attn.trained import TASKS
from attn.ui.link import link_choice, link_place, link_real, link_string, link_whole

MODELS = trained.MODELS | {name: changed[1] for name, changed in trained.CHANGED.items()}


SHOWN = {"alignment": "Weights", "influence": "Influence"}


TABS = {
    "accuracy": "Accuracy by length",
    "states": "States and gates",
    "film": "Film of training",
    "published": "Published alignments",
    "gradient": "Gradient through time",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "States and gates": "states",
    "Accuracy by length": "accuracy",
    "Film of training": "film",
    "Published alignments": "published",
    "Gradient through time": "gradient",
    "Code": "code",
}


SIDES = {"left": "First model", "right": "Second model"}


PARTS = {"encoder": "Reading", "backward": "Reading backward", "decoder": "Writing"}


COUNTED = {"whole": "Whole answers", "symbols": "Symbols"}


PANELS = ("a", "b", "c", "d")


FRAMES = 12


@dataclass(frozen=True)
class Setup:
    """Everything chosen on Bottleneck."""

    task: str = link_choice("pair", TASKS)
    typed: str = link_string("")  # empty: the first example of the task
    left: str = link_choice("fixed", MODELS)
    right: str = link_choice("bahdanau", MODELS)
    trained_on: str = link_choice("long", trained.TRAINED_ON)
    show: str = link_choice("alignment", SHOWN)
    unwritten: int = link_whole(0, 0, 99)  # rows that are still to come
    tab: str = link_choice("accuracy", TABS, OLD_TABS)
    side: str = link_choice("right", SIDES)
    part: str = link_choice("decoder", PARTS)
    counted: str = link_choice("whole", COUNTED)
    frame: int = link_whole(FRAMES, 1, FRAMES)
    panel: str = link_choice("a", PANELS)
    cell: tuple = link_place((4, 6))
    factor: float = link_real(0.8, 0.1, 1.5)
    count: int = link_whole(20, 1, 100)
