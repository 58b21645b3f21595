"""Training of a model, with or without a penalty, and its evaluation."""
