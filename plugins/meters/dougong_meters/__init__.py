"""Meters, readings and consumption."""
