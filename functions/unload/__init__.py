"""From an execution's input to the work that loaders do: the UNLOAD statement, and the pieces of what it wrote.

In reading order: `request` (the input), `query` (the SELECT), `statement` (UNLOAD around it), `encryption` (whether the
bucket asks for a KMS key); then `manifest` and `listing` (what Redshift wrote), `first_rows` (do the columns fit),
`work_list` (pieces of about equal rows), `planning` (what the Distributed Map gets), `estimate` (a dry run's report).
"""
