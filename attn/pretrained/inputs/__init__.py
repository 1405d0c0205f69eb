"""What a model reads: texts, pictures and sounds, prepared as the model was trained on."""
