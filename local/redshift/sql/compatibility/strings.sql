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

CREATE FUNCTION redshift.replicate(value text, times integer) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN repeat(value, times);

-- The integer that a text in base 2 to 36 stands for.
CREATE FUNCTION redshift.strtol(value text, base integer) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    digits text := lower(btrim(value));
    is_negative CONSTANT boolean := digits LIKE '-%';
    digit integer;
    result numeric := 0;
BEGIN
    digits := ltrim(digits, '+-');
    IF base = 16 AND digits LIKE '0x%' THEN
        digits := substr(digits, 3);
    END IF;
    FOR place IN 1 .. char_length(digits) LOOP
        digit := strpos(left('0123456789abcdefghijklmnopqrstuvwxyz', base), substr(digits, place, 1)) - 1;
        IF digit < 0 THEN
            RAISE EXCEPTION 'The input % is not valid to be converted to base %', value, base
                USING ERRCODE = 'invalid_text_representation';
        END IF;
        result := result * base + digit;
    END LOOP;
    RETURN CASE WHEN is_negative THEN -result ELSE result END;
END;
$$;
