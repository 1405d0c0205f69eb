"""From a name to a model: which one is meant, where its files are, what is in them."""
