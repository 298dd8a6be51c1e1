"""Reminders, the collector's desk, printed demands, instalments, disputes."""
