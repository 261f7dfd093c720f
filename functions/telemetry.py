"""Logs, traces and metrics of all functions: one owner, so that every record carries the same names.

Task tokens, row contents and SQL text never go into any of them.
"""

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

__all__ = ["MetricUnit", "logger", "metrics", "traced"]

Handler = Callable[..., Any]

logger = Logger()
metrics = Metrics()

# Python writes a warning as plain text, which no query of JSON lines finds: it becomes a record like all others.
logging.captureWarnings(True)
_warnings = logging.getLogger("py.warnings")
_warnings.addHandler(logger.registered_handler)
_warnings.propagate = False
# An invocation that failed, or changed nothing, has nothing to count.
warnings.filterwarnings("ignore", "No application metrics to publish")


def traced(handler: Handler) -> Handler:
    """Have X-Ray trace a handler and its calls of AWS, where the stack's ShouldEnableTracing is true.

    Elsewhere there is no Tracer, as one imports the X-Ray SDK even if it is disabled: 0.3 s of every cold start.
    """
    if os.environ.get("POWERTOOLS_TRACE_DISABLED") == "true":
        return handler
    return Tracer().capture_lambda_handler(handler, capture_response=False)
