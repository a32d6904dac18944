"""The rules: plain functions over the model, with no hands."""
