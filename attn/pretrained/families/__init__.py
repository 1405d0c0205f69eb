"""Every family of transformers, tried with a tiny random model."""
