-- What Redshift has and PostgreSQL hasn't, or does otherwise, as far as types and functions can say it. Schema
-- `redshift` stands before pg_catalog in the search path, so a function here takes the place of PostgreSQL's own.
CREATE SCHEMA redshift;
GRANT USAGE ON SCHEMA redshift TO PUBLIC;
-- In Redshift every user may create in the public schema.
GRANT CREATE ON SCHEMA public TO PUBLIC;

-- SUPER: schemaless values.
CREATE DOMAIN redshift.super AS jsonb;

CREATE FUNCTION redshift.json_parse(value text) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN value::jsonb;

-- What isn't parsed becomes a scalar: a string that holds JSON stays a string. (json_parse comes first: it is bound to
-- PostgreSQL's own cast, which parses.)
CREATE FUNCTION redshift.scalar(value varchar) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value text) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value bigint) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value integer) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value numeric) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value double precision) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE FUNCTION redshift.scalar(value boolean) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE CAST (varchar AS jsonb) WITH FUNCTION redshift.scalar(varchar) AS ASSIGNMENT;
CREATE CAST (text AS jsonb) WITH FUNCTION redshift.scalar(text) AS ASSIGNMENT;
CREATE CAST (bigint AS jsonb) WITH FUNCTION redshift.scalar(bigint) AS ASSIGNMENT;
CREATE CAST (integer AS jsonb) WITH FUNCTION redshift.scalar(integer) AS ASSIGNMENT;
CREATE CAST (numeric AS jsonb) WITH FUNCTION redshift.scalar(numeric) AS ASSIGNMENT;
CREATE CAST (double precision AS jsonb) WITH FUNCTION redshift.scalar(double precision) AS ASSIGNMENT;
CREATE CAST (boolean AS jsonb) WITH FUNCTION redshift.scalar(boolean) AS ASSIGNMENT;

-- PostgreSQL writes a blank after each comma and colon; Redshift writes none.
CREATE FUNCTION redshift.json_serialize(value jsonb) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.regexp_replace(value::text, E'("(?:[^"\\\\]|\\\\.)*")|([:,]) ', E'\\1\\2', 'g');

-- VARCHAR(n) counts bytes. This is the length check of every assignment and cast to VARCHAR(n); the modifier is n + 4.
CREATE FUNCTION redshift.cut_to_bytes(value varchar, bytes integer, is_cast boolean) RETURNS varchar
    IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    encoded bytea := convert_to(value, 'UTF8');
    size integer := bytes;
BEGIN
    IF NOT is_cast AND octet_length(rtrim(value, ' ')) > bytes THEN
        RAISE EXCEPTION 'value too long for type character varying(%)', bytes
            USING ERRCODE = 'string_data_right_truncation';
    END IF;
    WHILE size > 0 AND get_byte(encoded, size) & 192 = 128 LOOP
        size := size - 1;
    END LOOP;
    RETURN convert_from(substring(encoded FROM 1 FOR size), 'UTF8');
END;
$$;
CREATE FUNCTION redshift.fit_varchar(value varchar, modifier integer, is_cast boolean) RETURNS varchar
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE
        WHEN modifier > 4 AND octet_length(value) > modifier - 4
            THEN redshift.cut_to_bytes(value, modifier - 4, is_cast)
        ELSE value
    END;
UPDATE pg_cast SET castfunc = 'redshift.fit_varchar(varchar, integer, boolean)'::regprocedure
    WHERE castsource = 'varchar'::regtype AND casttarget = 'varchar'::regtype;

-- CHAR(n) holds single-byte characters only.
CREATE FUNCTION redshift.refuse_multibyte(value bpchar) RETURNS bpchar IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'CHAR string contains invalid ASCII character' USING ERRCODE = 'character_not_in_repertoire';
END;
$$;
CREATE FUNCTION redshift.fit_char(value bpchar, modifier integer, is_cast boolean) RETURNS bpchar
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE
        WHEN octet_length(value) > char_length(rtrim(value::text)) + octet_length(value) - octet_length(rtrim(value::text))
            THEN redshift.refuse_multibyte(value)
        ELSE pg_catalog.bpchar(value, modifier, is_cast)
    END;
UPDATE pg_cast SET castfunc = 'redshift.fit_char(bpchar, integer, boolean)'::regprocedure
    WHERE castsource = 'bpchar'::regtype AND casttarget = 'bpchar'::regtype;

-- Strings.
CREATE FUNCTION redshift.len(value text) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN char_length(value);
CREATE FUNCTION redshift.charindex(part text, value text) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN strpos(value, part);
CREATE FUNCTION redshift.quote_literal(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN '''' || replace(replace(value, E'\\', E'\\\\'), '''', '''''') || '''';
-- Redshift replaces every match, PostgreSQL the first.
CREATE FUNCTION redshift.regexp_replace(value text, pattern text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.regexp_replace(value, pattern, '', 'g');
CREATE FUNCTION redshift.regexp_replace(value text, pattern text, replacement text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.regexp_replace(value, pattern, replacement, 'g');

-- A field of a CSV line, as UNLOAD writes it.
CREATE FUNCTION redshift.csv_field(value text, delimiter text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CASE
        WHEN value IS NULL THEN ''
        WHEN value = '' OR strpos(value, delimiter) > 0 OR value ~ E'["\n\r]'
            THEN '"' || replace(value, '"', '""') || '"'
        ELSE value
    END;

-- Dates and times. SYSDATE, without parentheses, is rewritten as LOCALTIMESTAMP: the start of the transaction.
CREATE FUNCTION redshift.getdate() RETURNS timestamp STABLE PARALLEL SAFE LANGUAGE sql
    RETURN date_trunc('second', statement_timestamp()::timestamp);
CREATE FUNCTION redshift.trunc(moment timestamp) RETURNS date IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN moment::date;
CREATE FUNCTION redshift.last_day(moment timestamp) RETURNS date IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (pg_catalog.date_trunc('month', moment) + INTERVAL '1 month' - INTERVAL '1 day')::date;
-- For a DATE, PostgreSQL would answer a TIMESTAMPTZ.
CREATE FUNCTION redshift.date_trunc(part text, day date) RETURNS timestamp
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.date_trunc(part, day::timestamp);

CREATE FUNCTION redshift.extract(part text, moment timestamp) RETURNS integer
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN trunc(date_part(part, moment))::integer;
CREATE FUNCTION redshift.extract(part text, moment time) RETURNS integer
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN trunc(date_part(part, moment))::integer;
CREATE FUNCTION redshift.extract(part text, moment timestamptz) RETURNS double precision
    STABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN date_part(part, moment);

CREATE FUNCTION redshift.dateadd(part text, amount bigint, moment timestamp) RETURNS timestamp
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN moment + CASE part
        WHEN 'quarter' THEN amount * INTERVAL '3 months'
        ELSE amount * ('1 ' || part)::interval
    END;

-- How many boundaries of the part lie between two times.
CREATE FUNCTION redshift.datediff(part text, earlier timestamp, later timestamp) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE part
        WHEN 'day' THEN later::date - earlier::date
        WHEN 'month' THEN (date_part('year', later) - date_part('year', earlier)) * 12
            + date_part('month', later) - date_part('month', earlier)
        WHEN 'quarter' THEN (date_part('year', later) - date_part('year', earlier)) * 4
            + date_part('quarter', later) - date_part('quarter', earlier)
        WHEN 'year' THEN date_part('year', later) - date_part('year', earlier)
        WHEN 'decade' THEN date_part('decade', later) - date_part('decade', earlier)
        WHEN 'century' THEN date_part('century', later) - date_part('century', earlier)
        WHEN 'millennium' THEN date_part('millennium', later) - date_part('millennium', earlier)
        WHEN 'hour' THEN floor(EXTRACT(epoch FROM later) / 3600) - floor(EXTRACT(epoch FROM earlier) / 3600)
        WHEN 'minute' THEN floor(EXTRACT(epoch FROM later) / 60) - floor(EXTRACT(epoch FROM earlier) / 60)
        WHEN 'second' THEN floor(EXTRACT(epoch FROM later)) - floor(EXTRACT(epoch FROM earlier))
        WHEN 'millisecond' THEN floor(EXTRACT(epoch FROM later) * 1000) - floor(EXTRACT(epoch FROM earlier) * 1000)
        WHEN 'microsecond' THEN EXTRACT(epoch FROM later) * 1000000 - EXTRACT(epoch FROM earlier) * 1000000
    END::bigint;

CREATE FUNCTION redshift.convert_timezone(target text, moment timestamp) RETURNS timestamp
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN (moment AT TIME ZONE 'UTC') AT TIME ZONE target;
CREATE FUNCTION redshift.convert_timezone(source text, target text, moment timestamp) RETURNS timestamp
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN (moment AT TIME ZONE source) AT TIME ZONE target;
