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
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    -- Milli- and microseconds hold no higher part, as they do in PostgreSQL.
    RETURN CASE
        WHEN part IN ('millisecond', 'microsecond') THEN trunc(date_part(part, moment))::bigint % 1000
        ELSE trunc(date_part(part, moment))
    END::integer;
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

-- The last day of a month stays the last day; the same day else, or the last if there is none.
CREATE FUNCTION redshift.add_months(moment timestamp, months bigint) RETURNS timestamp
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE
        WHEN moment::date = redshift.last_day(moment)
            THEN redshift.last_day(moment + months * INTERVAL '1 month') + moment::time
        ELSE moment + months * INTERVAL '1 month'
    END;
-- Whole months between equal days, and between last days; else a part of a month of 31 days.
CREATE FUNCTION redshift.months_between(later timestamp, earlier timestamp) RETURNS double precision
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (date_part('year', later) - date_part('year', earlier)) * 12
        + date_part('month', later) - date_part('month', earlier)
        + CASE
            WHEN date_part('day', later) = date_part('day', earlier)
                OR later::date = redshift.last_day(later) AND earlier::date = redshift.last_day(earlier) THEN 0
            ELSE date_part('day', later) - date_part('day', earlier)
                + date_part('epoch', later::time - earlier::time) / 86400
        END / 31;
CREATE FUNCTION redshift.next_day(moment timestamp, weekday text) RETURNS date
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    wanted integer := array_position(ARRAY['su', 'mo', 'tu', 'we', 'th', 'fr', 'sa'], lower(left(weekday, 2))) - 1;
BEGIN
    IF wanted IS NULL OR strpos((ARRAY['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday',
        'saturday'])[wanted + 1], lower(weekday)) <> 1 THEN
        RAISE EXCEPTION 'Not a day of the week: %', weekday USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN moment::date + 1 + (wanted - extract(dow FROM moment)::integer + 6) % 7;
END;
$$;
CREATE FUNCTION redshift.date_cmp(one date, other date) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN CASE WHEN one > other THEN 1 WHEN one < other THEN -1 ELSE 0 END;
CREATE FUNCTION redshift.date_part_year(day date) RETURNS integer IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN date_part('year', day);
CREATE FUNCTION redshift.to_timestamp(value text, format text) RETURNS timestamptz
    STABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN pg_catalog.to_timestamp(value, format);

-- On which day a week begins is documented nowhere. Where that makes no difference the result is certain.
CREATE FUNCTION redshift.weeks_between(earlier timestamp, later timestamp) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    from_monday CONSTANT bigint := (date_trunc('week', later)::date - date_trunc('week', earlier)::date) / 7;
    from_sunday CONSTANT bigint := (date_trunc('week', later + INTERVAL '1 day')::date
        - date_trunc('week', earlier + INTERVAL '1 day')::date) / 7;
BEGIN
    IF from_monday <> from_sunday THEN
        RAISE EXCEPTION 'DATEDIFF of weeks between times of which one is a Sunday is not imitated by the local Redshift';
    END IF;
    RETURN from_monday;
END;
$$;
