-- Dynamic SQL is Redshift's, too. A procedure's EXECUTE asks the process that runs the CALL what PostgreSQL is to run:
-- the question goes out as a notice, the answer comes in through a table, from a connection of its own. Before the
-- answer, the process may have queries run in the procedure's own transaction, which alone sees what that has written.
CREATE UNLOGGED TABLE redshift.answers (conversation uuid, turn integer, answer json);

CREATE FUNCTION redshift.answer_to(conversation uuid, turn integer, question json) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    given json;
BEGIN
    RAISE NOTICE USING
        MESSAGE = json_build_object('conversation', conversation, 'turn', turn, 'question', question)::text,
        ERRCODE = 'RS001';
    LOOP
        SELECT a.answer INTO given FROM redshift.answers a
            WHERE a.conversation = answer_to.conversation AND a.turn = answer_to.turn;
        EXIT WHEN FOUND;
        PERFORM pg_sleep(0.002);
    END LOOP;
    RETURN given;
END;
$$;

CREATE FUNCTION redshift.translated(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    conversation CONSTANT uuid := gen_random_uuid();
    answer json := redshift.answer_to(conversation, 0, json_build_object('statement', statement));
    rows json;
    turn integer := 0;
BEGIN
    LOOP
        turn := turn + 1;
        CASE answer ->> 'kind'
            WHEN 'run' THEN
                EXECUTE answer ->> 'sql';
                rows := NULL;
            WHEN 'query' THEN
                EXECUTE 'SELECT json_agg(found) FROM (' || (answer ->> 'sql') || E'\n) AS found' INTO rows;
            WHEN 'failure' THEN
                RAISE EXCEPTION USING MESSAGE = answer ->> 'sql';
            ELSE
                RETURN answer ->> 'sql';
        END CASE;
        answer := redshift.answer_to(conversation, turn, json_build_object('rows', rows));
    END LOOP;
END;
$$;
