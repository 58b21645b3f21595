"""The output tree: the only code that knows where a record lies and what it is called."""
