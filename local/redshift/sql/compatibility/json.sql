-- JSON in text, and SUPER.

-- Text that holds JSON. Functions of JSON text take NULL_IF_INVALID as their last argument.
CREATE FUNCTION redshift.is_valid_json(value text) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN value IS JSON OBJECT;
CREATE FUNCTION redshift.is_valid_json_array(value text) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN value IS JSON ARRAY;
CREATE FUNCTION redshift.can_json_parse(value text) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN value IS JSON;
CREATE FUNCTION redshift.json_of(value text, null_if_invalid boolean) RETURNS json
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    IF value IS JSON THEN
        RETURN value::json;
    ELSIF null_if_invalid THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'JSON parsing error' USING ERRCODE = 'invalid_text_representation';
END;
$$;
CREATE FUNCTION redshift.json_extract_path_text(value text, null_if_invalid boolean, VARIADIC path text[]) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN redshift.json_of(value, null_if_invalid) #>> path;
CREATE FUNCTION redshift.json_extract_array_element_text(value text, place integer, null_if_invalid boolean DEFAULT false)
    RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN place >= 0 THEN redshift.json_of(value, null_if_invalid) ->> place END;
CREATE FUNCTION redshift.json_array_length(value text, null_if_invalid boolean DEFAULT false) RETURNS integer
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN pg_catalog.json_array_length(redshift.json_of(value, null_if_invalid));

CREATE FUNCTION redshift.super_string(value text) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
-- SUPER. What navigation doesn't find is NULL (AWS documentation: "Lax mode").
CREATE FUNCTION redshift.member(value jsonb, name text) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE jsonb_typeof(value) WHEN 'object' THEN value -> name END;
CREATE FUNCTION redshift.element(value jsonb, place integer) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN jsonb_typeof(value) = 'array' AND place >= 0 THEN value -> place END;
CREATE FUNCTION redshift.elements(value jsonb) RETURNS TABLE (element jsonb, place bigint)
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT item, number - 1
    FROM jsonb_array_elements(CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END)
        WITH ORDINALITY AS found(item, number)
$$;
CREATE FUNCTION redshift.json_typeof(value jsonb) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN jsonb_typeof(value);
CREATE FUNCTION redshift.is_array(value jsonb) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN jsonb_typeof(value) = 'array';
CREATE FUNCTION redshift.is_object(value jsonb) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN jsonb_typeof(value) = 'object';
CREATE FUNCTION redshift.is_scalar(value jsonb) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN jsonb_typeof(value) NOT IN ('array', 'object');
CREATE FUNCTION redshift.get_array_length(value jsonb) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value) END;
CREATE FUNCTION redshift.array_concat(one jsonb, other jsonb) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN jsonb_typeof(one) = 'array' AND jsonb_typeof(other) = 'array' THEN one || other END;
CREATE FUNCTION redshift.array_flatten(value jsonb) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT coalesce(jsonb_agg(inner_item ORDER BY number, inner_number), '[]')
        FROM jsonb_array_elements(value) WITH ORDINALITY AS found(item, number),
            jsonb_array_elements(CASE jsonb_typeof(item) WHEN 'array' THEN item ELSE jsonb_build_array(item) END)
                WITH ORDINALITY AS inner_found(inner_item, inner_number);
    END;
CREATE FUNCTION redshift.subarray(value jsonb, start integer, size integer DEFAULT NULL) RETURNS jsonb
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT coalesce(jsonb_agg(item ORDER BY number), '[]')
        FROM jsonb_array_elements(value) WITH ORDINALITY AS found(item, number)
        WHERE number > start AND (size IS NULL OR number <= start + size);
    END;
CREATE FUNCTION redshift.split_to_array(value text, delimiter text DEFAULT ',') RETURNS jsonb
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN to_jsonb(string_to_array(value, delimiter));
CREATE FUNCTION redshift.array_to_string(value jsonb, delimiter text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT string_agg(item #>> '{}', delimiter ORDER BY number)
        FROM jsonb_array_elements(value) WITH ORDINALITY AS found(item, number);
    END;

-- SUPER is compared and reckoned with by what its value is: two of different kinds are neither equal nor unequal.
CREATE FUNCTION redshift.number_of(value jsonb) RETURNS numeric IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric END;
DO $$
DECLARE
    operator text[];
    other text;
BEGIN
    FOREACH operator SLICE 1 IN ARRAY ARRAY[
        ['equal', '='], ['unequal', '<>'], ['less', '<'], ['not_more', '<='], ['more', '>'], ['not_less', '>=']
    ] LOOP
        EXECUTE format(
            'CREATE FUNCTION redshift.super_%1$s(one jsonb, other jsonb) RETURNS boolean IMMUTABLE STRICT PARALLEL SAFE '
            'LANGUAGE sql RETURN CASE WHEN jsonb_typeof(one) = jsonb_typeof(other) '
            'THEN one OPERATOR(pg_catalog.%2$s) other END; '
            'CREATE FUNCTION redshift.super_%1$s(one jsonb, other anyelement) RETURNS boolean STABLE STRICT '
            'PARALLEL SAFE LANGUAGE sql AS ''SELECT redshift.super_%1$s($1, to_jsonb($2))''; '
            'CREATE FUNCTION redshift.super_%1$s(one anyelement, other jsonb) RETURNS boolean STABLE STRICT '
            'PARALLEL SAFE LANGUAGE sql AS ''SELECT redshift.super_%1$s(to_jsonb($1), $2)''; '
            'CREATE OPERATOR redshift.%2$s (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = redshift.super_%1$s); '
            'CREATE OPERATOR redshift.%2$s (LEFTARG = jsonb, RIGHTARG = anyelement, FUNCTION = redshift.super_%1$s); '
            'CREATE OPERATOR redshift.%2$s (LEFTARG = anyelement, RIGHTARG = jsonb, FUNCTION = redshift.super_%1$s)',
            VARIADIC operator
        );
    END LOOP;
    FOREACH operator SLICE 1 IN ARRAY ARRAY[['plus', '+'], ['minus', '-'], ['times', '*']] LOOP
        FOREACH other IN ARRAY ARRAY['jsonb', 'integer', 'bigint', 'numeric', 'double precision'] LOOP
            EXECUTE format(
                'CREATE FUNCTION redshift.super_%1$s(one jsonb, other %3$s) RETURNS jsonb IMMUTABLE STRICT '
                'PARALLEL SAFE LANGUAGE sql RETURN to_jsonb(redshift.number_of(one) %2$s '
                'redshift.number_of(to_jsonb(other))); '
                'CREATE OPERATOR redshift.%2$s (LEFTARG = jsonb, RIGHTARG = %3$s, FUNCTION = redshift.super_%1$s)',
                operator[1], operator[2], other
            );
            CONTINUE WHEN other = 'jsonb';
            EXECUTE format(
                'CREATE FUNCTION redshift.super_%1$s(one %3$s, other jsonb) RETURNS jsonb IMMUTABLE STRICT '
                'PARALLEL SAFE LANGUAGE sql RETURN to_jsonb(redshift.number_of(to_jsonb(one)) %2$s '
                'redshift.number_of(other)); '
                'CREATE OPERATOR redshift.%2$s (LEFTARG = %3$s, RIGHTARG = jsonb, FUNCTION = redshift.super_%1$s)',
                operator[1], operator[2], other
            );
        END LOOP;
    END LOOP;
END;
$$;
CREATE FUNCTION redshift.add_number(sum numeric, value jsonb) RETURNS numeric IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN coalesce(sum + redshift.number_of(value), redshift.number_of(value), sum);
CREATE FUNCTION redshift.super_of(value numeric) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN to_jsonb(value);
CREATE AGGREGATE redshift.sum(jsonb) (sfunc = redshift.add_number, stype = numeric, finalfunc = redshift.super_of);
CREATE FUNCTION redshift.smaller(one jsonb, other jsonb) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN other OPERATOR(pg_catalog.<) one THEN other ELSE one END;
CREATE FUNCTION redshift.larger(one jsonb, other jsonb) RETURNS jsonb IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN other OPERATOR(pg_catalog.>) one THEN other ELSE one END;
CREATE AGGREGATE redshift.min(jsonb) (sfunc = redshift.smaller, stype = jsonb);
CREATE AGGREGATE redshift.max(jsonb) (sfunc = redshift.larger, stype = jsonb);

-- A cast of SUPER to text gives a scalar's own text, without quotes; arrays and objects have none. (These casts stand
-- last: functions above and in types.sql are bound to PostgreSQL's own, which write JSON.)
CREATE FUNCTION redshift.text_of(value jsonb) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN jsonb_typeof(value) NOT IN ('array', 'object') THEN value #>> '{}' END;
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['varchar', 'text', 'bpchar', 'date', 'time', 'timestamp', 'timestamptz'] LOOP
        EXECUTE format(
            'CREATE FUNCTION redshift.%1$s_of_super(value jsonb) RETURNS %1$s STABLE STRICT PARALLEL SAFE LANGUAGE sql '
            'RETURN redshift.text_of(value)::%1$s; '
            'CREATE CAST (jsonb AS %1$s) WITH FUNCTION redshift.%1$s_of_super(jsonb) AS ASSIGNMENT', kind
        );
    END LOOP;
END;
$$;
