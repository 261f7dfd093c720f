"""What loading costs, measured: `make bench` runs it and writes docs/performance.md.

In reading order: `scale` (how much is measured), `datasets` (the rows), `task` (what a way of loading is asked to do,
and what it cost), `way` with `ways/` (the ways that are compared, each in a process of its own), `object_store` and
`ledger` (where the loader's files and checkpoints are), `bench` (starting all of these), then the parts: `peers` (the
loader against the usual ways), `fan_out` (several loaders), `limits` (unprocessed items, large files, cold start),
`table_limit` (tables that throttle), `refresh` (what differs from a record) and `pipeline` (the deployed application);
`performance` keeps the figures and `report` with `plot` writes them down.
"""
