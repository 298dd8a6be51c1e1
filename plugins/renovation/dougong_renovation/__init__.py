"""Renovation of rooms: agreed, permitted, inspected, settled."""
