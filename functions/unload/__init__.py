"""From an execution's input to the work that loaders do: the UNLOAD statement, and the pieces of what it wrote.

In reading order: `request` (the input), `query` (the SELECT), `statement` (UNLOAD around it), `destination` (what must
exist beforehand), `locations` (where objects live in the data bucket); then `manifest` and `listing` (what Redshift
wrote), `rows` (do the columns fit), `work_list` (pieces of about equal rows), `plan` (what the Distributed Map gets)
and `estimate` (a dry run's report).
"""
