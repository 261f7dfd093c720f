"""Logs, traces and metrics of all functions: one owner, so that every record carries the same names.

Task tokens, row contents and SQL text never go into any of them.
"""

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

__all__ = ["MetricUnit", "logger", "metrics", "tracer"]

logger = Logger()
metrics = Metrics()
tracer = Tracer()
