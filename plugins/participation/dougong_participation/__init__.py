"""Notices, complaints, feedback and questionnaires."""
