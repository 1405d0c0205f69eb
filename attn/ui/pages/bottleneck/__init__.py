"""The page Bottleneck."""
