"""The Redshift Data API: requests checked and authorized, statements kept and run, completion events published.

It may import `local.redshift.execution`, what is below it, and MiniStack, which it is a service of. In reading order:
`service` (requests as they arrive), `operations`, `quotas`, `protocol`, `parameters`, `target`, `authorization`,
`store`, `statements`, `running`, `results`, `catalog`, `events`, `errors`.
"""
