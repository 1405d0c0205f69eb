"""The attention of a real model during one pass: recorded, and compared with the same from scratch."""
