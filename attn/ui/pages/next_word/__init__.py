"""Next word: a whole model walked from its tokens to the probabilities of what comes next."""
