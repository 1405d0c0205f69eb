"""A real model run with our attention inside, as it is or changed."""
