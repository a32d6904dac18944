"""SQL in and out of the model, one statement per set."""
