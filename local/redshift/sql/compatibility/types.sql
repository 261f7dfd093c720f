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
CREATE FUNCTION redshift.scalar(value bpchar) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
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
CREATE CAST (bpchar AS jsonb) WITH FUNCTION redshift.scalar(bpchar) AS ASSIGNMENT;
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

-- No VARCHAR is longer, whatever made it.
CREATE FUNCTION redshift.within_limit(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN octet_length(value) > 65535 THEN redshift.cut_to_bytes(value, 65535, false) ELSE value END;

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

-- VARBYTE holds the bytes of the text that is cast to it, where PostgreSQL would read escapes.
CREATE FUNCTION redshift.varbyte(value text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN convert_to(value, 'UTF8');
CREATE FUNCTION redshift.varbyte(value varchar) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN convert_to(value, 'UTF8');
CREATE FUNCTION redshift.text_of(value bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN convert_from(value, 'UTF8');
CREATE FUNCTION redshift.varchar_of(value bytea) RETURNS varchar IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN convert_from(value, 'UTF8');
CREATE CAST (text AS bytea) WITH FUNCTION redshift.varbyte(text) AS ASSIGNMENT;
CREATE CAST (varchar AS bytea) WITH FUNCTION redshift.varbyte(varchar) AS ASSIGNMENT;
CREATE CAST (bytea AS text) WITH FUNCTION redshift.text_of(bytea) AS ASSIGNMENT;
CREATE CAST (bytea AS varchar) WITH FUNCTION redshift.varchar_of(bytea) AS ASSIGNMENT;
CREATE FUNCTION redshift.from_hex(value text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN decode(value, 'hex');
CREATE FUNCTION redshift.to_hex(value bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN encode(value, 'hex');
CREATE FUNCTION redshift.to_hex(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN encode(convert_to(value, 'UTF8'), 'hex');
CREATE FUNCTION redshift.to_varbyte(value text, format text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE lower(format) WHEN 'utf8' THEN convert_to(value, 'UTF8') ELSE decode(value, lower(format)) END;
CREATE FUNCTION redshift.from_varbyte(value bytea, format text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE lower(format) WHEN 'utf8' THEN convert_from(value, 'UTF8') ELSE encode(value, lower(format)) END;
