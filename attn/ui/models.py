"""Pretrained models, loaded once for all visitors."""
