-- Numbers and aggregates.

-- PostgreSQL truncates and rounds to places for NUMERIC alone.
CREATE FUNCTION redshift.trunc(value double precision, places integer) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.trunc(value::numeric, places)::double precision;
CREATE FUNCTION redshift.round(value double precision, places integer) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.round(value::numeric, places)::double precision;

-- The average of integers is a BIGINT.
CREATE FUNCTION redshift.whole_average(count_and_sum bigint[]) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN count_and_sum[2] / nullif(count_and_sum[1], 0);
CREATE AGGREGATE redshift.avg(smallint)
    (sfunc = int2_avg_accum, stype = bigint[], finalfunc = redshift.whole_average, initcond = '{0,0}');
CREATE AGGREGATE redshift.avg(integer)
    (sfunc = int4_avg_accum, stype = bigint[], finalfunc = redshift.whole_average, initcond = '{0,0}');
CREATE FUNCTION redshift.count_and_add(count_and_sum numeric[], value bigint) RETURNS numeric[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN ARRAY[count_and_sum[1] + 1, count_and_sum[2] + value];
CREATE FUNCTION redshift.whole_average(count_and_sum numeric[]) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.trunc(count_and_sum[2] / nullif(count_and_sum[1], 0))::bigint;
CREATE AGGREGATE redshift.avg(bigint)
    (sfunc = redshift.count_and_add, stype = numeric[], finalfunc = redshift.whole_average, initcond = '{0,0}');

-- MEDIAN interpolates between the two middle values: of integers and decimals to a NUMERIC, of floats to a float, and
-- of times to the middle of the two.
CREATE FUNCTION redshift.collect(collected anycompatiblearray, value anycompatible) RETURNS anycompatiblearray
    IMMUTABLE PARALLEL SAFE LANGUAGE sql AS
    'SELECT CASE WHEN $2 IS NULL THEN $1 ELSE array_append($1, $2) END';
CREATE FUNCTION redshift.middle(collected double precision[]) RETURNS double precision
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM unnest(collected) AS value;
    END;
CREATE FUNCTION redshift.middle(collected numeric[]) RETURNS numeric IMMUTABLE PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT min(value) + (max(value) - min(value)) * 0.5 FROM (
            SELECT value, row_number() OVER (ORDER BY value) AS place, count(*) OVER () AS size
            FROM unnest(collected) AS value
        ) AS sorted WHERE place IN ((size + 1) / 2, size / 2 + 1);
    END;
CREATE FUNCTION redshift.middle(collected timestamp[]) RETURNS timestamp IMMUTABLE PARALLEL SAFE LANGUAGE sql
    BEGIN ATOMIC
        SELECT min(value) + (max(value) - min(value)) / 2 FROM (
            SELECT value, row_number() OVER (ORDER BY value) AS place, count(*) OVER () AS size
            FROM unnest(collected) AS value
        ) AS sorted WHERE place IN ((size + 1) / 2, size / 2 + 1);
    END;
CREATE AGGREGATE redshift.median(double precision)
    (sfunc = redshift.collect, stype = double precision[], finalfunc = redshift.middle, initcond = '{}');
CREATE AGGREGATE redshift.median(numeric)
    (sfunc = redshift.collect, stype = numeric[], finalfunc = redshift.middle, initcond = '{}');
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['smallint', 'integer', 'bigint'] LOOP
        EXECUTE format(
            'CREATE FUNCTION redshift.collect(collected numeric[], value %1$s) RETURNS numeric[] IMMUTABLE PARALLEL SAFE '
            'LANGUAGE sql RETURN redshift.collect(collected, value::numeric); '
            'CREATE AGGREGATE redshift.median(%1$s) '
            '(sfunc = redshift.collect, stype = numeric[], finalfunc = redshift.middle, initcond = ''{}'')', kind
        );
    END LOOP;
END;
$$;
CREATE AGGREGATE redshift.median(timestamp)
    (sfunc = redshift.collect, stype = timestamp[], finalfunc = redshift.middle, initcond = '{}');

-- FIRST_VALUE and LAST_VALUE … IGNORE NULLS: a strict aggregate begins with the first value that isn't NULL.
CREATE FUNCTION redshift.earlier(kept anyelement, value anyelement) RETURNS anyelement
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION redshift.later(kept anyelement, value anyelement) RETURNS anyelement
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS 'SELECT $2';
CREATE AGGREGATE redshift.first_not_null(anyelement) (sfunc = redshift.earlier, stype = anyelement);
CREATE AGGREGATE redshift.last_not_null(anyelement) (sfunc = redshift.later, stype = anyelement);
