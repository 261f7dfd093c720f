-- Hashes.

-- 64-bit FNV-1a: for each byte, exclusive or, then times the prime 2^40 + 435, all modulo 2^64. A bigint would overflow,
-- so the product is put together from halves of 32 bits.
CREATE FUNCTION redshift.fnv_1a(bytes bytea, is_little_endian boolean, seed bigint) RETURNS bigint
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    half CONSTANT bigint := 4294967295;
    size CONSTANT integer := octet_length(bytes);
    hash bigint := seed;
    low bigint;
    product bigint;
BEGIN
    FOR place IN 0 .. size - 1 LOOP
        hash := hash # get_byte(bytes, CASE WHEN is_little_endian THEN size - 1 - place ELSE place END);
        low := hash & half;
        product := low * 435;
        hash := ((((hash >> 32) & half) * 435 + (product >> 32) + (low << 8)) & half) << 32 | (product & half);
    END LOOP;
    RETURN hash;
END;
$$;
-- How many bytes of which form a value has is documented for integers and text; of the other types it is what they are
-- stored as: days and microseconds since 2000, and the digits of a decimal as an integer of 8 bytes, or of 16.
CREATE FUNCTION redshift.decimal_bytes(value numeric) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    digits numeric := value * 10::numeric ^ scale(value);
BEGIN
    IF digits BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
        RETURN int8send(digits::bigint);
    END IF;
    RETURN int8send(floor(digits / 18446744073709551616)::bigint)
        || int8send((mod(mod(digits, 18446744073709551616) + 27670116110564327424, 18446744073709551616)
            - 9223372036854775808)::bigint);
END;
$$;
DO $$
DECLARE
    hashed text[];
BEGIN
    FOREACH hashed SLICE 1 IN ARRAY ARRAY[
        ['boolean', 'boolsend(value)', 'true'], ['smallint', 'int2send(value)', 'true'],
        ['integer', 'int4send(value)', 'true'], ['bigint', 'int8send(value)', 'true'],
        ['real', 'float4send(value)', 'true'], ['double precision', 'float8send(value)', 'true'],
        ['numeric', 'redshift.decimal_bytes(value)', 'true'], ['date', 'date_send(value)', 'true'],
        ['time', 'time_send(value)', 'true'], ['timestamp', 'timestamp_send(value)', 'true'],
        ['timestamptz', 'timestamptz_send(value)', 'true'], ['bytea', 'value', 'false'],
        ['varchar', 'convert_to(value, ''UTF8'')', 'false'], ['text', 'convert_to(value, ''UTF8'')', 'false'],
        ['bpchar', 'bpcharsend(value)', 'false']
    ] LOOP
        EXECUTE format(
            'CREATE FUNCTION redshift.fnv_hash(value %s, seed bigint DEFAULT -3750763034362895579) RETURNS bigint '
            'IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql RETURN redshift.fnv_1a(%s, %s, seed)',
            VARIADIC hashed
        );
    END LOOP;
END;
$$;

-- SHA-1, which PostgreSQL has only in an extension (RFC 3174).
CREATE FUNCTION redshift.sha1(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    word CONSTANT bigint := 4294967295;
    message bytea := convert_to(value, 'UTF8');
    bits CONSTANT bigint := octet_length(message) * 8;
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[];
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; next bigint;
BEGIN
    message := message || '\\x80'::bytea;
    message := message || decode(repeat('00', (120 - octet_length(message) % 64) % 64), 'hex') || int8send(bits);
    FOR block IN 0 .. octet_length(message) / 64 - 1 LOOP
        FOR t IN 0 .. 15 LOOP
            w[t] := get_byte(message, block * 64 + t * 4) * 16777216::bigint + get_byte(message, block * 64 + t * 4 + 1) * 65536
                + get_byte(message, block * 64 + t * 4 + 2) * 256 + get_byte(message, block * 64 + t * 4 + 3);
        END LOOP;
        FOR t IN 16 .. 79 LOOP
            next := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
            w[t] := ((next << 1) | (next >> 31)) & word;
        END LOOP;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        FOR t IN 0 .. 79 LOOP
            CASE t / 20
                WHEN 0 THEN f := (b & c) | ((word # b) & d); k := 1518500249;
                WHEN 1 THEN f := b # c # d; k := 1859775393;
                WHEN 2 THEN f := (b & c) | (b & d) | (c & d); k := 2400959708;
                ELSE f := b # c # d; k := 3395469782;
            END CASE;
            next := ((((a << 5) | (a >> 27)) & word) + f + e + k + w[t]) & word;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & word; b := a; a := next;
        END LOOP;
        h := ARRAY[(h[1] + a) & word, (h[2] + b) & word, (h[3] + c) & word, (h[4] + d) & word, (h[5] + e) & word];
    END LOOP;
    RETURN lpad(to_hex(h[1]), 8, '0') || lpad(to_hex(h[2]), 8, '0') || lpad(to_hex(h[3]), 8, '0')
        || lpad(to_hex(h[4]), 8, '0') || lpad(to_hex(h[5]), 8, '0');
END;
$$;
CREATE FUNCTION redshift.func_sha1(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN redshift.sha1(value);
CREATE FUNCTION redshift.sha(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN redshift.sha1(value);
CREATE FUNCTION redshift.sha2(value text, bits integer) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN encode(CASE bits
        WHEN 224 THEN sha224(convert_to(value, 'UTF8'))
        WHEN 256 THEN sha256(convert_to(value, 'UTF8'))
        WHEN 0 THEN sha256(convert_to(value, 'UTF8'))
        WHEN 384 THEN sha384(convert_to(value, 'UTF8'))
        WHEN 512 THEN sha512(convert_to(value, 'UTF8'))
    END, 'hex');
