"""Repair requests and work orders: reported, judged, dispatched, done, rated."""
