"""The callback mechanism: a task submits a Redshift statement and sleeps until Redshift's event wakes it.

In reading order: `identifiers` (names in SQL), `argument_types` and `procedure_call` (payload to CALL),
`tasks` (who waits) and `names` (statement name and client token), `token_store` (task tokens in DynamoDbTableMeta),
`data_api` (Redshift Data API), `resuming`, `submitting` and `reporting` (what both log and count), `stopping` (what
executions leave behind), `watching` (what no event has told), `settings` (environment and assembly).
"""
