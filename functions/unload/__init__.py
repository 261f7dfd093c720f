"""From an execution's input to the work that loaders do: the UNLOAD statement, and the pieces of what it wrote.

In reading order: `request` (the input), `query` (the SELECT), `buckets` (how many), `incremental` (which rows are new),
`statement` (UNLOAD and the count around the query), `asked` (all of these together), `encryption` (whether the bucket
asks for a KMS key); then `manifest` and `listing` (what Redshift wrote), `first_rows` (do the columns fit),
`refreshing` (what the load is compared with), `work_list` (buckets, or pieces of about equal rows), `planning` (what
the Distributed Map gets), `estimate` (a dry run's report). Before all that, `taking` takes the target table for the
load, and `resuming` finds the plan of one that has failed.
"""
