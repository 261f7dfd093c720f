"""Encoding: rows become DynamoDB's JSON, whole columns at a time; what DynamoDB can never accept is found on the way.

`items` makes the put requests and measures them, `columns` names each column's attribute, `attributes` says what it
becomes, with `json_strings`, `numbers`, `times` and `nested` for the kinds of values, `row_faults` collects rejects.
Imports no other room.
"""

ENCODER_VERSION = 1
"""To be raised whenever any row's text becomes another: digests of it are kept from load to load."""
