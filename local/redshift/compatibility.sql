-- What Redshift has and PostgreSQL hasn't, as far as types and functions can say it.
CREATE SCHEMA redshift;
GRANT USAGE ON SCHEMA redshift TO PUBLIC;

-- SUPER: schemaless values.
CREATE DOMAIN redshift.super AS jsonb;
