"""Pretrained."""
