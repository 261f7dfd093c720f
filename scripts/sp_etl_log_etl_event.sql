-- Notes a message with the time of its transaction in public.etl_events.
-- The INSERT is static SQL: the message is a bound value, whatever characters it holds.
CREATE TABLE IF NOT EXISTS public.etl_events (
    event_ts TIMESTAMP NOT NULL,
    event_message VARCHAR(65535)
) BACKUP YES DISTSTYLE EVEN;

CREATE OR REPLACE PROCEDURE public.sp_etl_log_etl_event (
    p_event_message IN VARCHAR(65535)
)
AS $$
BEGIN
    RAISE NOTICE '[ETL App event message][%]', p_event_message;
    INSERT INTO public.etl_events (event_ts, event_message)
    VALUES (SYSDATE, p_event_message);
END;
$$ LANGUAGE plpgsql;
