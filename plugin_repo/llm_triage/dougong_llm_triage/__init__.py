"""A second opinion on reported repairs, from a language model."""
