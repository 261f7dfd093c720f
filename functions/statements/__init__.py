"""The callback mechanism: a task submits a Redshift statement and sleeps until Redshift's event wakes it.

In reading order: `identifiers` (names in SQL), `inputs` and `procedure_call` (payload to CALL), `names` (statement name
and client token), `token_store` (task tokens in DynamoDbTableMeta), `data_api` (Redshift Data API), `submitting`,
`resuming`, `settings` (environment and assembly).
"""
