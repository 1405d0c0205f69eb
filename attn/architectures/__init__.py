"""Networks that attention came from or went into: recurrent, pointing, with a memory, over images."""
