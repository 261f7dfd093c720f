"""The ways of loading that are compared.

Each module has `prepare(task)`, which makes its clients and returns a function that loads and returns the number of
rows written. The process's environment says where DynamoDB and S3 are.
"""
