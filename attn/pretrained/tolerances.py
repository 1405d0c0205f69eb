"""How far apart two computations in float32 may be and still be the same: a limit for each thing that is compared."""

from attn.words import number

WEIGHT = 1e-5  # of an attention weight, computed in one step from the same queries and keys
STATE = 1e-4  # of a state or a score after whole layers, as a part of its token's largest number there
LOGIT = 1e-3  # of a logit of a model that runs with our attention inside: see `LIMITS` for why not more
_MOVED = 0.002  # of itself, by which a probability moves at most, roughly, if every logit moves by `LOGIT`

LIMITS = (
    "Where two sides are compared, both keep about seven digits (float32) and add in another order. How far apart that "
    "alone brings them hangs on what is compared, so there are three limits. A weight is between 0 and 1 and one step "
    f"from the same queries and keys: up to {number(WEIGHT)} of it is rounding. A state or score after whole layers "
    "has no such size, and each layer hands its rounding on to the next: up to "
    f"{number(STATE)} of the largest number that the same token has there. "
    "Where a model runs with our attention inside, what counts is what "
    f"it then says: up to {number(LOGIT)} of a logit, which moves no probability by more than about {_MOVED:.1%} of "
    "itself."
)
"""Why the limits differ, in words."""
