"""The page Change."""
