"""What AWS charges in us-east-1, on demand, in US dollars; the address of its price list for each."""

from dynamo_load.prices import DOLLARS_PER_MILLION

REGION = "us-east-1"
PER_MILLION_WRITE_UNITS = DOLLARS_PER_MILLION[REGION]
"""https://aws.amazon.com/dynamodb/pricing/on-demand/"""
PER_GB_SECOND = 0.0000133334
"""Of a function on arm64, the first tier: https://aws.amazon.com/lambda/pricing/"""
PER_THOUSAND_TRANSITIONS = 0.025
"""Of standard workflows; a retry counts as one, too: https://aws.amazon.com/step-functions/pricing/"""
PER_GB_MONTH = 0.023
"""Of S3 Standard: https://aws.amazon.com/s3/pricing/"""

LOADER_MEMORY_MB = 1_769
"""The template's, one vCPU."""
TRANSITIONS_PER_PIECE = 4
"""Its execution's start, Load Piece, Piece Finished?, Piece Loaded: if it is not handed over."""
