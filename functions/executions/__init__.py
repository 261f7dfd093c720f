"""Executions: what one has under way (`notes`), for whoever stops it; `starting` those of schedules.

Imports no other room.
"""
