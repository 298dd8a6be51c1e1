"""The rules of renovation, without database or web."""
