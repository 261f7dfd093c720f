"""Encoding: rows become DynamoDB's JSON, whole columns at a time; what DynamoDB can never accept is found on the way.

`items` makes the put requests, `attributes` says what each column becomes, with `json_strings`, `numbers`, `times` and
`nested` for the kinds of values, `item_size` measures, `row_faults` collects rejects. Imports no other room.
"""
