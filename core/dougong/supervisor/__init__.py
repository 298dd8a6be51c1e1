"""Starts everything, keeps it running, and stops it: `dougong up`.

One supervisor owns the listening socket and these processes: web (pages, API and live streams),
worker (jobs, schedules, events, audit sealer), devices (the driver host) and, in a demonstration,
the simulated meters. The embedded PostgreSQL outlives a supervisor that is killed; the next one
attaches to it.
"""
