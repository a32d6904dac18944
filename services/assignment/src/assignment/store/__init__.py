"""SQL in and out of the model, set-based: one file per thing that is kept."""
